import { constants, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BlockBackend } from '#hw/block/backend.ts';
import type { BlockInfo } from '../monitor/control.ts';
import { property, readProperties } from '../option-properties.ts';
import { OptionError, OptionString } from '../option-string.ts';
import { HostFile } from './host-file.ts';
import type { DiskImage } from './image.ts';
import { imageFormats, openImage } from './open.ts';
import { createQcow2 } from './qcow2/create.ts';
import { Qcow2Image } from './qcow2/image.ts';

/** Properties of `-drive`. */
export const driveProperties = {
  file: property.text('the image'),
  format: property.choice('the image’s format', ...imageFormats),
  if: property.choice('what it is connected to', 'virtio', 'none', 'pflash'),
  unit: property.number('which flash bank'),
  id: property.text('name of the drive'),
  index: property.number('place among the drives'),
  media: property.choice('what it is', 'disk', 'cdrom'),
  snapshot: property.flag('changes go to a temporary file'),
  readonly: property.flag('the guest cannot write'),
  'read-only': property.flag('the same'),
  cache: property.choice('whether writes wait', 'none', 'writeback', 'unsafe', 'directsync', 'writethrough'),
  discard: property.choice('what becomes of room that the guest gives up', 'ignore', 'off', 'unmap', 'on'),
} as const;

interface Drive {
  readonly id: string;
  readonly image: DiskImage;
  readonly backend: BlockBackend;
  readonly kind: 'virtio' | 'none' | 'pflash';
  /** Place among those of its kind, where that matters. */
  readonly unit: number;
  used: boolean;
}

/** The disks of `-drive` options, by ID. */
export class Drives {
  private readonly drives: Drive[] = [];
  private readonly snapshot: boolean;
  private readonly warn: (text: string) => void;

  /** `snapshot`: what all drives have unless they say otherwise. Throws OptionError and ImageError. */
  constructor(texts: readonly string[], snapshot: boolean, warn: (text: string) => void) {
    this.snapshot = snapshot;
    this.warn = warn;
    try {
      for (const text of texts) this.drives.push(this.open(new OptionString('-drive', text, false)));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  private open(options: OptionString): Drive {
    const values = readProperties(options, driveProperties);
    const { file, format = null, media, cache } = values;
    if (file === undefined || file === '') throw options.wrong('no file=');
    const kind = values.if ?? 'virtio';
    const unit = values.unit ?? values.index ?? this.drives.filter((other) => other.kind === kind).length;
    const id = values.id ?? `${kind}${kind === 'pflash' ? unit : this.drives.length}`;
    if (this.drives.some((other) => other.id === id)) throw options.wrong(`duplicate ID '${id}'`);
    const readOnly = values.readonly ?? values['read-only'] ?? media === 'cdrom';
    const temporary = values.snapshot ?? (this.snapshot && !readOnly);
    const base = openImage(file, { format, readOnly: readOnly || temporary, warn: this.warn });
    const image = temporary ? temporaryOverlay(base) : base;
    const discards = values.discard === 'unmap' || values.discard === 'on';
    const backend = withPolicy(image, readOnly, discards, cache ?? 'writeback');
    return { id, image, backend, kind, unit, used: false };
  }

  /** `-device` texts for the drives that need none of their own. */
  get automaticDevices(): string[] {
    return this.drives
      .filter(({ kind }) => kind === 'virtio')
      .map(({ id }) => `virtio-blk-device,drive=${id.replaceAll(',', ',,')}`);
  }

  /** The disk with this ID, for one device. Throws OptionError. */
  take(id: string): BlockBackend {
    const drive = this.drives.find((other) => other.id === id);
    if (!drive) throw new OptionError(`-device: no drive '${id}'`);
    if (drive.used) throw new OptionError(`-device: drive '${id}' is already in use by another device`);
    drive.used = true;
    return drive.backend;
  }

  /** The disk of each of `banks` flash banks of `bytes`, if there is one (`if=pflash`). Throws OptionError. */
  flash(banks: number, bytes: number): (BlockBackend | null)[] {
    const found = Array.from({ length: banks }, (): BlockBackend | null => null);
    for (const drive of this.drives) {
      if (drive.kind !== 'pflash') continue;
      const { unit, backend } = drive;
      if (unit >= banks) throw new OptionError(`-drive: machine type does not support if=pflash,bus=0,unit=${unit}`);
      if (found[unit]) throw new OptionError(`-drive: drive with bus=0, unit=${unit} (index=${unit}) exists`);
      if (backend.size !== bytes) {
        throw new OptionError(`-drive: flash needs ${bytes} bytes, '${drive.image.path}' has ${backend.size}`);
      }
      drive.used = true;
      found[unit] = backend;
    }
    return found;
  }

  /** The images, for snapshots of the machine. */
  get images(): readonly { readonly id: string; readonly image: DiskImage }[] {
    return this.drives;
  }

  /** What `info block` tells. */
  get info(): BlockInfo[] {
    return this.drives.map(({ id, image, backend }) => ({
      device: id,
      file: image.path,
      format: image.format,
      readOnly: backend.readOnly,
    }));
  }

  /** Keeps all that was written and closes the images. */
  close(): void {
    for (const { image } of this.drives.splice(0)) image.close();
  }
}

/** What a drive's options make of its image. */
function withPolicy(image: DiskImage, readOnly: boolean, discards: boolean, cache: string): BlockBackend {
  const through = cache === 'writethrough' || cache === 'directsync';
  const written = (): void => {
    if (through) image.flush();
  };
  return {
    size: image.size,
    readOnly,
    read: (offset, into) => image.read(offset, into),
    write(offset, from) {
      image.write(offset, from);
      written();
    },
    flush() {
      if (cache !== 'unsafe') image.flush();
    },
    discard(offset, length) {
      if (discards) image.discard(offset, length);
    },
    writeZeroes(offset, length, unmap) {
      image.writeZeroes(offset, length, unmap && discards);
      written();
    },
  };
}

/** An image that keeps what is written in a temporary file, which goes with the process. */
function temporaryOverlay(base: DiskImage): DiskImage {
  const path = join(tmpdir(), `tsemu-${process.pid}-${Date.now().toString(36)}-${count++}.qcow2`);
  const file = new HostFile(path, false, constants.O_CREAT | constants.O_EXCL);
  unlinkSync(path);
  createQcow2(file, { size: base.size, backingFile: base.path, backingFormat: base.format });
  return new Qcow2Image(file, () => base);
}
let count = 0;
