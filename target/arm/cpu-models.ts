import type { CpuIdentity } from '#tcg/target.ts';
import { Feature } from './features.ts';

/** A CPU as `-cpu` names it. */
export interface CpuModel {
  readonly features: number;
  readonly identity: Omit<CpuIdentity, 'features'>;
  /** Words loaded from unaligned addresses are rotated (ARMv4 and ARMv5, DDI 0406C appendix O). */
  readonly rotatesUnaligned: boolean;
}

const all = (...features: number[]): number => features.reduce((word, feature) => word | feature, 0);

const F = Feature;
const v5 = F.v5;
const v6 = all(v5, F.v6);
const v7 = all(v6, F.v6k, F.thumb2, F.v7);
const neon = all(F.vfp, F.vfp3, F.d32, F.neon);
const armv8 = all(v7, F.mp, F.divide, neon, F.half, F.vfp4, F.lpae, F.v8, F.crc32, F.aes, F.pmull, F.sha1, F.sha2);
/** Every feature there is: what rows need need not be known then. */
export const allFeatures = -1;

const v7Model = (midr: number, ...features: number[]): CpuModel => ({
  features: all(v7, neon, ...features),
  identity: { platform: 'v7l', machine: 'armv7l', name: 'ARMv7 Processor', architecture: '7', midr },
  rotatesUnaligned: false,
});

const max: CpuModel = {
  ...v7Model(0x410fc0f0),
  features: allFeatures,
};

/** The models of `-cpu`, by QEMU's names. */
export const cpuModels = {
  max,
  any: max,
  'cortex-a7': v7Model(0x410fc075, F.mp, F.divide, F.half, F.vfp4, F.lpae),
  'cortex-a8': v7Model(0x410fc080),
  'cortex-a9': v7Model(0x410fc090, F.mp, F.half),
  'cortex-a15': v7Model(0x414fc0f1, F.mp, F.divide, F.half, F.vfp4, F.lpae),
  'cortex-a53': {
    features: armv8,
    identity: { platform: 'v8l', machine: 'armv8l', name: 'ARMv8 Processor', architecture: '8', midr: 0x410fd034 },
    rotatesUnaligned: false,
  },
  arm1176: {
    features: all(v6, F.v6k, F.vfp),
    identity: {
      platform: 'v6l',
      machine: 'armv6l',
      name: 'ARMv6-compatible processor',
      architecture: '7',
      midr: 0x410fb767,
    },
    rotatesUnaligned: false,
  },
  arm926: {
    features: all(v5, F.vfp),
    identity: { platform: 'v5l', machine: 'armv5tejl', name: 'ARM926EJ-S', architecture: '5TEJ', midr: 0x41069265 },
    rotatesUnaligned: true,
  },
} as const satisfies Record<string, CpuModel>;

export type CpuModelName = keyof typeof cpuModels;

/** Linux's names (/proc/cpuinfo, arch/arm/kernel/setup.c) and the features that stand for them, in its order. */
const linuxNames: readonly (readonly [name: string, needed: number])[] = [
  ['swp', 0],
  ['half', 0],
  ['thumb', 0],
  ['fastmult', 0],
  ['vfp', F.vfp],
  ['edsp', F.v5],
  ['neon', F.neon],
  ['vfpv3', F.vfp3],
  ['tls', F.v6k],
  ['vfpv4', F.vfp4],
  ['idiva', F.divide],
  ['idivt', F.divide],
  ['vfpd32', F.d32],
  ['lpae', F.lpae],
  ['fphp', F.fp16],
  ['asimdhp', F.fp16],
  ['asimddp', F.dotProduct],
  ['asimdfhm', F.fhm],
  ['asimdbf16', F.bf16],
  ['i8mm', F.i8mm],
  ['aes', F.aes],
  ['pmull', F.pmull],
  ['sha1', F.sha1],
  ['sha2', F.sha2],
  ['crc32', F.crc32],
  ['sb', F.sb],
];

/** What the kernel layer tells programs about a model. */
export const identityOf = ({ identity, features }: CpuModel): CpuIdentity => ({
  ...identity,
  features: linuxNames.filter(([, needed]) => (needed & ~features) === 0).map(([name]) => name),
});
