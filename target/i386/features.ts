import { type CpuModel, cpuModels, familyOf, featuresOf } from './cpu-models.ts';
import type { X86Row } from './row.ts';
import { simdRows } from './simd.rows.ts';
import { sseRows } from './sse.rows.ts';

/** What a CPU must have for a row by Linux's name for it; `i686` is the sixth family, which CPUID has no bit for. */
type Rule = readonly [feature: string, names: RegExp, form?: RegExp];

/** The first rule that fits a row's name, and its opcode and operands, counts. */
const rules: readonly Rule[] = [
  ['tsc', /^RDTSC$/],
  ['rdtscp', /^RDTSCP$/],
  ['cx8', /^CMPXCHG8B$/],
  ['sep', /^SYS(ENTER|EXIT)$/],
  ['cmov', /^(CMOV|FCMOV|FU?COMIP?$)/],
  ['fxsr', /^FX(SAVE|RSTOR)$/],
  ['clflush', /^CLFLUSH$/],
  ['3dnowprefetch', /^PREFETCHW$/],
  ['i686', /^NOP$/, /^0F/],
  ['sse', /^(SFENCE|LDMXCSR|STMXCSR)$/],
  ['sse2', /^[LM]FENCE$/],
  ['movbe', /^MOVBE$/],
  ['popcnt', /^POPCNT$/],
  ['abm', /^LZCNT$/],
  ['bmi1', /^(TZCNT|ANDN|BEXTR|BLSI|BLSMSK|BLSR)$/],
  ['bmi2', /^(BZHI|MULX|PDEP|PEXT|RORX|SARX|SHLX|SHRX)$/],
  ['adx', /^AD[CO]X$/],
  ['aes', /^AES/],
  ['pclmulqdq', /^PCLMULQDQ$/],
  ['sha_ni', /^SHA(1|256)/],
  ['sse4_2', /^(CRC32|PCMPGTQ|PCMP[EI]STR[IM])$/],
  ['ssse3', /^(PABS|PALIGNR|PHADD|PHSUB|PMADDUBSW|PMULHRSW|PSHUFB|PSIGN)/],
  ['pni', /^(ADDSUBP[SD]|H(ADD|SUB)P[SD]|LDDQU|MOVDDUP|MOVS[HL]DUP|FISTTP)$/],
  ['sse4_1', /./, /^66 0F 3[8A]/],
  ['sse2', /^(MOVQ2DQ|PADDQ|PSUBQ|PMULUDQ|MOVNTI|CVTPS2PD|CVTDQ2PS|CVTSS2SD|CVTTPS2DQ|CVTDQ2PD)$/],
  ['sse', /^(PAVG[BW]|PEXTRW|PINSRW|PMAX(SW|UB)|PMIN(SW|UB)|PMOVMSKB|PMULHUW|PSADBW|PSHUFW|MASKMOVQ|MOVNTQ)$/, /^NP/],
];

/** Where no rule says more: the extension that a mandatory prefix first came with. */
function byPrefix(row: X86Row): string | null {
  const prefix = row.opcode.split(' ')[0]!;
  if (simdRows.includes(row)) return prefix === 'NP' ? 'mmx' : 'sse2';
  if (sseRows.includes(row)) return prefix === 'NP' || prefix === 'F3' ? 'sse' : 'sse2';
  return null;
}

const known = new Map<X86Row, string | null>();

/** What a CPU must have for a row; null if all have it. */
export function featureOf(row: X86Row): string | null {
  let feature = known.get(row);
  if (feature === undefined) {
    const form = `${row.opcode} ${row.codes}`;
    const rule = rules.find(([, names, forms]) => names.test(row.name) && (forms?.test(form) ?? true));
    known.set(row, (feature = rule ? rule[0] : byPrefix(row)));
  }
  return feature;
}

/** Which rows a CPU lacks; undefined for the one that has all. */
export function lackOf(model: CpuModel): ((row: X86Row) => boolean) | undefined {
  if (model === cpuModels.max) return undefined;
  const features = new Set(featuresOf(model));
  if (familyOf(model) >= 6) features.add('i686');
  return (row) => {
    const feature = featureOf(row);
    return feature !== null && !features.has(feature);
  };
}
