import { realpathSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { HostFile, ImageError, reason } from './host-file.ts';
import type { DiskImage } from './image.ts';
import { probeFormat } from './probe.ts';
import { Qcow2Image } from './qcow2/image.ts';
import { RawImage } from './raw.ts';

export type ImageFormat = 'raw' | 'qcow2';
export const imageFormats: readonly ImageFormat[] = ['raw', 'qcow2'];

export interface OpenOptions {
  /** Null: found by the first bytes. */
  readonly format?: ImageFormat | null;
  readonly readOnly?: boolean;
  /** Leave an image that needs repair as it is, and do without the backing file. */
  readonly alone?: boolean;
  /** Told where the format was guessed to be raw, which a guest could change by what it writes. */
  readonly warn?: (text: string) => void;
}

const probeBytes = 512;

/** Opens an image with all it is based on. Throws ImageError. */
export function openImage(path: string, options: OpenOptions = {}): DiskImage {
  return open(path, options, []);
}

/** `chain`: the images that this one is the backing file of. */
function open(
  path: string,
  { format = null, readOnly = false, alone = false, warn }: OpenOptions,
  chain: readonly string[],
): DiskImage {
  const file = new HostFile(path, readOnly);
  try {
    const real = realpathSync(path);
    if (chain.includes(real)) throw new ImageError(`'${path}' is its own backing file`);
    const probed = format ?? probe(file);
    if (probed !== 'raw' && probed !== 'qcow2') throw new ImageError(`'${path}': format ${probed} is not supported`);
    if (probed === 'raw') {
      if (format === null) warn?.(guessedRaw(path));
      return new RawImage(file, format === null);
    }
    const below = (name: string, backingFormat: string | null): DiskImage =>
      openBacking(path, name, backingFormat, [...chain, real]);
    return new Qcow2Image(file, alone ? null : below, alone);
  } catch (error) {
    file.close();
    throw error instanceof ImageError ? error : new ImageError(`Could not open '${path}': ${reason(error)}`);
  }
}

function probe(file: HostFile): ReturnType<typeof probeFormat> {
  const head = new Uint8Array(probeBytes);
  file.read(0, head);
  return probeFormat(head);
}

const guessedRaw = (path: string): string =>
  `WARNING: Image format was not specified for '${path}' and probing guessed raw.\n` +
  '         Automatically detecting the format is dangerous for raw images, write operations on block 0 will be restricted.\n' +
  "         Specify the 'raw' format explicitly to remove the restrictions.";

/** Where a backing file's name leads: from the image's own folder. */
export function backingPath(image: string, name: string): string {
  if (/^[a-z][\w+.-]*:/i.test(name) && !name.startsWith('file:')) {
    throw new ImageError(`'${image}': backing file '${name}' is no local file`);
  }
  const path = name.replace(/^file:/, '');
  return isAbsolute(path) ? path : join(dirname(image), path);
}

function openBacking(image: string, name: string, format: string | null, chain: readonly string[]): DiskImage {
  const known = imageFormats.find((other) => other === format) ?? null;
  if (format !== null && known === null) {
    throw new ImageError(`'${image}': the backing file's format '${format}' is not supported`);
  }
  return open(backingPath(image, name), { format: known, readOnly: true }, chain);
}
