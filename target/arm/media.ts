import type { Value } from '#tcg/builder.ts';
import type { FieldRecord } from '#tcg/decode.ts';
import { Op } from '#tcg/ops.ts';
import type { ArmContext } from './context.ts';
import { crc32cHelper, crc32Helper } from './crc32.ts';
import * as multiply from './media-multiply.ts';
import { addHalves, type LaneRule, type LaneShape, parallel, selectBytes, sumOfDifferences } from './media-parallel.ts';
import { saturatingAddSub, ssat, ssat16, usat, usat16 } from './media-saturate.ts';
import { type ArmRow, row } from './row.ts';
import { armState } from './state.ts';

/*
 * Media instructions (DDI 0406C A4.4.3–A4.4.7, A5.4), the DSP multiplies among the miscellaneous ones (A5.2.7) and
 * CRC32 (DDI 0487 F5.1.41). R15 as an operand is UNPREDICTABLE throughout and taken as undefined.
 */

const slotGe = armState.offset('ge');

interface ThreeRegisters {
  readonly rd: number;
  readonly rn: number;
  readonly rm: number;
}

const noPc = (f: FieldRecord): boolean =>
  f['rd'] !== 15 && f['rn'] !== 15 && f['rm'] !== 15 && f['ra'] !== 15 && f['hi'] !== 15 && f['lo'] !== 15;
const checked = { when: noPc } as const;
/** One register written, nothing else. */
const pure = { when: noPc, pure: true } as const;
const pureUnrotated = { pure: true, set: { rot: 0 } } as const;

// ---- parallel addition and subtraction

const lanes =
  (rule: LaneRule, shape: LaneShape) =>
  (c: ArmContext, f: ThreeRegisters): void => {
    const { result, ge } = parallel(c.b, rule, shape, c.reg(f.rn), c.reg(f.rm));
    if (ge !== undefined) c.b.set32(slotGe, ge);
    c.setReg(f.rd, result);
  };

const a32Rules = [
  ['001', 'S'],
  ['010', 'Q'],
  ['011', 'SH'],
  ['101', 'U'],
  ['110', 'UQ'],
  ['111', 'UH'],
] as const;
const a32Shapes = [
  ['000', 'ADD16'],
  ['001', 'ASX'],
  ['010', 'SAX'],
  ['011', 'SUB16'],
  ['100', 'ADD8'],
  ['111', 'SUB8'],
] as const;
const t32Rules = [
  ['000', 'S'],
  ['001', 'Q'],
  ['010', 'SH'],
  ['100', 'U'],
  ['101', 'UQ'],
  ['110', 'UH'],
] as const;
const t32Shapes = [
  ['001', 'ADD16'],
  ['010', 'ASX'],
  ['110', 'SAX'],
  ['101', 'SUB16'],
  ['000', 'ADD8'],
  ['100', 'SUB8'],
] as const;

const laneOptions = (rule: LaneRule) => (rule === 'S' || rule === 'U' ? checked : pure);

const parallelA32: ArmRow[] = a32Rules.flatMap(([rule, prefix]) =>
  a32Shapes.map(([shape, suffix]) =>
    row(
      `${prefix}${suffix}`,
      `cond:4 01100${rule} rn:4 rd:4 1111 ${shape}1 rm:4`,
      lanes(prefix, suffix),
      laneOptions(prefix),
    ),
  ),
);
const parallelT32: ArmRow[] = t32Rules.flatMap(([rule, prefix]) =>
  t32Shapes.map(([shape, suffix]) =>
    row(
      `${prefix}${suffix}`,
      `111110101${shape} rn:4 1111 rd:4 0${rule} rm:4`,
      lanes(prefix, suffix),
      laneOptions(prefix),
    ),
  ),
);

/** SEL rd, rn, rm */
function sel(c: ArmContext, f: ThreeRegisters): void {
  c.setReg(f.rd, selectBytes(c.b, c.b.get32(slotGe), c.reg(f.rn), c.reg(f.rm)));
}

/** USAD8 rd, rn, rm */
function usad8(c: ArmContext, f: ThreeRegisters): void {
  c.setReg(f.rd, sumOfDifferences(c.b, c.reg(f.rn), c.reg(f.rm)));
}

/** USADA8 rd, rn, rm, ra */
function usada8(c: ArmContext, f: ThreeRegisters & { readonly ra: number }): void {
  c.setReg(f.rd, c.b.add(c.reg(f.ra), sumOfDifferences(c.b, c.reg(f.rn), c.reg(f.rm))));
}

// ---- packing and extension

/** PKHBT rd, rn, rm{, LSL #imm}; PKHTB rd, rn, rm{, ASR #imm} (32 for 0) */
function pkh(c: ArmContext, f: ThreeRegisters & { readonly imm: number; readonly tb: number }): void {
  const { b } = c;
  const n = c.reg(f.rn);
  const m = c.reg(f.rm);
  const [bottom, top] = f.tb ? [b.shrSImm(m, f.imm === 0 ? 31 : f.imm), n] : [n, b.shlImm(m, f.imm)];
  c.setReg(f.rd, b.or(b.andImm(top, 0xffff0000), b.andImm(bottom, 0xffff)));
}

type Extension = 'sxtb' | 'sxth' | 'sxtb16' | 'uxtb' | 'uxth' | 'uxtb16';

function extended(c: ArmContext, how: Extension, rm: number, rotation: number): Value {
  const { b } = c;
  const word = b.rotrImm(c.reg(rm), 8 * rotation);
  switch (how) {
    case 'sxtb':
      return b.un(Op.extend8_s_i32, word);
    case 'sxth':
      return b.un(Op.extend16_s_i32, word);
    case 'uxtb':
      return b.andImm(word, 0xff);
    case 'uxth':
      return b.andImm(word, 0xffff);
    case 'uxtb16':
      return b.andImm(word, 0x00ff00ff);
    case 'sxtb16':
      // 0x80 × 0x1fe = 0xff00: each sign bit fills the byte above it.
      return b.or(b.andImm(word, 0x00ff00ff), b.mul(b.andImm(word, 0x00800080), b.i32(0x1fe)));
  }
}

/** SXTB, UXTH … rd, rm{, ROR #8·rot} */
const extend =
  (how: Extension) =>
  (c: ArmContext, f: { readonly rd: number; readonly rm: number; readonly rot: number }): void => {
    c.setReg(f.rd, extended(c, how, f.rm, f.rot));
  };

/** SXTAB, UXTAH … rd, rn, rm{, ROR #8·rot} */
const extendAdd =
  (how: Extension) =>
  (c: ArmContext, f: ThreeRegisters & { readonly rot: number }): void => {
    const { b } = c;
    const n = c.reg(f.rn);
    const value = extended(c, how, f.rm, f.rot);
    c.setReg(f.rd, how === 'sxtb16' || how === 'uxtb16' ? addHalves(b, n, value) : b.add(n, value));
  };

const a32Extensions = [
  ['000', 'sxtb16', 'SXTAB16', 'SXTB16'],
  ['010', 'sxtb', 'SXTAB', 'SXTB'],
  ['011', 'sxth', 'SXTAH', 'SXTH'],
  ['100', 'uxtb16', 'UXTAB16', 'UXTB16'],
  ['110', 'uxtb', 'UXTAB', 'UXTB'],
  ['111', 'uxth', 'UXTAH', 'UXTH'],
] as const;
const t32Extensions = [
  ['010', 'sxtb16', 'SXTAB16', 'SXTB16'],
  ['100', 'sxtb', 'SXTAB', 'SXTB'],
  ['000', 'sxth', 'SXTAH', 'SXTH'],
  ['011', 'uxtb16', 'UXTAB16', 'UXTB16'],
  ['101', 'uxtb', 'UXTAB', 'UXTB'],
  ['001', 'uxth', 'UXTAH', 'UXTH'],
] as const;

const extensionA32: ArmRow[] = a32Extensions.flatMap(([bits, how, add, plain]) => [
  row(plain, `cond:4 01101${bits} 1111 rd:4 rot:2 00 0111 rm:4`, extend(how), pure),
  row(add, `cond:4 01101${bits} rn:4 rd:4 rot:2 00 0111 rm:4`, extendAdd(how), pure),
]);
const extensionT32: ArmRow[] = t32Extensions.flatMap(([bits, how, add, plain]) => [
  row(plain, `111110100${bits} 1111 1111 rd:4 10 rot:2 rm:4`, extend(how), pure),
  row(add, `111110100${bits} rn:4 1111 rd:4 10 rot:2 rm:4`, extendAdd(how), pure),
]);

// ---- CRC32

/** CRC32{C}{B,H,W} rd, rn, rm; `sz`: log2 of the bytes of rm used. */
function crc32(c: ArmContext, f: ThreeRegisters & { readonly sz: number; readonly castagnoli: number }): void {
  const { b } = c;
  const helper = f.castagnoli ? crc32cHelper : crc32Helper;
  c.setReg(f.rd, b.helper(helper, true, c.reg(f.rn), c.reg(f.rm), b.i32(8 << f.sz)));
}

/** A size of 64 bits is UNPREDICTABLE. */
const crcOptions = { when: (f: FieldRecord) => f['sz'] !== 3 && noPc(f), pure: true } as const;

// ---- tables

/** ASR by 0 is SSAT16 or USAT16, whose bit 4 is 0. */
const shiftedT32 = { when: (f: FieldRecord) => noPc(f) && (f['sh'] === 0 || f['imm'] !== 0) } as const;

const qadd = { when: noPc, set: { double: 0, minus: 0 } } as const;
const qsub = { when: noPc, set: { double: 0, minus: 1 } } as const;
const qdadd = { when: noPc, set: { double: 1, minus: 0 } } as const;
const qdsub = { when: noPc, set: { double: 1, minus: 1 } } as const;

/** The A32 encodings. `mTop` and `nTop` pick the top half of rm and rn. */
export const mediaA32: readonly ArmRow[] = [
  ...parallelA32,
  ...extensionA32,
  row('SEL', 'cond:4 01101000 rn:4 rd:4 1111 1011 rm:4', sel, pure),
  row('PKH', 'cond:4 01101000 rn:4 rd:4 imm:5 tb:1 01 rm:4', pkh, pure),
  row('SSAT16', 'cond:4 01101010 sat:4 rd:4 1111 0011 rn:4', ssat16, checked),
  row('USAT16', 'cond:4 01101110 sat:4 rd:4 1111 0011 rn:4', usat16, checked),
  row('SSAT', 'cond:4 0110101 sat:5 rd:4 imm:5 sh:1 01 rn:4', ssat, checked),
  row('USAT', 'cond:4 0110111 sat:5 rd:4 imm:5 sh:1 01 rn:4', usat, checked),
  row('USAD8', 'cond:4 01111000 rd:4 1111 rm:4 0001 rn:4', usad8, pure),
  row('USADA8', 'cond:4 01111000 rd:4 ra:4 rm:4 0001 rn:4', usada8, pure),
  row('SMUAD', 'cond:4 01110000 rd:4 1111 rm:4 00 swap:1 1 rn:4', multiply.smuad, checked),
  row('SMLAD', 'cond:4 01110000 rd:4 ra:4 rm:4 00 swap:1 1 rn:4', multiply.smlad, checked),
  row('SMUSD', 'cond:4 01110000 rd:4 1111 rm:4 01 swap:1 1 rn:4', multiply.smusd, pure),
  row('SMLSD', 'cond:4 01110000 rd:4 ra:4 rm:4 01 swap:1 1 rn:4', multiply.smlsd, checked),
  row('SMLALD', 'cond:4 01110100 hi:4 lo:4 rm:4 00 swap:1 1 rn:4', multiply.smlald, checked),
  row('SMLSLD', 'cond:4 01110100 hi:4 lo:4 rm:4 01 swap:1 1 rn:4', multiply.smlsld, checked),
  row('SMMUL', 'cond:4 01110101 rd:4 1111 rm:4 00 r:1 1 rn:4', multiply.smmul, pure),
  row('SMMLA', 'cond:4 01110101 rd:4 ra:4 rm:4 00 r:1 1 rn:4', multiply.smmla, pure),
  row('SMMLS', 'cond:4 01110101 rd:4 ra:4 rm:4 11 r:1 1 rn:4', multiply.smmls, pure),
  row('SMLA (halves)', 'cond:4 00010000 rd:4 ra:4 rm:4 1 mTop:1 nTop:1 0 rn:4', multiply.smlaxy, checked),
  row('SMLAW', 'cond:4 00010010 rd:4 ra:4 rm:4 1 mTop:1 0 0 rn:4', multiply.smlawy, checked),
  row('SMULW', 'cond:4 00010010 rd:4 0000 rm:4 1 mTop:1 1 0 rn:4', multiply.smulwy, pure),
  row('SMLAL (halves)', 'cond:4 00010100 hi:4 lo:4 rm:4 1 mTop:1 nTop:1 0 rn:4', multiply.smlalxy, checked),
  row('SMUL (halves)', 'cond:4 00010110 rd:4 0000 rm:4 1 mTop:1 nTop:1 0 rn:4', multiply.smulxy, pure),
  row('UMAAL', 'cond:4 00000100 hi:4 lo:4 rm:4 1001 rn:4', multiply.umaal, checked),
  row('QADD', 'cond:4 00010000 rn:4 rd:4 0000 0101 rm:4', saturatingAddSub, qadd),
  row('QSUB', 'cond:4 00010010 rn:4 rd:4 0000 0101 rm:4', saturatingAddSub, qsub),
  row('QDADD', 'cond:4 00010100 rn:4 rd:4 0000 0101 rm:4', saturatingAddSub, qdadd),
  row('QDSUB', 'cond:4 00010110 rn:4 rd:4 0000 0101 rm:4', saturatingAddSub, qdsub),
  row('CRC32', 'cond:4 00010 sz:2 0 rn:4 rd:4 00 castagnoli:1 0 0100 rm:4', crc32, crcOptions),
];

/** The T32 encodings, 16 and 32 bits wide. */
export const mediaT32: readonly ArmRow[] = [
  row('SXTH', '10110010 00 rm:3 rd:3', extend('sxth'), pureUnrotated),
  row('SXTB', '10110010 01 rm:3 rd:3', extend('sxtb'), pureUnrotated),
  row('UXTH', '10110010 10 rm:3 rd:3', extend('uxth'), pureUnrotated),
  row('UXTB', '10110010 11 rm:3 rd:3', extend('uxtb'), pureUnrotated),
  ...parallelT32,
  ...extensionT32,
  row('SEL', '111110101010 rn:4 1111 rd:4 1000 rm:4', sel, pure),
  row('PKH', '11101010110 0 rn:4 0 imm:3 rd:4 imm:2 tb:1 0 rm:4', pkh, pure),
  row('SSAT16', '111100110010 rn:4 0000 rd:4 00 00 sat:4', ssat16, checked),
  row('USAT16', '111100111010 rn:4 0000 rd:4 00 00 sat:4', usat16, checked),
  row('SSAT', '1111001100 sh:1 0 rn:4 0 imm:3 rd:4 imm:2 0 sat:5', ssat, shiftedT32),
  row('USAT', '1111001110 sh:1 0 rn:4 0 imm:3 rd:4 imm:2 0 sat:5', usat, shiftedT32),
  row('USAD8', '111110110111 rn:4 1111 rd:4 0000 rm:4', usad8, pure),
  row('USADA8', '111110110111 rn:4 ra:4 rd:4 0000 rm:4', usada8, pure),
  row('SMUL (halves)', '111110110001 rn:4 1111 rd:4 00 nTop:1 mTop:1 rm:4', multiply.smulxy, pure),
  row('SMLA (halves)', '111110110001 rn:4 ra:4 rd:4 00 nTop:1 mTop:1 rm:4', multiply.smlaxy, checked),
  row('SMUAD', '111110110010 rn:4 1111 rd:4 000 swap:1 rm:4', multiply.smuad, checked),
  row('SMLAD', '111110110010 rn:4 ra:4 rd:4 000 swap:1 rm:4', multiply.smlad, checked),
  row('SMULW', '111110110011 rn:4 1111 rd:4 000 mTop:1 rm:4', multiply.smulwy, pure),
  row('SMLAW', '111110110011 rn:4 ra:4 rd:4 000 mTop:1 rm:4', multiply.smlawy, checked),
  row('SMUSD', '111110110100 rn:4 1111 rd:4 000 swap:1 rm:4', multiply.smusd, pure),
  row('SMLSD', '111110110100 rn:4 ra:4 rd:4 000 swap:1 rm:4', multiply.smlsd, checked),
  row('SMMUL', '111110110101 rn:4 1111 rd:4 000 r:1 rm:4', multiply.smmul, pure),
  row('SMMLA', '111110110101 rn:4 ra:4 rd:4 000 r:1 rm:4', multiply.smmla, pure),
  row('SMMLS', '111110110110 rn:4 ra:4 rd:4 000 r:1 rm:4', multiply.smmls, pure),
  row('SMLAL (halves)', '111110111100 rn:4 lo:4 hi:4 10 nTop:1 mTop:1 rm:4', multiply.smlalxy, checked),
  row('SMLALD', '111110111100 rn:4 lo:4 hi:4 110 swap:1 rm:4', multiply.smlald, checked),
  row('SMLSLD', '111110111101 rn:4 lo:4 hi:4 110 swap:1 rm:4', multiply.smlsld, checked),
  row('UMAAL', '111110111110 rn:4 lo:4 hi:4 0110 rm:4', multiply.umaal, checked),
  row('QADD', '111110101000 rn:4 1111 rd:4 1000 rm:4', saturatingAddSub, qadd),
  row('QDADD', '111110101000 rn:4 1111 rd:4 1001 rm:4', saturatingAddSub, qdadd),
  row('QSUB', '111110101000 rn:4 1111 rd:4 1010 rm:4', saturatingAddSub, qsub),
  row('QDSUB', '111110101000 rn:4 1111 rd:4 1011 rm:4', saturatingAddSub, qdsub),
  row('CRC32', '11111010110 castagnoli:1 rn:4 1111 rd:4 10 sz:2 rm:4', crc32, crcOptions),
];
