/** WebAssembly bytes as they are made (https://webassembly.github.io/spec/core/binary/). */

export type WasmType = 0x7f | 0x7e | 0x7d | 0x7c | 0x7b;
export const wasmTypes = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b } as const;
export const emptyBlockType = 0x40;

/** The opcodes the backends write by hand; value ops come from the IR op table. */
export const W = {
  unreachable: 0x00,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  end: 0x0b,
  br: 0x0c,
  br_if: 0x0d,
  br_table: 0x0e,
  return: 0x0f,
  call: 0x10,
  call_indirect: 0x11,
  return_call: 0x12,
  return_call_indirect: 0x13,
  drop: 0x1a,
  select: 0x1b,
  local_get: 0x20,
  local_set: 0x21,
  local_tee: 0x22,
  i32_load: 0x28,
  i64_load: 0x29,
  f32_load: 0x2a,
  f64_load: 0x2b,
  i32_load8_s: 0x2c,
  i32_load8_u: 0x2d,
  i32_load16_s: 0x2e,
  i32_load16_u: 0x2f,
  i32_store: 0x36,
  i64_store: 0x37,
  f32_store: 0x38,
  f64_store: 0x39,
  i32_store8: 0x3a,
  i32_store16: 0x3b,
  i32_const: 0x41,
  i64_const: 0x42,
  f32_const: 0x43,
  f64_const: 0x44,
  i32_eqz: 0x45,
  i32_eq: 0x46,
  i32_ne: 0x47,
  i32_lt_s: 0x48,
  i32_lt_u: 0x49,
  i32_gt_u: 0x4b,
  i32_ge_u: 0x4f,
  i64_gt_u: 0x56,
  f32_ne: 0x5c,
  f32_ge: 0x60,
  f64_ne: 0x62,
  f64_ge: 0x66,
  i32_add: 0x6a,
  i32_sub: 0x6b,
  i32_and: 0x71,
  i32_or: 0x72,
  i32_xor: 0x73,
  i32_shl: 0x74,
  i32_shr_u: 0x76,
  i32_rotr: 0x78,
  i64_add: 0x7c,
  i64_extend_i32_u: 0xad,
} as const;

/**
 * What a constant in code is that another engine has another value for: the table index of guest PC `symbol`, the number
 * of a fault site (`symbol` is it), the key of the code page of PC `symbol`; or the module's name, of `symbol` bytes.
 */
export const RelocationKind = { slot: 0, site: 1, key: 2, name: 3 } as const;
export type RelocationKind = (typeof RelocationKind)[keyof typeof RelocationKind];
/** Words of `Code.relocations` for each: byte offset of the constant, kind, symbol. */
export const relocationWords = 3;
/** Bytes of a constant that can be changed. */
const fixedBytes = 5;

/** Writes an i32 as LEB128 of `fixedBytes` bytes. */
export function writeFixed(bytes: Uint8Array, at: number, value: number): void {
  let v = value;
  for (let i = 0; i < fixedBytes - 1; i++) {
    bytes[at + i] = (v & 127) | 128;
    v >>= 7;
  }
  bytes[at + fixedBytes - 1] = v & 127;
}

/** A growing byte buffer with the binary format's integers. Reused between functions: `reset` keeps the storage. */
export class Code {
  bytes: Uint8Array;
  length = 0;
  /** Offsets of `if` and `br_if` whose condition is hardly ever true. */
  readonly unlikelyAt: number[] = [];
  /** Constants that `i32Relocated` has written, `relocationWords` each. */
  readonly relocations: number[] = [];

  constructor(capacity = 4096) {
    this.bytes = new Uint8Array(capacity);
  }

  reset(): void {
    this.length = 0;
    this.unlikelyAt.length = 0;
    this.relocations.length = 0;
  }

  private grow(extra: number): void {
    const bigger = new Uint8Array(Math.max(this.bytes.length * 2, this.length + extra));
    bigger.set(this.bytes);
    this.bytes = bigger;
  }

  u8(byte: number): void {
    if (this.length >= this.bytes.length) this.grow(1);
    this.bytes[this.length++] = byte;
  }

  op2(first: number, second: number): void {
    this.u8(first);
    this.u8(second);
  }

  /** Unsigned LEB128 of a u32. */
  uleb(value: number): void {
    let v = value >>> 0;
    while (v >= 128) {
      this.u8((v & 127) | 128);
      v >>>= 7;
    }
    this.u8(v);
  }

  /** Signed LEB128 of an i32. */
  sleb(value: number): void {
    let v = value | 0;
    for (;;) {
      const byte = v & 127;
      v >>= 7;
      if ((v === 0 && !(byte & 64)) || (v === -1 && byte & 64)) {
        this.u8(byte);
        return;
      }
      this.u8(byte | 128);
    }
  }

  /** Signed LEB128 of the i64 with these halves. */
  sleb64(low: number, high: number): void {
    let lo = low | 0;
    let hi = high | 0;
    for (;;) {
      const byte = lo & 127;
      lo = (lo >>> 7) | (hi << 25);
      hi >>= 7;
      if ((lo === 0 && hi === 0 && !(byte & 64)) || (lo === -1 && hi === -1 && byte & 64)) {
        this.u8(byte);
        return;
      }
      this.u8(byte | 128);
    }
  }

  u32(value: number): void {
    this.u8(value & 255);
    this.u8((value >>> 8) & 255);
    this.u8((value >>> 16) & 255);
    this.u8(value >>> 24);
  }

  append(bytes: ArrayLike<number>, count = bytes.length): void {
    if (this.length + count > this.bytes.length) this.grow(count);
    for (let i = 0; i < count; i++) this.bytes[this.length + i] = bytes[i]!;
    this.length += count;
  }

  /** The `if` or `br_if` that comes next is hardly ever taken: the compiler moves its code out of the way. */
  unlikely(): void {
    this.unlikelyAt.push(this.length);
  }

  appendCode(other: Code): void {
    for (const offset of other.unlikelyAt) this.unlikelyAt.push(this.length + offset);
    this.appendRelocations(other, this.length);
    if (this.length + other.length > this.bytes.length) this.grow(other.length);
    this.bytes.set(other.bytes.subarray(0, other.length), this.length);
    this.length += other.length;
  }

  /** Takes over what another's code has, which lies here from byte `start` on. */
  appendRelocations({ relocations }: Code, start: number): void {
    for (let i = 0; i < relocations.length; i += relocationWords)
      this.relocations.push(start + relocations[i]!, relocations[i + 1]!, relocations[i + 2]!);
  }

  name(text: string): void {
    this.uleb(text.length);
    for (let i = 0; i < text.length; i++) this.u8(text.charCodeAt(i));
  }

  // ---- instructions

  i32(value: number): void {
    this.u8(W.i32_const);
    this.sleb(value);
  }

  /** A constant whose value may be changed afterwards. */
  i32Relocated(value: number, kind: RelocationKind, symbol: number): void {
    this.u8(W.i32_const);
    this.relocations.push(this.length, kind, symbol);
    if (this.length + fixedBytes > this.bytes.length) this.grow(fixedBytes);
    writeFixed(this.bytes, this.length, value);
    this.length += fixedBytes;
  }

  get(local: number): void {
    this.u8(W.local_get);
    this.uleb(local);
  }

  set(local: number): void {
    this.u8(W.local_set);
    this.uleb(local);
  }

  tee(local: number): void {
    this.u8(W.local_tee);
    this.uleb(local);
  }

  /** A memory access instruction on memory 0: opcode, alignment exponent, offset. */
  mem(opcode: number, align: number, offset: number): void {
    this.u8(opcode);
    this.u8(align);
    this.uleb(offset);
  }

  /** The same on memory 1. */
  mem1(opcode: number, align: number, offset: number): void {
    this.u8(opcode);
    this.u8(align | 0x40);
    this.u8(1);
    this.uleb(offset);
  }

  br(depth: number): void {
    this.u8(W.br);
    this.uleb(depth);
  }

  brIf(depth: number): void {
    this.u8(W.br_if);
    this.uleb(depth);
  }

  finish(): Uint8Array<ArrayBuffer> {
    return this.bytes.slice(0, this.length) as Uint8Array<ArrayBuffer>;
  }
}
