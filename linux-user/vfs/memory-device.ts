import { HostDevice } from './host-stream.ts';
import type { FileStat, OpenFile } from './open-file.ts';

/** Minor numbers of the devices of major 1 that are served here (Documentation/admin-guide/devices.txt). */
const minor = { null: 3n, zero: 5n } as const;

/** /dev/null: the host need not be asked to forget bytes. */
class NullDevice extends HostDevice {
  override read(_bytes: Uint8Array, _start: number, _length: number): number {
    return 0;
  }

  override write(_bytes: Uint8Array, _start: number, length: number): number {
    return length;
  }
}

/** /dev/zero. */
class ZeroDevice extends NullDevice {
  override read(bytes: Uint8Array, start: number, length: number): number {
    bytes.fill(0, start, start + length);
    return length;
  }
}

/** Linux's /dev/null, /dev/zero and their like (major 1): known to be no terminal without loading node:tty for 4 ms. */
export function isMemoryDevice({ rdev }: FileStat): boolean {
  return process.platform === 'linux' && rdev >> 8n === 1n;
}

/** The object for a descriptor of a device that `isMemoryDevice`; `owned` as for `HostDevice`. */
export function memoryDevice(
  path: Uint8Array,
  flags: number,
  fd: number,
  owned: boolean,
  { rdev }: FileStat,
): OpenFile {
  const which = rdev & 0xffn;
  if (which === minor.null) return new NullDevice(path, flags, fd, owned);
  if (which === minor.zero) return new ZeroDevice(path, flags, fd, owned);
  return new HostDevice(path, flags, fd, owned);
}
