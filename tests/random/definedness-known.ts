import { type CpuModelName, cpuModels } from '#target/arm/cpu-models.ts';
import { Feature } from '#target/arm/features.ts';
import { isUnpredictable, rowNameOf } from './decoding.ts';
import type { Encoding } from './definedness.ts';

/** Loads, stores and operations of coprocessors 1 and 2: the old FPA, which qemu-arm's system emulation knows. */
const isFpa = ({ thumb, word }: Encoding): boolean =>
  !thumb && [0x0c000000, 0x0e000000].includes(word & 0x0e000000) && [1, 2].includes((word >>> 8) & 15);

const hasThumb2 = (cpu: CpuModelName): boolean => (cpuModels[cpu].features & Feature.thumb2) !== 0;

/** CBZ, IT and hints, which came with Thumb-2: qemu-arm has them on older CPUs too. */
const isThumb2Narrow = ({ thumb, width, word }: Encoding): boolean =>
  thumb && width === 16 && ((word & 0xf500) === 0xb100 || (word & 0xff00) === 0xbf00);

/** Exclusives with SP, UNPREDICTABLE before ARMv8: defined in tsemu, undefined in qemu-arm. */
const isExclusiveWithSp = (encoding: Encoding, cpu: CpuModelName): boolean =>
  (cpuModels[cpu].features & Feature.v8) === 0 && encoding.thumb && /^(LD|ST)REX/.test(rowNameOf(encoding, cpu));

/** Bits of encodings that qemu-arm takes although the CPU lacks the extension, and the extension. */
const laxChecks: readonly (readonly [thumb: boolean, mask: number, value: number, feature: number])[] = [
  // VLDR.16, VSTR.16.
  [false, 0x0f200f00, 0x0d000900, Feature.fp16],
  [true, 0xff200f00, 0xed000900, Feature.fp16],
  // VFMA, VFMS (Advanced SIMD).
  [false, 0xff800f10, 0xf2000c10, Feature.vfp4],
  [true, 0xff800f10, 0xef000c10, Feature.vfp4],
];
const isLaxCheck = ({ thumb, word }: Encoding, cpu: CpuModelName): boolean =>
  laxChecks.some(
    ([set, mask, value, feature]) =>
      set === thumb && (word & mask) >>> 0 === value && (cpuModels[cpu].features & feature) === 0,
  );

/** Why tsemu and the oracle may disagree about an encoding, or undefined if they may not. */
export function explain(encoding: Encoding, cpu: CpuModelName): string | undefined {
  if (isUnpredictable(encoding, cpu)) return 'UNPREDICTABLE: undefined in tsemu';
  if (isFpa(encoding)) return 'FPA: emulated by the system under qemu-arm';
  if (!hasThumb2(cpu) && encoding.thumb && encoding.width === 32)
    return 'the halves of BL alone, which are instructions of their own before Thumb-2';
  if (!hasThumb2(cpu) && isThumb2Narrow(encoding)) return 'a bug of qemu-arm: came with ARMv6T2 (DDI 0406C A6.2)';
  if (isExclusiveWithSp(encoding, cpu)) return 'UNPREDICTABLE: defined in tsemu';
  if (isLaxCheck(encoding, cpu)) return 'a bug of qemu-arm: needs an extension (FEAT_FP16, VFPv4) that the CPU lacks';
  return undefined;
}
