import type { CpuIdentity } from '#tcg/target.ts';

/** Words of CPUID that tell of features: EDX and ECX of leaf 1, EBX of leaf 7, ECX and EDX of leaf 80000001. */
type FeatureWord = 'edx1' | 'ecx1' | 'ebx7' | 'ecx8' | 'edx8';

/** A CPU as `-cpu` names it; the words are QEMU's, but for what no program can see. */
export interface CpuModel {
  readonly name: string;
  /** The highest leaf below 80000000, and above it. */
  readonly level: number;
  readonly extendedLevel: number;
  /** EAX of leaf 1: family, model, stepping. */
  readonly signature: number;
  readonly words: Readonly<Partial<Record<FeatureWord, number>>>;
}

const extended = 0x8000_0008;

/** The models of `-cpu`, by QEMU's names. AVX and XSAVE are in none. */
export const cpuModels = {
  max: {
    name: 'tsemu i386 CPU',
    level: 7,
    extendedLevel: extended,
    // Family 6, as a Pentium Pro and all later Intel CPUs: model 0x2a.
    signature: 0x000206a1,
    words: { edx1: 0x0fcb_fbfd, ecx1: 0x02d8_0203, ebx7: 0x2008_0108, ecx8: 0x121, edx8: 0x0810_0000 },
  },
  qemu32: {
    name: 'QEMU Virtual CPU version 2.5+',
    level: 4,
    extendedLevel: 0x8000_0004,
    signature: 0x663,
    words: { edx1: 0x0781_abfd, ecx1: 1 },
  },
  n270: {
    name: 'Intel(R) Atom(TM) CPU N270   @ 1.60GHz',
    level: 5,
    extendedLevel: extended,
    signature: 0x106c2,
    words: { edx1: 0x0fc9_fbfd, ecx1: 0x0040_0209, ecx8: 1, edx8: 0x0010_0000 },
  },
  core2duo: {
    name: 'Intel(R) Core(TM)2 Duo CPU     T7700  @ 2.40GHz',
    level: 10,
    extendedLevel: extended,
    signature: 0x6fb,
    words: { edx1: 0x0fcb_fbfd, ecx1: 0x2209, ecx8: 1, edx8: 0x0010_0000 },
  },
  coreduo: {
    name: 'Genuine Intel(R) CPU           T2600  @ 2.16GHz',
    level: 10,
    extendedLevel: extended,
    signature: 0x6e8,
    words: { edx1: 0x0fc9_fbfd, ecx1: 9, edx8: 0x0010_0000 },
  },
  pentium3: { name: 'Pentium III', level: 3, extendedLevel: 0, signature: 0x673, words: { edx1: 0x0383_fbfd } },
  pentium2: { name: 'Pentium II', level: 2, extendedLevel: 0, signature: 0x652, words: { edx1: 0x0183_fbfd } },
  pentium: { name: 'Pentium', level: 1, extendedLevel: 0, signature: 0x543, words: { edx1: 0x0080_01bd } },
  '486': { name: '486 DX/4', level: 1, extendedLevel: 0, signature: 0x480, words: { edx1: 0x9 } },
} as const satisfies Record<string, CpuModel>;

export type CpuModelName = keyof typeof cpuModels;

/** Linux's names of feature bits (arch/x86/include/asm/cpufeatures.h), from bit 0 on; `.` for one without. */
const linuxNames: Readonly<Record<FeatureWord, string>> = {
  edx1: 'fpu vme de pse tsc msr pae mce cx8 apic . sep mtrr pge mca cmov pat pse36 pn clflush . dts acpi mmx fxsr sse sse2 ss',
  edx8: '. . . . . . . . . . . . . . . . . . . . nx . . . . . . rdtscp',
  ecx1: 'pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 . . fma cx16 xtpr pdcm . pcid dca sse4_1 sse4_2 x2apic movbe popcnt . aes',
  ecx8: 'lahf_lm . . . . abm . . 3dnowprefetch',
  ebx7: '. . . bmi1 . . . . bmi2 . . . . . . . . . . adx . . . . . . . . . sha_ni',
};

/** The names of a model's features, as in /proc/cpuinfo. */
export const featuresOf = ({ words }: CpuModel): string[] =>
  Object.entries(linuxNames).flatMap(([word, names]) =>
    names.split(' ').filter((name, bit) => name !== '.' && ((words[word as FeatureWord] ?? 0) >>> bit) & 1),
  );

/** The CPU family (SDM vol. 2, CPUID). */
export const familyOf = ({ signature }: CpuModel): number => (signature >> 8) & 15;

/** What the kernel layer tells programs about a model. */
export function identityOf(model: CpuModel): CpuIdentity {
  const machine = `i${Math.min(familyOf(model), 6)}86`;
  return {
    platform: machine,
    machine,
    name: model.name,
    architecture: 'GenuineIntel',
    midr: model.signature,
    features: featuresOf(model),
    hwcap: model.words.edx1 ?? 0,
  };
}
