import type { CpuView } from '#tcg/target.ts';
import { sseMode } from './sse-mode.ts';
import { Descriptor, Eflags, flatDataHigh, flatLow, i386State, Seg, slotDescriptor } from './state.ts';

/** Bits of `Target.mode`, beside `softMode`. */
export const Mode = {
  /** EFLAGS.TF: each instruction ends with a debug exception. */
  step: 2,
  /** Each access is checked against the limit of its segment and, if EFLAGS.AC is set, for its alignment. */
  strict: 4,
} as const;

const slotEflags = i386State.offset('eflags') >> 2;
const slotSegments = i386State.offset('segments') >> 2;

/** What `segments` says. */
export const Segments = { unknown: 0, usual: 1, strict: 2 } as const;

const flat = (cpu: CpuView, segment: number): boolean => {
  const at = slotDescriptor(segment) >> 2;
  return cpu.i32[at] === flatLow && cpu.i32[at + 1] === flatDataHigh;
};

/** FS and GS are empty, or a base is all that they add. */
const unlimited = (cpu: CpuView, segment: number): boolean => {
  const at = slotDescriptor(segment) >> 2;
  const high = cpu.i32[at + 1]!;
  if (high === 0) return true;
  const wide = (cpu.i32[at]! & 0xffff) === 0xffff && (high & Descriptor.limit) === Descriptor.limit;
  return wide && (high & (Descriptor.granular | Descriptor.kind)) === (Descriptor.granular | Descriptor.writable);
};

function segmentsOf(cpu: CpuView): number {
  const usual = flat(cpu, Seg.es) && flat(cpu, Seg.ss) && flat(cpu, Seg.ds);
  return usual && unlimited(cpu, Seg.fs) && unlimited(cpu, Seg.gs) ? Segments.usual : Segments.strict;
}

/** `Target.mode`. */
export function cpuMode(cpu: CpuView): number {
  const { i32 } = cpu;
  const eflags = i32[slotEflags]!;
  let mode = sseMode(cpu);
  if ((eflags & Eflags.tf) !== 0) mode |= Mode.step;
  if (i32[slotSegments] === Segments.unknown) i32[slotSegments] = segmentsOf(cpu);
  if ((eflags & Eflags.ac) !== 0 || i32[slotSegments] === Segments.strict) mode |= Mode.strict;
  return mode;
}
