/** Linux error numbers by name (include/uapi/asm-generic/errno*.h; the same on ARM and x86). */
export const errnoNumbers = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  ENOEXEC: 8,
  EBADF: 9,
  ECHILD: 10,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  ENOTBLK: 15,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOTTY: 25,
  ETXTBSY: 26,
  EFBIG: 27,
  ENOSPC: 28,
  ESPIPE: 29,
  EROFS: 30,
  EMLINK: 31,
  EPIPE: 32,
  EDOM: 33,
  ERANGE: 34,
  EDEADLK: 35,
  ENAMETOOLONG: 36,
  ENOLCK: 37,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ELOOP: 40,
  ENOMSG: 42,
  EIDRM: 43,
  ECHRNG: 44,
  ENODATA: 61,
  ETIME: 62,
  ENOLINK: 67,
  EPROTO: 71,
  EBADMSG: 74,
  EOVERFLOW: 75,
  EILSEQ: 84,
  ERESTART: 85,
  EUSERS: 87,
  ENOTSOCK: 88,
  EDESTADDRREQ: 89,
  EMSGSIZE: 90,
  EPROTOTYPE: 91,
  ENOPROTOOPT: 92,
  EPROTONOSUPPORT: 93,
  ESOCKTNOSUPPORT: 94,
  EOPNOTSUPP: 95,
  EPFNOSUPPORT: 96,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ENETRESET: 102,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ENOBUFS: 105,
  EISCONN: 106,
  ENOTCONN: 107,
  ESHUTDOWN: 108,
  ETOOMANYREFS: 109,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTDOWN: 112,
  EHOSTUNREACH: 113,
  EALREADY: 114,
  EINPROGRESS: 115,
  ESTALE: 116,
  EDQUOT: 122,
  ENOMEDIUM: 123,
  ECANCELED: 125,
  EOWNERDEAD: 130,
  ENOTRECOVERABLE: 131,
  // Inside the kernel only (include/linux/errno.h): how a call that a signal interrupted goes on. The scheduler turns
  // them into a restart or EINTR; no guest ever sees one.
  ERESTARTSYS: 512,
  ERESTARTNOINTR: 513,
  ERESTARTNOHAND: 514,
  ERESTART_RESTARTBLOCK: 516,
} as const;
export type ErrnoName = keyof typeof errnoNumbers;

/** Node and other names for the same numbers. */
const errnoAliases: Record<string, ErrnoName> = { EWOULDBLOCK: 'EAGAIN', ENOTSUP: 'EOPNOTSUPP', EDEADLOCK: 'EDEADLK' };

/**
 * A Linux error on its way to the guest: thrown by kernel-layer code, returned as a negative number by the dispatcher.
 * It is an answer, not a bug, and has no stack trace: taking one in the midst of guest code costs 5 µs and more. Without
 * details there is one object of each name, frozen, that `new` always gives: making an Error takes longer than most calls.
 */
export class Errno extends Error {
  private static readonly plain = new Map<ErrnoName, Errno>();
  readonly code!: ErrnoName;

  constructor(code: ErrnoName, detail?: string) {
    const made = detail === undefined ? Errno.plain.get(code) : undefined;
    if (made !== undefined) return made;
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    super(detail === undefined ? code : `${code}: ${detail}`);
    Error.stackTraceLimit = limit;
    this.code = code;
    if (detail !== undefined) return;
    Object.freeze(this);
    Errno.plain.set(code, this);
  }
}

/**
 * The errno number of anything thrown that carries a Linux error name in `code` (our `Errno`, Node's system errors);
 * undefined for everything else, which is a bug of ours and must not be swallowed.
 */
export function errnoOf(error: unknown): number | undefined {
  if (error instanceof Errno) return errnoNumbers[error.code];
  if (typeof error !== 'object' || error === null || !('code' in error) || typeof error.code !== 'string')
    return undefined;
  const name = errnoAliases[error.code] ?? error.code;
  return (errnoNumbers as Record<string, number>)[name];
}

const errnoNames = new Map<number, ErrnoName>(
  Object.entries(errnoNumbers).map(([name, number]) => [number, name as ErrnoName]),
);

/** The name of a number; undefined for none that we know. */
export const errnoName = (number: number): ErrnoName | undefined => errnoNames.get(number);
