import type * as NodeFfi from 'node:ffi';
import { Errno, errnoName } from '#util/errno.ts';
import { loadExperimental } from '#util/experimental.ts';

/* Calls of the host's C library that Node has no function for, on hosts where it can be asked directly. */

type Ffi = typeof NodeFfi;

/** node:ffi; undefined where Node has none. */
export const loadFfi = (): Ffi | undefined => loadExperimental<Ffi>('node:ffi');

function openLibC(ffi: Ffi) {
  return ffi.dlopen(null, {
    __errno_location: { arguments: [], return: 'pointer' },
    fallocate: { arguments: ['i32', 'i32', 'i64', 'i64'], return: 'i32' },
    fcntl: { arguments: ['i32', 'i32', 'pointer'], return: 'i32' },
    getdents64: { arguments: ['i32', 'pointer', 'u64'], return: 'i64' },
    getxattr: { arguments: ['pointer', 'pointer', 'pointer', 'u64'], return: 'i64' },
    lgetxattr: { arguments: ['pointer', 'pointer', 'pointer', 'u64'], return: 'i64' },
    listxattr: { arguments: ['pointer', 'pointer', 'u64'], return: 'i64' },
    llistxattr: { arguments: ['pointer', 'pointer', 'u64'], return: 'i64' },
    flock: { arguments: ['i32', 'i32'], return: 'i32' },
    removexattr: { arguments: ['pointer', 'pointer'], return: 'i32' },
    lremovexattr: { arguments: ['pointer', 'pointer'], return: 'i32' },
    setxattr: { arguments: ['pointer', 'pointer', 'pointer', 'u64', 'i32'], return: 'i32' },
    lsetxattr: { arguments: ['pointer', 'pointer', 'pointer', 'u64', 'i32'], return: 'i32' },
    inotify_add_watch: { arguments: ['i32', 'pointer', 'u32'], return: 'i32' },
    inotify_init1: { arguments: ['i32'], return: 'i32' },
    inotify_rm_watch: { arguments: ['i32', 'i32'], return: 'i32' },
    linkat: { arguments: ['i32', 'pointer', 'i32', 'pointer', 'i32'], return: 'i32' },
    lseek: { arguments: ['i32', 'i64', 'i32'], return: 'i64' },
    mknod: { arguments: ['pointer', 'u32', 'u64'], return: 'i32' },
    renameat2: { arguments: ['i32', 'pointer', 'i32', 'pointer', 'u32'], return: 'i32' },
    sync: { arguments: [], return: 'void' },
    utimensat: { arguments: ['i32', 'pointer', 'pointer', 'i32'], return: 'i32' },
  });
}

type Functions = ReturnType<typeof openLibC>['functions'];
type Name = Exclude<keyof Functions, '__errno_location' | 'sync'>;

/** AT_FDCWD. */
export const currentDirectory = -100;

/** The host's C library (Linux, little-endian, 64 bits). */
export class HostCalls {
  private readonly ffi: Ffi;
  readonly functions: Functions;
  /** What the host reads and writes: not to be collected while it does. */
  inUse: unknown = null;

  constructor(ffi: Ffi, functions: Functions) {
    this.ffi = ffi;
    this.functions = functions;
  }

  /** A NUL-terminated copy. */
  text(bytes: Uint8Array): ArrayBuffer {
    const copy = new Uint8Array(new ArrayBuffer(bytes.length + 1));
    copy.set(bytes);
    return copy.buffer;
  }

  /** Calls a function; bytes are passed by their address, null is no address. Throws the errno of one that failed. */
  call(name: Name, ...args: readonly (number | bigint | ArrayBuffer | null)[]): number {
    this.inUse = args;
    const words = args.map((arg) => {
      if (arg === null) return 0n;
      return arg instanceof ArrayBuffer ? this.ffi.getRawPointer(arg) : arg;
    });
    const result = Number(
      (this.functions[name] as (...all: readonly (number | bigint)[]) => number | bigint)(...words),
    );
    this.inUse = null;
    if (result !== -1) return result;
    const number = this.ffi.getInt32(this.functions.__errno_location(), 0);
    throw new Errno(errnoName(number) ?? 'EIO');
  }
}

let calls: HostCalls | null | undefined;

/** null on hosts where it cannot be asked. */
export function hostCalls(): HostCalls | null {
  if (calls !== undefined) return calls;
  calls = null;
  if (process.platform !== 'linux' || (process.arch !== 'x64' && process.arch !== 'arm64')) return null;
  try {
    const ffi = loadFfi();
    if (ffi !== undefined) calls = new HostCalls(ffi, openLibC(ffi).functions);
  } catch {
    // A C library without one of these (musl has them all; others may not).
  }
  return calls;
}
