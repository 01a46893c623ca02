/** What a CPU may have beyond ARMv4T, and which instructions need it. */
import { type Row, rowBits } from '#tcg/decode.ts';

/** Bits of a CPU's feature word. */
export const Feature = {
  /** ARMv5TE: BLX, CLZ, BKPT, PLD, the DSP multiplications, LDRD. */
  v5: 1 << 0,
  v6: 1 << 1,
  /** ARMv6K: exclusives of all sizes, CLREX, hints, TLS registers. */
  v6k: 1 << 2,
  /** Thumb-2 with ARMv6T2's additions to A32: MOVW, bit fields, MLS. */
  thumb2: 1 << 3,
  /** ARMv7-A: barriers, PLI. */
  v7: 1 << 4,
  /** PLDW. */
  mp: 1 << 5,
  divide: 1 << 6,
  vfp: 1 << 7,
  vfp3: 1 << 8,
  /** D16 to D31. */
  d32: 1 << 9,
  /** Conversions to and from half precision. */
  half: 1 << 10,
  neon: 1 << 11,
  /** Fused multiply-add. */
  vfp4: 1 << 12,
  v8: 1 << 13,
  crc32: 1 << 14,
  aes: 1 << 15,
  pmull: 1 << 16,
  sha1: 1 << 17,
  sha2: 1 << 18,
  /** VQRDMLAH, VQRDMLSH. */
  rdm: 1 << 19,
  /** VCMLA, VCADD. */
  complex: 1 << 20,
  /** VJCVT. */
  javascript: 1 << 21,
  dotProduct: 1 << 22,
  /** VFMAL, VFMSL. */
  fhm: 1 << 23,
  /** Half-precision arithmetic. */
  fp16: 1 << 24,
  bf16: 1 << 25,
  i8mm: 1 << 26,
  /** SB. */
  sb: 1 << 27,
  /** Large physical addresses, which make LDRD and STRD of aligned doublewords atomic. */
  lpae: 1 << 28,
} as const;

const { v5, v6, v6k, thumb2, v7, mp, divide, vfp, vfp3, half, neon, vfp4, v8 } = Feature;

type Needs = readonly (readonly [names: RegExp, needed: number])[];

/** The first pattern that a row's name matches counts; without one the instruction is ARMv4T's. */
const coreNeeds: Needs = [
  [/^(SDIV|UDIV)/, divide],
  [/^CRC32/, Feature.crc32],
  [/^(LDA|STL|HLT|SEVL)/, v8],
  [/^SB$/, Feature.sb],
  [/^(LDREX|STREX)$/, v6],
  [/^(LDREX|STREX|CLREX)/, v6k],
  [/^(MLS|MOVW|MOVT|BFI|SBFX|UBFX|RBIT|LDRHT|LDRSBT|LDRSHT|STRHT)/, thumb2],
  [/^PLDW/, v7 | mp],
  [/^PLD, PLDW/, v5],
  [/^memory hint/, v7 | mp],
  [/^(PLI|DSB|DMB|ISB)/, v7],
  [/^PLD/, v5],
  [/^NOP/, v6k],
  [/^M(RC|CR) TPIDR/, v6k],
  [/^MCR CP15/, v6],
  [/^(CPS|SETEND|REV|SEL|PKH|SSAT|USAT|USAD|UMAAL|SMMUL|SMML|SMLAD|SMLSD|SMUAD|SMUSD|SMLALD|SMLSLD)/, v6],
  [/^([SU]XT|[SUQ]H?(ADD|SUB|ASX|SAX)(8|16|$)|U[QH](ADD|SUB|ASX|SAX)|[SUQ](ASX|SAX)|SH(ADD|SUB|ASX|SAX))/, v6],
  [/^(BLX|CLZ|BKPT|LDRD|STRD|QD?ADD|QD?SUB|SMUL|SMLA|SMULW|BXJ)/, v5],
];

const narrowNeeds: Needs = [
  [/^(CBZ|IT|NOP)/, thumb2],
  [/^(REV|[SU]XT|CPS|SETEND)/, v6],
  [/^(BLX|BKPT)/, v5],
];

const vectorNeeds: Needs = [
  [/^V(SDOT|UDOT)/, Feature.dotProduct],
  [/BF16/, Feature.bf16],
  [/^V(SUDOT|USDOT|.*MMLA$)/, Feature.i8mm],
  [/^VJCVT/, Feature.javascript],
  [/^VFM[AS]L/, Feature.fhm],
  [/^VC(MLA|ADD)/, Feature.complex],
  [/^VQRDML/, Feature.rdm],
  [/^AES/, Feature.aes],
  [/^SHA1/, Feature.sha1],
  [/^SHA256/, Feature.sha2],
  [/^VMULL.P64/, Feature.pmull],
  [/half to floating|floating-point to half|^VCVT\.F16\.F32|^VCVT\.F32\.F16/, half],
  [/F16|16-bit|^VINS|^VMOVX/, Feature.fp16],
  [/^VDUP \(core/, neon],
  [/^(VSEL|VMAXNM|VMINNM|VRINT)|directed/, v8],
  [/^VFN?M[AS]/, vfp4],
  [/^(VMOV \(immediate|VCVT \((fixed|floating-point to fixed))/, vfp3],
];

const find = (needs: Needs, name: string): number => needs.find(([names]) => names.test(name))?.[1] ?? 0;

/** Rows of the floating-point and SIMD chapters. */
const isVector = (name: string): boolean => /^(V|AES|SHA[12])/.test(name);

/** Advanced SIMD data processing and element transfers rather than VFP. */
function isNeonSpace<C>(row: Row<C>, thumb: boolean): boolean {
  const { value, mask } = rowBits(row);
  const top = value >>> 24;
  if (thumb) return (top & 0xef) === 0xef || top === 0xf9;
  return mask >>> 28 === 15 && (top >>> 1 === 0x79 || top === 0xf4);
}

/** The features that the instruction of a row needs, all of them. */
export function neededBy<C>(row: Row<C>, thumb: boolean): number {
  const { name } = row;
  if (isVector(name)) {
    const own = find(vectorNeeds, name);
    const base = isNeonSpace(row, thumb) ? neon : vfp;
    return own | base | (thumb ? thumb2 : 0);
  }
  if (!thumb) return find(coreNeeds, name);
  if (rowBits(row).width === 16) return find(narrowNeeds, name);
  return /^BLX? \(immediate\)$/.test(name) ? 0 : find(coreNeeds, name) | thumb2;
}
