import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DiskImage } from './block/image.ts';
import { Qcow2Image } from './block/qcow2/image.ts';
import type { Machine } from './machine.ts';
import { loadState, StateError, saveState } from './machine-state.ts';
import { MonitorError, type Snapshots } from './monitor/control.ts';

/** A saved state, for `info snapshots`. */
interface Saved {
  readonly id: string;
  readonly name: string;
  readonly bytes: number;
  /** Milliseconds since 1970. */
  readonly date: number;
  /** Nanoseconds the guest has run. */
  readonly clock: number;
}

/** A place for the states of a machine, with those of its disks. */
interface Storage {
  readonly list: readonly Saved[];
  save(name: string, state: Uint8Array, clock: number): void;
  load(name: string): Uint8Array;
  delete(name: string): void;
}

/**
 * `savevm` and its like: into the disk images, if there are writable ones (all must be qcow2; the first takes the
 * machine's state), else into files of a folder (`--vmstate`).
 */
export class MachineSnapshots implements Snapshots {
  private readonly machine: Machine;
  private readonly images: () => readonly { readonly id: string; readonly image: DiskImage }[];
  private readonly folder: string | null;

  constructor(machine: Machine, images: MachineSnapshots['images'], folder: string | null) {
    this.machine = machine;
    this.images = images;
    this.folder = folder;
  }

  private get storage(): Storage {
    const writable = this.images().filter(({ image }) => !image.readOnly);
    const disks: Qcow2Image[] = [];
    for (const { id, image } of writable) {
      if (!(image instanceof Qcow2Image)) {
        throw new MonitorError(`Device '${id}' is writable but does not support snapshots`);
      }
      disks.push(image);
    }
    if (disks.length > 0) return new DiskStorage(disks);
    if (this.folder === null) throw new MonitorError('No block device can accept snapshots, and there is no --vmstate');
    return new FolderStorage(this.folder);
  }

  save(name: string): void {
    const { storage, machine } = this;
    if (storage.list.some((saved) => saved.name === name)) storage.delete(name);
    storage.save(name, saveState(machine), machine.clock.now());
  }

  load(name: string): void {
    const { storage } = this;
    known(storage, name);
    try {
      loadState(this.machine, storage.load(name));
    } catch (error) {
      if (error instanceof StateError) throw new MonitorError(`Snapshot '${name}': ${error.message}`);
      throw error;
    }
  }

  delete(name: string): void {
    const { storage } = this;
    known(storage, name);
    storage.delete(name);
  }

  list(): string {
    const { list } = this.storage;
    if (list.length === 0) return 'There is no snapshot available.\n';
    const rows = list.map(({ id, name, bytes, date, clock }) => {
      const when = new Date(date).toISOString().slice(0, 19).replace('T', ' ');
      return `${id.padEnd(8)}${name.padEnd(17)}${sizeText(bytes).padStart(8)} ${when} ${clockText(clock)}\n`;
    });
    return `ID      TAG               VM SIZE                DATE     VM CLOCK\n${rows.join('')}`;
  }
}

function known(storage: Storage, name: string): void {
  if (!storage.list.some((saved) => saved.name === name)) throw new MonitorError(`Snapshot '${name}' does not exist`);
}

function sizeText(bytes: number): string {
  return bytes < 1e6 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

function clockText(nanoseconds: number): string {
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  const seconds = nanoseconds / 1e9;
  const parts = [seconds / 3600, (seconds / 60) % 60, seconds % 60].map(two);
  return `${parts.join(':')}.${String(Math.floor((seconds % 1) * 1000)).padStart(3, '0')}`;
}

/** Internal snapshots of qcow2 images. */
class DiskStorage implements Storage {
  private readonly disks: readonly Qcow2Image[];

  constructor(disks: readonly Qcow2Image[]) {
    this.disks = disks;
  }

  get list(): Saved[] {
    const found = this.disks[0]!.snapshots.list.filter(({ stateBytes }) => stateBytes > 0);
    return found.map(({ id, name, stateBytes, date: [seconds, nanoseconds], clock }) => ({
      id,
      name,
      bytes: stateBytes,
      date: seconds * 1000 + nanoseconds / 1e6,
      clock: Number(clock),
    }));
  }

  save(name: string, state: Uint8Array, clock: number): void {
    const date = Date.now();
    for (const [i, { snapshots }] of this.disks.entries()) {
      snapshots.create({ name, date, clock: BigInt(Math.floor(clock)), ...(i === 0 && { state }) });
    }
  }

  load(name: string): Uint8Array {
    const found = this.disks.map((disk) => ({ disk, snapshot: disk.snapshots.find(name) }));
    const missing = found.find(({ snapshot }) => snapshot === undefined);
    if (missing) throw new MonitorError(`${missing.disk.path}: no snapshot '${name}'`);
    const [state] = found.map(({ disk, snapshot }) => disk.snapshots.apply(snapshot!));
    return state!;
  }

  delete(name: string): void {
    for (const { snapshots } of this.disks) {
      const snapshot = snapshots.find(name);
      if (snapshot) snapshots.delete(snapshot);
    }
  }
}

const ending = '.vmstate';

/** Files of a folder, one for each state. */
class FolderStorage implements Storage {
  private readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  private path(name: string): string {
    if (!/^[\w.+-]+$/.test(name)) throw new MonitorError(`'${name}' cannot be the name of a file`);
    return join(this.folder, `${name}${ending}`);
  }

  get list(): Saved[] {
    const names = attempt(() => readdirSync(this.folder), []).filter((name) => name.endsWith(ending));
    return names.sort().map((file, i) => {
      const { size, mtimeMs } = statSync(join(this.folder, file));
      return { id: String(i + 1), name: file.slice(0, -ending.length), bytes: size, date: mtimeMs, clock: 0 };
    });
  }

  save(name: string, state: Uint8Array): void {
    const path = this.path(name);
    attempt(() => {
      mkdirSync(this.folder, { recursive: true });
      writeFileSync(`${path}.new`, state);
      renameSync(`${path}.new`, path);
    });
  }

  load(name: string): Uint8Array {
    return attempt(() => readFileSync(this.path(name)));
  }

  delete(name: string): void {
    attempt(() => rmSync(this.path(name)));
  }
}

/** What the host refuses is a line for whoever asked. */
function attempt<T>(act: () => T, otherwise?: T): T {
  try {
    return act();
  } catch (error) {
    if (otherwise !== undefined && (error as NodeJS.ErrnoException).code === 'ENOENT') return otherwise;
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw new MonitorError((error as Error).message);
  }
}
