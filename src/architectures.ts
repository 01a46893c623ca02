import { type CpuModelName, cpuModels } from '#target/arm/cpu-models.ts';
import { armTarget, armTargetOf } from '#target/arm/target.ts';
import type { Target } from '#tcg/target.ts';
import { i386 } from './i386.ts';

/** The guest CPUs of this build, by the name the kernel layer gives their ELF machine; `cpu` is a model of ARM's. */
const targets: Readonly<Record<string, (cpu: CpuModelName) => Target>> = {
  arm: (cpu) => (cpu === 'max' ? armTarget : armTargetOf(cpuModels[cpu])) as Target,
  i386,
};

export const targetFor = (architecture: string, cpu: CpuModelName): Target | undefined => targets[architecture]?.(cpu);

/** The targets of all architectures but one, for programs that its programs exec. */
export const otherTargets = (architecture: string): Target[] =>
  Object.keys(targets).flatMap((name) => (name === architecture ? [] : [targets[name]!('max')]));
