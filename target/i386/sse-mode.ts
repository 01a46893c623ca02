import type { CpuView } from '#tcg/target.ts';
import { i386State } from './state.ts';

export const slotMxcsr: number = i386State.offset('mxcsr');
export const slotTracked: number = i386State.offset('sseTracked');

/** Bit of `Target.mode`: floating point is done by helpers. */
export const softMode = 1;

/** Control bits of MXCSR as programs begin with them: all masked, round to nearest, denormals kept. */
const usualControl = 0x1f80;
export const controlMask = 0xffc0;

/** Bit of `Target.mode`: x87 instructions are done by helpers, and the first one ends the mode. */
export const x87Mode = 8;

export const slotX87Helpers: number = i386State.offset('x87Helpers');

/** The mode bits for the state of a CPU. */
export const floatMode = (cpu: CpuView): number => sseMode(cpu) | (cpu.i32[slotX87Helpers >> 2]! !== 0 ? x87Mode : 0);

const sseMode = (cpu: CpuView): number =>
  (cpu.i32[slotMxcsr >> 2]! & controlMask) !== usualControl || cpu.i32[slotTracked >> 2]! !== 0 ? softMode : 0;
