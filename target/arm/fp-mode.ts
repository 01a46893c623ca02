import type { CpuView } from '#tcg/target.ts';
import { armState } from './state.ts';

export const slotFpscr: number = armState.offset('fpscr');
export const slotFpNzcv: number = armState.offset('fpNzcv');
export const slotTracked: number = armState.offset('fpTracked');

/** DN FZ RMode. */
export const arithmeticMask = 0x03c00000;
/** Stride and Len. */
export const vectorMask = 0x00370000;
/** Mode bit: flags are kept. */
export const trackedBit = 0x200;

/** The bits of `Target.mode` that floating point contributes (`ModeBits.fpscr`). */
export function fpMode(cpu: CpuView): number {
  const fpscr = cpu.i32[slotFpscr >> 2]!;
  return (fpscr & (arithmeticMask | vectorMask)) | (cpu.i32[slotTracked >> 2]! === 0 ? 0 : trackedBit);
}
