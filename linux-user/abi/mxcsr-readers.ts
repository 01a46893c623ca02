/**
 * Which programs look at the exception flags of MXCSR that were raised before they first load it. Keeping flags makes SSE
 * floating point much slower, so it is done from the start only for programs that have a way to see them.
 */

/** What is mapped of one PT_LOAD segment. */
export interface SegmentBytes {
  readonly bytes: Uint8Array;
  readonly executable: boolean;
}

/** The functions of <fenv.h> that tell of flags, in the order of a search for what they begin with. */
const fenv = ['testexcept', 'getexceptflag', 'getenv', 'holdexcept', 'updateenv'].map((name) =>
  Buffer.from(`\0fe${name}\0`),
);
const fenvStart = Buffer.from('\0fe');
const stmxcsr = Buffer.of(0x0f, 0xae);

/** Every place of `bytes` that begins with `start`. */
function* places(bytes: Buffer, start: Buffer): Generator<number> {
  for (let at = bytes.indexOf(start); at >= 0; at = bytes.indexOf(start, at + 1)) yield at;
}

/**
 * STMXCSR of a variable on the stack, as compilers write it: [ESP], [ESP+d8], [ESP+d32], [EBP−d8] (SDM vol. 2, tables
 * 2-2 and 2-3). Other operands are left out: these two bytes are in much that is no such instruction.
 */
function storesOnStack(code: Buffer, at: number): boolean {
  const modrm = code[at + 2];
  const next = code[at + 3] ?? 0;
  if (modrm === 0x1c || modrm === 0x5c || modrm === 0x9c) return next === 0x24;
  return modrm === 0x5d && next >= 0x80;
}

/** Whether a program has a STMXCSR of its own, or imports what has one. */
export function readsMxcsr(segments: Iterable<SegmentBytes>): boolean {
  for (const { bytes, executable } of segments) {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (executable) for (const at of places(buffer, stmxcsr)) if (storesOnStack(buffer, at)) return true;
    for (const at of places(buffer, fenvStart))
      if (fenv.some((name) => name.equals(buffer.subarray(at, at + name.length)))) return true;
  }
  return false;
}
