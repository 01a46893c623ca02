import { HostTerminal, Tty } from '../tty.ts';
import type { FileSystem } from './file-system.ts';
import { Mode } from './flags.ts';
import { HostFile, isStream } from './host-file.ts';
import { HostDevice, HostStream } from './host-stream.ts';
import { isMemoryDevice, memoryDevice } from './memory-device.ts';
import { type FileStat, fileType, type OpenFile } from './open-file.ts';
import type { Terminals } from './terminals.ts';

/** /dev/tty has a number of its own, and means the one terminal there is. */
const controlling = 0x500n;

/**
 * The open file for a host descriptor that is no directory; `inherited`: its offset if it is not ours. The object of a
 * terminal goes on using the descriptor of its first file.
 */
export function wrapHost(
  view: FileSystem,
  fd: number,
  path: Uint8Array,
  flags: number,
  stat: FileStat,
  inherited: number | null,
): OpenFile {
  const owned = !isStream(fd);
  const mayBlock = (): boolean => view.mayBlock();
  switch (fileType(stat.mode)) {
    case Mode.fifo:
    case Mode.socket:
      return new HostStream(path, flags, fd, owned, mayBlock);
    case Mode.character:
      if (isMemoryDevice(stat)) return memoryDevice(path, flags, fd, owned, stat);
      if (process.getBuiltinModule('node:tty').isatty(fd))
        return new Tty(
          path,
          flags,
          fd,
          owned && inherited === null,
          terminalOf(view.terminals, fd, stat.rdev, mayBlock),
          mayBlock,
        );
      return new HostDevice(path, flags, fd, owned);
    default:
      return new HostFile(path, flags, fd, inherited);
  }
}

function terminalOf({ host }: Terminals, fd: number, device: bigint, mayBlock: () => boolean): HostTerminal {
  const known = host.get(device) ?? (device === controlling ? [...host.values()][0] : undefined);
  if (known !== undefined) return known;
  const terminal = new HostTerminal(fd, Number(device), mayBlock);
  host.set(device, terminal);
  return terminal;
}
