import { armTarget } from '#target/arm/target.ts';
import { Builder } from '#tcg/builder.ts';
import { ExitReason } from '#tcg/cpu-page.ts';
import { encode, type FieldRecord, fieldWidths, rowBits } from '#tcg/decode.ts';
import { Op } from '#tcg/ops.ts';
import type { CodeReader } from '#tcg/target.ts';
import { translateBlock } from '#tcg/translator.ts';
import { isMemory, isPredictable, needsAlignment } from './constraints.ts';
import { Prng } from './prng.ts';
import type { Registers } from './rig.ts';
import { type AnyRow, decodesTo, type InsnSet } from './rows.ts';
import { scratchBase, scratchBytes } from './runner.ts';

/** One instruction, or what belongs to the next ones (IT, a forward branch), as bytes. */
export interface Insn {
  name: string;
  fields: FieldRecord;
  bytes: number[];
}

/** A random sequence with its start states: made by `generate` from its seed alone. */
export interface Sequence {
  seed: number;
  thumb: boolean;
  /** Pieces that can be dropped one by one: an IT block is one piece. */
  pieces: Insn[][];
  scratchSeed: number;
  states: Registers[];
}

/** What each general register is good for in one sequence. */
interface Roles {
  /** Hold scratch addresses; not written by data processing. */
  bases: number[];
  /** Holds a small number, to be added to a base. */
  index: number;
}

const registerField = /^(r[dnmsta]|rt2|rd[nm]|rdlo|rdhi|hi|lo|rdhi|ra)$/;
const destinationField = /^(rd|rt|rt2|rdn|rdlo|rdhi|hi|lo)$/;

const interestingWords = [0, 1, 2, 3, 31, 32, 33, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000];
const interestingTops = [
  0x7fffffff, 0x80000000, 0x80000001, 0xffffffff, 0xfffffffe, 0x7f800000, 0x00ff00ff, 0x80808080,
];

function randomWord(rng: Prng): number {
  if (rng.chance(30)) return rng.pick(interestingWords);
  if (rng.chance(25)) return rng.pick(interestingTops);
  if (rng.chance(20)) return 0xffffffff - rng.below(256);
  return rng.u32();
}

const f64 = new Float64Array(1);
const f64Bits = new BigUint64Array(f64.buffer);
const f32 = new Float32Array(2);
const f32Bits = new BigUint64Array(f32.buffer);

const specialDoubles: bigint[] = [
  0n,
  0x8000000000000000n,
  0x3ff0000000000000n,
  0xbff0000000000000n,
  0x7ff0000000000000n,
  0xfff0000000000000n,
  0x7ff8000000000000n,
  0xfff8000000001234n,
  0x7ff0000000000001n,
  0xfff4000000000000n,
  1n,
  0x800fffffffffffffn,
  0x0010000000000000n,
  0x7fefffffffffffffn,
  0x3fe0000000000000n,
  0x41dfffffffc00000n,
  0x41e0000000000000n,
  0xc1e0000000000000n,
  0x43e0000000000000n,
  0x3ca0000000000000n,
  0x36a0000000000000n,
  0x47efffffe0000000n,
];

const specialSingles: number[] = [
  0, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc01234, 0x7f800001, 0xffa00000, 1,
  0x807fffff, 0x00800000, 0x7f7fffff, 0x3f000000, 0x4f000000, 0xcf000000, 0x4effffff, 0x4b000001, 0x33800000,
];

function randomSingle(rng: Prng): number {
  if (rng.chance(30)) return rng.pick(specialSingles);
  if (rng.chance(30)) return rng.u32();
  // Near 1, so that sums cancel and products stay in range.
  return (
    ((rng.below(2) << 31) |
      ((127 - 12 + rng.below(24)) << 23) |
      (rng.u32() & (rng.chance(30) ? 0x7f0000 : 0x7fffff))) >>>
    0
  );
}

function randomDouble(rng: Prng): bigint {
  const kind = rng.below(10);
  if (kind < 3) return rng.pick(specialDoubles);
  if (kind < 6) return (BigInt(randomSingle(rng)) << 32n) | BigInt(randomSingle(rng));
  if (kind < 7) return (BigInt(rng.u32()) << 32n) | BigInt(rng.u32());
  if (kind < 8) {
    f64[0] = (rng.u32() | 0) / 2 ** rng.below(40);
    return f64Bits[0];
  }
  if (kind < 9) {
    f32[0] = (rng.u32() | 0) / 2 ** rng.below(30);
    f32[1] = rng.below(2000) - 1000;
    return f32Bits[0];
  }
  const exponent = BigInt(1023 - 20 + rng.below(40));
  return (BigInt(rng.below(2)) << 63n) | (exponent << 52n) | (BigInt(rng.u32()) << (rng.chance(50) ? 20n : 0n));
}

/** FPSCR values: flags, rounding mode, flush-to-zero, default NaN; no vector length, no trap enable. */
function randomFpscr(rng: Prng): number {
  let value = rng.chance(50) ? 0 : (rng.u32() & 0xf0000000) >>> 0;
  if (rng.chance(25)) value |= rng.below(4) << 22;
  if (rng.chance(15)) value |= 1 << 24;
  if (rng.chance(15)) value |= 1 << 25;
  if (rng.chance(15)) value |= rng.u32() & 0x0808009f;
  return value >>> 0;
}

const isVector = (name: string): boolean => /^V/i.test(name);

function randomRegister(
  rng: Prng,
  field: string,
  width: number,
  memory: boolean,
  roles: Roles,
  thumb: boolean,
): number {
  const limit = width === 3 ? 8 : 15;
  if (memory && field === 'rn') {
    const bases = roles.bases.filter((base) => base < limit);
    return width > 3 && rng.chance(15) ? 13 : rng.pick(bases);
  }
  if (memory && field === 'rm') return roles.index;
  const reserved =
    destinationField.test(field) && rng.chance(96) ? [13, roles.index, ...roles.bases] : thumb ? [13] : [];
  for (;;) {
    const register = rng.below(limit);
    if (!reserved.includes(register)) return register;
  }
}

function randomField(rng: Prng, row: AnyRow, field: string, width: number, roles: Roles, thumb: boolean): number {
  const memory = isMemory(row.name);
  if (field === 'cond') return rng.chance(70) ? 14 : rng.below(14);
  if (registerField.test(field) && (width === 3 || width === 4))
    return randomRegister(rng, field, width, memory, roles, thumb);
  const limit = width >= 32 ? 0x100000000 : 2 ** width;
  if (memory && !isVector(row.name)) {
    // Mostly near the base; the rest of the range is allowed to fault.
    const indexed = rowBits(row).names.includes('rm');
    if (indexed && rng.chance(90)) {
      if (/^(imm|imm5|imm2|amount|shift)/.test(field)) return rng.below(Math.min(limit, 4));
      if (/^(type|stype|ty)/.test(field)) return 0;
    }
    if (field.startsWith('imm') && rng.chance(85)) return rng.below(Math.min(limit, 256));
  }
  return rng.u32() % limit;
}

const bytesOf = (encoding: number, width: number): number[] => {
  if (width === 16) return [encoding & 255, encoding >>> 8];
  return [encoding & 255, (encoding >>> 8) & 255, (encoding >>> 16) & 255, encoding >>> 24];
};

/** Bytes of an encoding in memory order; T32 words are two halfwords, the first on top. */
export function encodingBytes(encoding: number, width: number, thumb: boolean): number[] {
  if (!thumb || width === 16) return bytesOf(encoding, width);
  return [...bytesOf(encoding >>> 16, 16), ...bytesOf(encoding & 0xffff, 16)];
}

const builder = new Builder();

/**
 * Whether tsemu takes an instruction to be undefined: rarely tried, since a sequence ends there. What it wrongly takes
 * so is tried rarely too, but is.
 */
function isUndefined(bytes: readonly number[], thumb: boolean): boolean {
  const at = (address: number): number => (address < bytes.length ? bytes[address] | (bytes[address + 1] << 8) : 0);
  const code: CodeReader = {
    fetch8: (address) => bytes[address] ?? 0,
    fetch16: at,
    fetch32: (address) => at(address) | (at(address + 2) << 16),
    fetchable: () => true,
    constant: () => false,
  };
  translateBlock(armTarget, builder, code, thumb ? 1 : 0, 0, { maxInstructions: 1 });
  const { block } = builder;
  for (let i = 0; i < block.length; i++) {
    if (block.op[i] === Op.exit && block.x[i] === ExitReason.undefined) return true;
  }
  return false;
}

function randomInsn(rng: Prng, set: InsnSet, roles: Roles): Insn {
  for (;;) {
    const row = rng.pick(set.candidates);
    const { width } = rowBits(row);
    for (let attempt = 0; attempt < 40; attempt++) {
      const fields: Record<string, number> = { ...row.options.set };
      const quads = rng.chance(88);
      for (const [field, bits] of fieldWidths(row))
        fields[field] = randomField(rng, row, field, bits, roles, set.thumb);
      // Quad registers have even numbers and few operations work on lanes of 64 bits: the rest is undefined.
      if (quads) for (const field of ['vd', 'vn', 'vm']) if (field in fields) fields[field] &= ~1;
      if (quads && fields['size'] === 3) fields['size'] = rng.below(3);
      if (row.options.when && !row.options.when(fields as never)) continue;
      if (!isPredictable({ name: row.name, thumb: set.thumb, fields })) continue;
      const encoding = encode(row, fields);
      if (!decodesTo(set, row, encoding)) continue;
      const bytes = encodingBytes(encoding, width, set.thumb);
      if (isUndefined(bytes, set.thumb) && rng.chance(85)) continue;
      return { name: row.name, fields, bytes };
    }
  }
}

const NOT_IN_IT = /^(IT|CB|CPS|SETEND|BKPT|HINT|NOP|CRC)/i;

/** An IT instruction and the instructions of its block. */
function itBlock(rng: Prng, set: InsnSet, roles: Roles): Insn[] {
  const count = 1 + rng.below(4);
  const body = Array.from({ length: count }, () => randomInsn(rng, set, roles));
  if (body.some(({ name }) => NOT_IN_IT.test(name))) return body;
  const cond = rng.below(14);
  let mask = 0;
  for (let i = 1; i < count; i++) mask = (mask << 1) | ((cond & 1) ^ rng.below(2));
  mask = ((mask << 1) | 1) << (4 - count);
  const encoding = 0xbf00 | (cond << 4) | mask;
  return [{ name: 'IT', fields: { cond, mask }, bytes: bytesOf(encoding, 16) }, ...body];
}

/** A conditional branch over the instructions after it. */
function skipBlock(rng: Prng, set: InsnSet, roles: Roles): Insn[] {
  const body = Array.from({ length: 1 + rng.below(2) }, () => randomInsn(rng, set, roles));
  const length = body.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const cond = rng.below(14);
  const bytes = set.thumb
    ? bytesOf(0xd000 | (cond << 8) | ((length - 2) >> 1), 16)
    : bytesOf(((cond << 28) | 0x0a000000 | ((length - 4) >> 2)) >>> 0, 32);
  return [{ name: 'B', fields: { cond }, bytes }, ...body];
}

/**
 * Instructions whose data is big-endian, between two SETEND. Without exclusives: the oracle's monitor compares values as
 * loaded, and fails where the data order has changed since.
 */
function endianBlock(rng: Prng, set: InsnSet, roles: Roles): Insn[] {
  const body = Array.from({ length: 1 + rng.below(3) }, () => randomInsn(rng, set, roles));
  if (body.some(({ name }) => name.includes('EX'))) return body;
  const setend = (e: number): Insn => ({
    name: 'SETEND',
    fields: { e },
    bytes: set.thumb ? bytesOf(0xb650 | (e << 3), 16) : bytesOf((0xf1010000 | (e << 9)) >>> 0, 32),
  });
  return [setend(1), ...body, setend(0)];
}

/** An address in the scratch pages, sometimes at an edge of one. */
function randomAddress(rng: Prng, aligned: boolean): number {
  const offset = aligned ? 0 : rng.below(8);
  if (rng.chance(90)) return scratchBase + scratchBytes / 4 + 8 * rng.below(scratchBytes / 16) + offset;
  const edge = rng.pick([0, 4096, 4096, scratchBytes]);
  return scratchBase + edge + 8 * (rng.below(10) - 5) + offset;
}

function randomRegisters(rng: Prng, roles: Roles, aligned: boolean): Registers {
  const r = Array.from({ length: 15 }, () => randomWord(rng));
  for (const base of roles.bases) r[base] = randomAddress(rng, aligned);
  r[roles.index] = rng.chance(60) ? 8 * rng.below(16) : rng.below(128);
  r[13] = (randomAddress(rng, true) & ~7) >>> 0;
  return {
    r,
    cpsr: (rng.u32() & 0xf80f0000) >>> 0,
    fpscr: randomFpscr(rng),
    d: Array.from({ length: 32 }, () => randomDouble(rng)),
  };
}

/** Without exclusives of another size than the first one's: STREX after an LDREX of another size is UNPREDICTABLE. */
function sameExclusives(pieces: Insn[][]): Insn[][] {
  const sizeOf = ({ name }: Insn): string | undefined => /^(?:LDA?|STL?)(?:R?EX)([BHD]?)/.exec(name)?.[1];
  const size = pieces
    .flat()
    .map(sizeOf)
    .find((found) => found !== undefined);
  const kept = pieces.filter((piece) => piece.every((insn) => [undefined, size].includes(sizeOf(insn))));
  return kept.length > 0 ? kept : pieces;
}

/** Seeds that have their scratch memory in common: filling it costs more than running a sequence. */
const sameScratch = 16;

/** The sequence of a seed: 1 to `length` pieces of instructions from the set, and start states. */
export function generate(set: InsnSet, seed: number, length = 6, states = 1): Sequence {
  const rng = new Prng(seed);
  const low = [0, 1, 2, 3, 4, 5, 6, 7];
  const take = (): number => low.splice(rng.below(low.length), 1)[0];
  const roles: Roles = { bases: [take(), take()], index: take() };
  const count = rng.chance(30) ? 1 : 1 + rng.below(length);
  const pieces = Array.from({ length: count }, () => {
    if (set.thumb && rng.chance(20)) return itBlock(rng, set, roles);
    if (rng.chance(5)) return endianBlock(rng, set, roles);
    return rng.chance(8) ? skipBlock(rng, set, roles) : [randomInsn(rng, set, roles)];
  });
  const strict = pieces.flat().some(({ name }) => needsAlignment(name));
  const first = pieces[0][0];
  const kept = pieces.filter((piece, i) => !piece.some((insn, j) => /^VMSR/i.test(insn.name) && (i > 0 || j > 0)));
  const newState = (): Registers => {
    const registers = randomRegisters(rng, roles, strict || rng.chance(60));
    // A random FPSCR would ask for short vectors and traps, which our CPU does not have.
    if (/^VMSR/i.test(first.name) && first.fields['rt'] !== undefined)
      registers.r[first.fields['rt']] = randomFpscr(rng);
    return registers;
  };
  return {
    seed,
    thumb: set.thumb,
    pieces: sameExclusives(kept),
    scratchSeed: new Prng(Math.floor(seed / sameScratch)).u32(),
    states: Array.from({ length: states }, newState),
  };
}
