import type { Abi } from '../abi/abi.ts';
import type { Credentials } from '../credentials.ts';
import type { Mm } from '../mm/mm.ts';
import { pageCeil } from '../mm/page-math.ts';
import { MapFlags, Prot } from '../mm/vma.ts';
import { LoadError } from './load-error.ts';
import type { LoadedImage } from './map-image.ts';

/** Auxiliary vector entry types (include/uapi/linux/auxvec.h). */
export const At = {
  NULL: 0,
  PHDR: 3,
  PHENT: 4,
  PHNUM: 5,
  PAGESZ: 6,
  BASE: 7,
  FLAGS: 8,
  ENTRY: 9,
  UID: 11,
  EUID: 12,
  GID: 13,
  EGID: 14,
  PLATFORM: 15,
  HWCAP: 16,
  CLKTCK: 17,
  SECURE: 23,
  RANDOM: 25,
  HWCAP2: 26,
  EXECFN: 31,
} as const;

/** Longest single argument (MAX_ARG_STRLEN). */
const maximumString = 131072;
/** The least that arguments may take, however small the stack (ARG_MAX). */
const minimumArguments = 131072;
/** Clock ticks per second (USER_HZ). */
export const clockTicks = 100;

export interface InitialStack {
  readonly abi: Abi;
  readonly program: LoadedImage;
  /** PT_INTERP's image, or null. */
  readonly interpreter: LoadedImage | null;
  /** The program's path as execve got it. */
  readonly execPath: Uint8Array;
  readonly argv: readonly Uint8Array[];
  readonly environment: readonly Uint8Array[];
  readonly credentials: Pick<Credentials, 'uid' | 'euid' | 'gid' | 'egid'>;
  /** 16 bytes for AT_RANDOM. */
  readonly random: Uint8Array;
  readonly stackBytes: number;
}

/** Maps the stack at the top of the address space. Throws LoadError. */
export function mapStack(mm: Mm, stackBytes: number, executable: boolean): void {
  const length = pageCeil(Math.max(stackBytes, 65536));
  if (length > mm.mmapBase + (mm.stackTop - mm.mmapBase) / 2 || length > mm.stackTop / 2) {
    throw new LoadError(`a stack of ${stackBytes} bytes does not fit into the guest's address space`, 126, 'ENOMEM');
  }
  mm.mmap({
    address: mm.stackTop - length,
    length,
    prot: Prot.READ | Prot.WRITE | (executable ? Prot.EXEC : 0),
    flags: MapFlags.FIXED | MapFlags.PRIVATE | MapFlags.ANONYMOUS | MapFlags.STACK,
    file: null,
    offset: 0,
    name: '[stack]',
  });
}

/**
 * Fills the stack as Linux does for a new program; returns the stack pointer. From the top down: a zero word, the
 * program's path, environment strings, argument strings, platform, random bytes; then, upwards from the 16-byte aligned
 * stack pointer: argc, argv, envp, auxv. Throws LoadError for too much of it.
 */
export function fillStack(mm: Mm, setup: InitialStack): number {
  const { abi, program, interpreter } = setup;
  const { memory } = mm;
  const word = abi.pointerBytes;
  checkSize(setup);

  let top = mm.stackTop - word;
  const push = (text: Uint8Array): number => {
    top -= text.length + 1;
    memory.write(top, text);
    memory.store8(top + text.length, 0);
    return top;
  };
  const execPath = push(setup.execPath);
  mm.envEnd = execPath;
  const environment = [...setup.environment].reverse().map(push).reverse();
  mm.envStart = top;
  mm.argEnd = top;
  const argv = [...setup.argv].reverse().map(push).reverse();
  mm.argStart = top;
  const platform = push(Buffer.from(abi.platform));
  top -= setup.random.length;
  memory.write(top, setup.random);
  const random = top;

  const { uid, euid, gid, egid } = setup.credentials;
  const phentsize = abi.elf.class === 1 ? 32 : 56;
  const auxv: [number, number][] = [
    [At.HWCAP, abi.hwcap >>> 0],
    [At.PAGESZ, 4096],
    [At.CLKTCK, clockTicks],
    [At.PHDR, program.programHeaders],
    [At.PHENT, phentsize],
    [At.PHNUM, program.image.programHeaderBytes / phentsize],
    [At.BASE, interpreter?.bias ?? 0],
    [At.FLAGS, 0],
    [At.ENTRY, program.entry],
    [At.UID, uid],
    [At.EUID, euid],
    [At.GID, gid],
    [At.EGID, egid],
    [At.SECURE, uid === euid && gid === egid ? 0 : 1],
    [At.RANDOM, random],
    [At.HWCAP2, abi.hwcap2 >>> 0],
    [At.EXECFN, execPath],
    [At.PLATFORM, platform],
    ...abi.auxiliary.map(([type, value]): [number, number] => [type, value]),
    [At.NULL, 0],
  ];
  const words = [argv.length, ...argv, 0, ...environment, 0];
  const start = words.length;
  for (const [type, value] of auxv) words.push(type, value);
  const sp = Math.floor((top - words.length * word) / 16) * 16;
  words.forEach((value, i) => {
    if (word === 8) memory.store64(sp + 8 * i, BigInt(value));
    else memory.store32(sp + 4 * i, value);
  });
  mm.auxv = memory.copy(sp + start * word, auxv.length * 2 * word);
  return sp;
}

function checkSize(setup: InitialStack): void {
  const strings = [...setup.argv, ...setup.environment, setup.execPath];
  let bytes = 0;
  for (const text of strings) {
    if (text.includes(0)) throw new LoadError('an argument or environment string contains a NUL', 126);
    const length = text.length + 1;
    if (length > maximumString) {
      throw new LoadError(
        `argument list too long: one string has ${length} bytes (limit ${maximumString})`,
        126,
        'E2BIG',
      );
    }
    bytes += length + setup.abi.pointerBytes;
  }
  const limit = Math.max(minimumArguments, Math.floor(setup.stackBytes / 4));
  const room = Math.max(setup.stackBytes, 65536) - 8192;
  if (bytes > Math.min(limit, room)) {
    throw new LoadError(`argument list too long: ${bytes} bytes (a quarter of the stack: ${limit})`, 126, 'E2BIG');
  }
}
