/**
 * The opcode map: an instruction is one row of typed data, in the manual's notation.
 *
 *     row('ADD', '00', 'Eb,Gb', add)
 *     row('CMPXCHG8B', '0F C7 /1', 'Mq', cmpxchg8b, { lock: true })
 *     row('MOVD', '66 0F 6E', 'Vdq,Ed', movd)
 *     row('FADD', 'D8 C0+i', 'ST0,STi', fadd)
 *
 * An opcode is written as
 * - optionally the mandatory prefix: `NP` (none of the others), `66`, `F3` or `F2`. Without one, any prefix will do;
 * - before all, `VEX` for what that prefix encodes, which has the same mandatory prefixes and maps;
 * - `0F`, `0F 38` or `0F 3A` for the maps other than the first;
 * - the opcode byte, with `+r` if its bits 2:0 are a register number (operand Z);
 * - optionally `/0` … `/7`: what ModRM.reg must be; or a whole ModRM byte, with `+i` if its bits 2:0 are a number.
 *
 * Operands are codes of `operand.ts`; those of ModRM.rm tell whether it may be memory (E W Q), must be (M) or must not
 * (R U N). Decoding takes the first row of the list that matches, so a more specific row precedes a general one.
 */
import type { X86Context } from './context.ts';
import { Method, type Operand, operandOf, usesModrm } from './operand.ts';

export interface RowOptions {
  /** LOCK is allowed when the destination is memory. */
  readonly lock?: true;
}

/** One instruction encoding. */
export interface X86Row {
  /** The manual's mnemonic. */
  readonly name: string;
  readonly opcode: string;
  readonly codes: string;
  readonly translate: (c: X86Context) => void;
  readonly options: RowOptions;
  /** Parsed when first needed. */
  bits: RowBits | undefined;
}

/** Mandatory prefixes; `any` accepts all. */
export const Prefix = { any: -1, none: 0, p66: 0x66, f3: 0xf3, f2: 0xf2 } as const;

/** A row's opcode and operands, parsed. */
export interface RowBits {
  readonly prefix: number;
  /** 0 one-byte, 1 0F, 2 0F 38, 3 0F 3A; the latter two by VEX 4 and 5. */
  readonly map: number;
  /** First and last opcode byte. */
  readonly first: number;
  readonly last: number;
  readonly modrm: boolean;
  /** ModRM bits that decide, and their values. */
  readonly modrmMask: number;
  readonly modrmValue: number;
  /** ModRM.mod must be 3 (`register`), must not (`memory`), or may (`any`). */
  readonly rm: 'any' | 'register' | 'memory';
  readonly operands: readonly Operand[];
}

/** Of the maps that VEX can name, those with instructions: how far their numbers are from the same ones without it. */
export const vexMaps = 2;
export const mapCount = 6;

const noOptions: RowOptions = {};

export const row = (
  name: string,
  opcode: string,
  codes: string,
  translate: (c: X86Context) => void,
  options: RowOptions = noOptions,
): X86Row => ({ name, opcode, codes, translate, options, bits: undefined });

/** The parsed form of a row. Throws on a malformed one. */
export function rowBits(from: X86Row): RowBits {
  return (from.bits ??= parseRow(from));
}

const prefixes: Readonly<Record<string, number>> = { NP: 0, '66': 0x66, F3: 0xf3, F2: 0xf2 };

function parseRow({ name, opcode, codes }: X86Row): RowBits {
  const bad = (): never => {
    throw new Error(`opcode row ${name}: bad opcode ${opcode}`);
  };
  const tokens = opcode.split(' ');
  const vex = tokens[0] === 'VEX';
  let at = vex ? 1 : 0;
  let prefix: number = Prefix.any;
  const after = tokens[at + 1];
  if (prefixes[tokens[at]!] !== undefined && after !== undefined && /^[0-9A-F]/.test(after)) {
    prefix = prefixes[tokens[at++]!]!;
  }
  let map = 0;
  if (tokens[at] === '0F' && tokens.length > at + 1) {
    map = 1;
    at++;
    if ((tokens[at] === '38' || tokens[at] === '3A') && tokens.length > at + 1) map = tokens[at++] === '38' ? 2 : 3;
  }
  if (vex) map += vexMaps;
  const byte = /^([0-9A-F]{2})(\+r)?$/.exec(tokens[at++] ?? '') ?? bad();
  const first = Number.parseInt(byte[1]!, 16);
  const last = byte[2] === undefined ? first : first + 7;
  let modrmMask = 0;
  let modrmValue = 0;
  const rest = tokens[at++];
  const digit = /^\/([0-7])$/.exec(rest ?? '');
  const whole = /^([0-9A-F]{2})(\+i)?$/.exec(rest ?? '');
  if (digit) {
    modrmMask = 0x38;
    modrmValue = Number(digit[1]) << 3;
  } else if (whole) {
    modrmMask = whole[2] === undefined ? 0xff : 0xf8;
    modrmValue = Number.parseInt(whole[1]!, 16);
  } else if (rest !== undefined) bad();
  if (tokens.length > at) bad();
  const operands = codes === '' ? [] : codes.split(',').map(operandOf);
  let rm: RowBits['rm'] = 'any';
  let modrm = modrmMask !== 0;
  for (const { method } of operands) {
    modrm ||= usesModrm(method);
    if (method === Method.M) rm = 'memory';
    if (method === Method.R || method === Method.U || method === Method.N) rm = 'register';
  }
  return { prefix, map, first, last, modrm, modrmMask, modrmValue, rm, operands };
}

/** Does ModRM byte `modrm` fit the row? */
export function modrmMatches(bits: RowBits, modrm: number): boolean {
  if (((modrm ^ bits.modrmValue) & bits.modrmMask) !== 0) return false;
  return bits.rm === 'any' || (bits.rm === 'register') === modrm >= 0xc0;
}
