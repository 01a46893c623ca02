import { Method } from '#target/i386/operand.ts';
import { Prefix, type RowBits, rowBits, vexMaps, type X86Row } from '#target/i386/row.ts';
import { simdRows } from '#target/i386/simd.rows.ts';
import { sseRows } from '#target/i386/sse.rows.ts';
import { x87Rows } from '#target/i386/x87.rows.ts';
import { Prng } from '../random/prng.ts';
import { scratchBase, scratchBytes } from '../random/runner.ts';
import { approximate, isFx, otherFx, randomFx } from './generate-fx.ts';
import type { Registers } from './rig.ts';

/** An instruction and what makes its flags known again. */
export interface Piece {
  readonly row: X86Row;
  readonly name: string;
  readonly bytes: readonly number[];
}

export interface Sequence {
  readonly seed: number;
  readonly states: readonly Registers[];
  readonly scratchSeed: number;
  readonly pieces: readonly (readonly [Piece])[];
}

/** EFLAGS bits. */
const CF = 1;
const PF = 4;
const AF = 0x10;
const ZF = 0x40;
const SF = 0x80;
const OF = 0x800;

/** Flags that the manual leaves open after an instruction. */
const open: Readonly<Record<string, number>> = {
  SHL: AF | OF | CF,
  SHR: AF | OF | CF,
  SAR: AF | OF,
  ROL: OF,
  ROR: OF,
  RCL: OF,
  RCR: OF,
  SHLD: AF | OF,
  SHRD: AF | OF,
  MUL: SF | ZF | AF | PF,
  IMUL: SF | ZF | AF | PF,
  DIV: CF | PF | AF | ZF | SF | OF,
  IDIV: CF | PF | AF | ZF | SF | OF,
  BSF: CF | PF | AF | SF | OF,
  BSR: CF | PF | AF | SF | OF,
  LZCNT: OF | SF | PF | AF,
  TZCNT: OF | SF | PF | AF,
  BT: OF | SF | AF | PF,
  BTS: OF | SF | AF | PF,
  BTR: OF | SF | AF | PF,
  BTC: OF | SF | AF | PF,
  DAA: OF,
  DAS: OF,
  AAA: OF | SF | ZF | PF,
  AAS: OF | SF | ZF | PF,
  AAM: OF | AF | CF,
  AAD: OF | AF | CF,
  ANDN: AF | PF,
  BEXTR: AF | PF | SF,
  BLSI: AF | PF,
  BLSMSK: AF | PF,
  BLSR: AF | PF,
  BZHI: AF | PF,
};
/** By a count of 1 OF is defined; CF is where the count is less than the operand's bits. */
const shifts = /^(SHL|SHR|SAR|ROL|ROR|RCL|RCR|SHLD|SHRD)$/;

/** What is not tried: it would leave the rig, looks at the host, or stores where in the rig it stands. */
const excluded =
  /^(INT1|CALL|RET|RETF|IRET|INT|SYSENTER|SYSEXIT|CPUID|RDTSC|RDTSCP|POPF|SLDT|STR|SMSW|SGDT|SIDT|LAR|LSL|VERR|VERW|LDS|LES|LSS|LFS|LGS|INVLPG|LMSW|RDPMC|FXSAVE|FXRSTOR|FNSAVE|FNSTENV|STMXCSR)$/;
const touchesSegments = (row: X86Row): boolean => /\b(ES|CS|SS|DS|FS|GS|Sw)\b/.test(row.codes);
const isJump = (row: X86Row): boolean => /\bJ[bz]\b/.test(row.codes);
/** Jumps through registers, memory and far pointers. */
const goesAnywhere = (row: X86Row): boolean => row.name === 'JMP' && !isJump(row);

/** What mostly ends a sequence with a signal is tried rarely. */
const fatal =
  /^(INS|OUTS|IN|OUT|HLT|CLI|STI|CLTS|INVD|WBINVD|WRMSR|RDMSR|LLDT|LTR|LGDT|LIDT|INT3|UD2|BOUND|LEAVE|DIV|IDIV|INTO|MOVBE)$/;
const isFatal = (row: X86Row): boolean => fatal.test(row.name) || /[CD]d/.test(row.codes);

/** Classes of instructions: those on general registers, and those on the registers of FXSAVE. */
export const classes: Readonly<Record<string, (row: X86Row) => boolean>> = {
  integer: (row) => !isFx(row),
  x87: (row) => x87Rows.includes(row),
  simd: (row) => simdRows.includes(row),
  sse: (row) => sseRows.includes(row),
};

/** The rows that random sequences are made of. */
export const candidates = (rows: readonly X86Row[]): readonly X86Row[] =>
  rows.filter((row) => !excluded.test(row.name) && !touchesSegments(row) && !goesAnywhere(row));

const maps = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]];
const interesting = [0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 0x99, 9];

function randomWord(prng: Prng): number {
  if (prng.chance(30)) return prng.pick(interesting);
  return prng.chance(30) ? prng.below(256) : prng.u32();
}

/** An address in the scratch pages, sometimes so near to their end that an access runs out of them. */
function randomPointer(prng: Prng): number {
  if (prng.chance(6)) return scratchBase + scratchBytes - prng.below(20);
  if (prng.chance(10)) return scratchBase + scratchBytes / 2 - prng.below(16);
  return scratchBase + 256 + prng.below(scratchBytes - 1024);
}

/** Registers that hold pointers: most of the time ESP and some of the others, mostly both that string instructions want. */
function randomPointers(prng: Prng): number[] {
  const pointers = registerNumbers.filter((n) => n === 4 || prng.chance(40));
  return prng.chance(60) ? [...new Set([...pointers, 6, 7])] : pointers;
}
const registerNumbers: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7];

/** Registers, those of `pointers` with addresses in the scratch pages. */
function randomRegisters(prng: Prng, pointers: readonly number[], fx: Uint8Array | undefined): Registers {
  const r = registerNumbers.map(() => randomWord(prng));
  for (const n of pointers) {
    const isStack = n === 4 && prng.chance(97);
    r[n] = isStack ? scratchBase + 512 + 4 * prng.below(1500) : randomPointer(prng);
    if (fx) r[n] = (r[n] & ~15) >>> 0;
  }
  if (!fx && prng.chance(50)) r[1] = prng.below(40);
  const status = prng.u32() & (CF | PF | AF | ZF | SF | OF);
  return { r, eflags: 0x202 | status | (prng.chance(20) ? 0x400 : 0), ...(fx && { fx }) };
}

const word = (value: number, bytes: number): number[] =>
  Array.from({ length: bytes }, (_, i) => (value >>> (8 * i)) & 0xff);

/** ModRM, SIB and displacement of a memory operand. */
function memoryOperand(
  prng: Prng,
  reg: number,
  pointers: readonly number[],
  address16: boolean,
  aligned: boolean,
): number[] {
  const field = reg << 3;
  if (aligned && pointers.length > 0) {
    const base = prng.pick(pointers);
    const displacement = word(16 * prng.below(30), 4);
    return base === 4 ? [0x84 | field, 0x24, ...displacement] : [0x80 | field | base, ...displacement];
  }
  if (address16) return [0x40 | field | prng.below(8), prng.below(256)];
  const way = prng.below(10);
  if (way === 0) return [field | 5, ...word(randomPointer(prng), 4)];
  const base = prng.chance(99) && pointers.length > 0 ? prng.pick(pointers) : prng.below(8);
  if (way < 6) {
    if (base === 4) return [0x44 | field, 0x24, prng.below(64)];
    return prng.chance(50) || base === 5 ? [0x40 | field | base, prng.below(128)] : [field | base];
  }
  if (way < 9)
    return [0x80 | field | (base === 4 ? 4 : base), ...(base === 4 ? [0x24] : []), ...word(prng.below(1000) - 500, 4)];
  // An index that is most likely too far.
  const index = prng.chance(50) ? 4 : prng.below(8);
  return [0x44 | field, (prng.below(4) << 6) | (index << 3) | base, prng.below(256)];
}

function encode(row: X86Row, prng: Prng, pointers: readonly number[]): number[] {
  const bits = rowBits(row);
  const prefixes: number[] = [];
  const vex = bits.map >= 2 + vexMaps;
  const wide = vex || /^(BSWAP|SHLD|SHRD|CRC32)$/.test(row.name);
  const isString = bits.operands.some(({ method }) => method === Method.X || method === Method.Y);
  let bytes: 2 | 4 = 4;
  if (!wide && bits.prefix !== 0x66 && !isJump(row) && prng.chance(25)) {
    prefixes.push(0x66);
    if (bits.prefix !== 0) bytes = 2;
    else return encode(row, prng, pointers);
  }
  const address16 = !isString && row.name !== 'XLAT' && prng.chance(1);
  if (address16) prefixes.push(0x67);
  if (prng.chance(4)) prefixes.push(prng.pick([0x26, 0x36, 0x3e]));
  if (isString && prng.chance(60)) prefixes.push(prng.pick([0xf2, 0xf3]));
  if (prng.chance(row.options.lock ? 15 : 1)) prefixes.push(0xf0);
  if (bits.prefix > 0 && !vex) prefixes.push(bits.prefix);
  const opcode = bits.first + prng.below(bits.last - bits.first + 1);
  const body = bits.modrm ? modrm(bits, prng, pointers, address16, isFx(row) && prng.chance(85)) : [];
  return [
    ...prefixes,
    ...(vex ? vexPrefix(bits, prng) : maps[bits.map]),
    opcode,
    ...body,
    ...immediates(bits, row, prng, bytes, address16 ? 2 : 4),
  ];
}

/** The three bytes of a VEX prefix with any register in it; bits that mean nothing in 32-bit mode may be either. */
const vexPrefix = (bits: RowBits, prng: Prng): number[] => [
  0xc4,
  0xc0 | (prng.below(2) << 5) | (bits.map - vexMaps),
  (prng.below(2) << 7) | (prng.below(16) << 3) | vexPrefixes.indexOf(bits.prefix),
];
const vexPrefixes: readonly number[] = [Prefix.none, Prefix.p66, Prefix.f3, Prefix.f2];

function modrm(bits: RowBits, prng: Prng, pointers: readonly number[], address16: boolean, aligned: boolean): number[] {
  const reg = (bits.modrmMask & 0x38) === 0x38 ? (bits.modrmValue >> 3) & 7 : prng.below(8);
  const whole = (bits.modrmMask & 0xc0) !== 0;
  if (whole) return [bits.modrmValue | (prng.u32() & ~bits.modrmMask & 0xff)];
  const memory = bits.rm === 'memory' || (bits.rm === 'any' && prng.chance(50));
  return memory ? memoryOperand(prng, reg, pointers, address16, aligned) : [0xc0 | (reg << 3) | prng.below(8)];
}

function immediates(bits: RowBits, row: X86Row, prng: Prng, bytes: 2 | 4, addressBytes: number): number[] {
  return bits.operands.flatMap(({ method, size }) => {
    const length = size < 0 ? bytes : size;
    if (row.name === 'ENTER') return size === 2 ? word(prng.below(64), 2) : [prng.chance(60) ? 0 : prng.below(6)];
    switch (method) {
      case Method.I:
      case Method.Is:
        return word(
          length === 1 && shifts.test(row.name) && prng.chance(70) ? prng.below(33) : randomWord(prng),
          length,
        );
      case Method.O:
        return word(addressBytes === 2 ? prng.below(65536) : randomPointer(prng), addressBytes);
      default:
        return [];
    }
  });
}

/** SETcc of `cond` into the scratch page. */
const setcc = (cond: number, at: number): number[] => [0x0f, 0x90 | cond, 0x05, ...word(at, 4)];
/** CMP r, r of two registers: all flags are known after it. */
const compare = (prng: Prng): number[] => [0x39, 0xc0 | prng.below(64)];

/** Flags with the condition that tells them. */
const told: readonly (readonly [number, number])[] = [
  [CF, 2],
  [OF, 0],
  [ZF, 4],
  [SF, 8],
  [PF, 10],
];

/** The instruction, and behind one that leaves flags open what notes the others and sets all. */
function piece(row: X86Row, prng: Prng, pointers: readonly number[]): Piece {
  const bytes = encode(row, prng, pointers);
  if (isJump(row)) {
    const next = [0x40 | prng.below(8)];
    const jump = rowBits(row).operands[0].size === 1 ? word(next.length, 1) : word(next.length, 4);
    return { row, name: row.name, bytes: [...bytes, ...jump, ...next] };
  }
  let unknown = open[row.name] ?? 0;
  if (unknown === 0) return { row, name: row.name, bytes };
  if (shifts.test(row.name) && row.codes.endsWith(',1')) unknown &= ~OF & ~CF;
  const notes = told
    .filter(([flag]) => (unknown & flag) === 0)
    .flatMap(([, cond], i) => setcc(cond, scratchBase + 8 + i));
  return { row, name: row.name, bytes: [...bytes, ...notes, ...compare(prng)] };
}

export interface GenerateOptions {
  /** Pieces at most. */
  length: number;
  /** States to run it from. */
  states?: number;
  /** States have random x87, MMX and SSE registers. */
  fx?: boolean;
}

/** Seeds that have their scratch memory in common: filling it costs more than running a sequence. */
const sameScratch = 16;

/** The sequence of a seed. */
export function generate(
  rows: readonly X86Row[],
  seed: number,
  { length, states = 1, fx = false }: GenerateOptions,
): Sequence {
  const prng = new Prng(seed);
  const pointers = randomPointers(prng);
  const count = 1 + prng.below(length);
  const pieces: [Piece][] = [];
  // What is known nearly only is the last one: no other may depend on it.
  while (pieces.length < count && !approximate.test(pieces.at(-1)?.[0].name ?? '')) {
    let row = prng.pick(rows);
    while (isFatal(row) && !prng.chance(10)) row = prng.pick(rows);
    pieces.push([piece(row, prng, pointers)]);
  }
  const firstFx = fx ? randomFx(prng) : undefined;
  return {
    seed,
    pieces,
    scratchSeed: new Prng(Math.floor(seed / sameScratch)).u32(),
    states: Array.from({ length: states }, (_, i) =>
      randomRegisters(prng, pointers, firstFx && (i === 0 ? firstFx : otherFx(prng, firstFx))),
    ),
  };
}
