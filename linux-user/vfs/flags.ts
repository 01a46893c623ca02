/** File numbers of Linux's generic ABI (include/uapi/asm-generic/fcntl.h); a guest's own differ in a few bits. */
export const Open = {
  accessMode: 0o3,
  readOnly: 0,
  writeOnly: 1,
  readWrite: 2,
  create: 0o100,
  exclusive: 0o200,
  noCtty: 0o400,
  truncate: 0o1000,
  append: 0o2000,
  nonBlock: 0o4000,
  dsync: 0o10000,
  async: 0o20000,
  direct: 0o40000,
  largeFile: 0o100000,
  directory: 0o200000,
  noFollow: 0o400000,
  noAtime: 0o1000000,
  closeOnExec: 0o2000000,
  syncBit: 0o4000000,
  path: 0o10000000,
  tmpFileBit: 0o20000000,
} as const;

/** What fcntl(F_SETFL) may change by itself; O_ASYNC takes more (setAsync). */
export const settableFlags = Open.append | Open.nonBlock | Open.direct | Open.noAtime;

/** Poll events (include/uapi/asm-generic/poll.h). */
export const Poll = {
  in: 1,
  pri: 2,
  out: 4,
  err: 8,
  hup: 16,
  nval: 32,
  rdNorm: 64,
  rdBand: 128,
  wrNorm: 256,
  wrBand: 512,
  rdHup: 0x2000,
} as const;
/** Something can be read. */
export const pollInput = Poll.in | Poll.rdNorm;
/** Something can be written. */
export const pollOutput = Poll.out | Poll.wrNorm;

/** File types and permission bits of st_mode. */
export const Mode = {
  typeMask: 0o170000,
  fifo: 0o010000,
  character: 0o020000,
  directory: 0o040000,
  block: 0o060000,
  regular: 0o100000,
  link: 0o120000,
  socket: 0o140000,
} as const;
