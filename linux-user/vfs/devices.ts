import { Errno } from '#util/errno.ts';
import type { Entropy } from '../entropy.ts';
import { Poll } from './flags.ts';
import { DeviceInode, type Inode, LinkInode, TreeDirectory } from './inode.ts';
import { type FileStat, OpenFile } from './open-file.ts';
import { RandomDevice } from './random-device.ts';

/** /dev/null, and what /dev/zero and /dev/full have in common with it. */
class NullDevice extends OpenFile {
  private readonly identity: FileStat;

  constructor(path: Uint8Array, flags: number, identity: FileStat) {
    super(path, flags);
    this.identity = identity;
  }

  override get seekable(): boolean {
    return true;
  }

  override stat(): FileStat {
    return this.identity;
  }

  override read(_bytes: Uint8Array, _start: number, _length: number): number {
    return 0;
  }

  override write(_bytes: Uint8Array, _start: number, length: number): number {
    return length;
  }

  override pread(bytes: Uint8Array, start: number, length: number): number {
    return this.read(bytes, start, length);
  }

  override pwrite(bytes: Uint8Array, start: number, length: number): number {
    return this.write(bytes, start, length);
  }

  override seek(): number {
    return 0;
  }

  override poll(events: number): number {
    return events & (Poll.in | Poll.out | Poll.rdNorm | Poll.wrNorm);
  }
}

class ZeroDevice extends NullDevice {
  override read(bytes: Uint8Array, start: number, length: number): number {
    bytes.fill(0, start, start + length);
    return length;
  }
}

class FullDevice extends ZeroDevice {
  override write(): number {
    throw new Errno('ENOSPC');
  }
}

/** /dev/random and /dev/urandom. */
export const randomDevice = (minor: number, entropy: Entropy): Inode =>
  new DeviceInode(1, minor, (_viewer, path, flags, identity) => new RandomDevice(path, flags, entropy, identity));

/** What leads to the descriptors of the process that looks. */
export const descriptorLinks = (): Readonly<Record<string, Inode>> => ({
  fd: new LinkInode(() => '/proc/self/fd'),
  stdin: new LinkInode(() => '/proc/self/fd/0'),
  stdout: new LinkInode(() => '/proc/self/fd/1'),
  stderr: new LinkInode(() => '/proc/self/fd/2'),
});

/** The memory devices (Documentation/admin-guide/devices.txt, major 1). */
export const memoryDevices = (): Readonly<Record<string, Inode>> => ({
  null: new DeviceInode(1, 3, (_viewer, path, flags, identity) => new NullDevice(path, flags, identity)),
  zero: new DeviceInode(1, 5, (_viewer, path, flags, identity) => new ZeroDevice(path, flags, identity)),
  full: new DeviceInode(1, 7, (_viewer, path, flags, identity) => new FullDevice(path, flags, identity)),
});

/** /dev/tty: the terminal of the session. ENXIO without one. */
export const controllingTerminal = (): Inode =>
  new DeviceInode(5, 0, (viewer, path, flags) => {
    const terminal = viewer.fs.terminals.controlling(viewer);
    if (terminal === null) throw new Errno('ENXIO');
    return terminal.open(path, flags);
  });

/** The least that programs ask of /sys: one processor, since guest threads take turns. */
export function sysRoot(text: (value: string) => Inode): Inode {
  const cpu = new TreeDirectory({
    cpu0: new TreeDirectory({
      topology: new TreeDirectory({
        core_id: text('0\n'),
        physical_package_id: text('0\n'),
        thread_siblings: text('1\n'),
        thread_siblings_list: text('0\n'),
        core_siblings_list: text('0\n'),
      }),
    }),
    kernel_max: text('31\n'),
    offline: text('\n'),
    online: text('0\n'),
    possible: text('0\n'),
    present: text('0\n'),
  });
  const node = new TreeDirectory({
    online: text('0\n'),
    possible: text('0\n'),
    node0: new TreeDirectory({ cpulist: text('0\n'), cpumap: text('1\n') }),
  });
  return new TreeDirectory({
    block: new TreeDirectory({}),
    bus: new TreeDirectory({}),
    class: new TreeDirectory({ net: new TreeDirectory({}), tty: new TreeDirectory({}), block: new TreeDirectory({}) }),
    dev: new TreeDirectory({ block: new TreeDirectory({}), char: new TreeDirectory({}) }),
    devices: new TreeDirectory({ system: new TreeDirectory({ cpu, node }) }),
    fs: new TreeDirectory({ cgroup: new TreeDirectory({}) }),
    kernel: new TreeDirectory({
      mm: new TreeDirectory({
        transparent_hugepage: new TreeDirectory({
          enabled: text('always madvise [never]\n'),
          hpage_pmd_size: text('2097152\n'),
        }),
      }),
    }),
    module: new TreeDirectory({}),
  });
}
