import { type CpuModelName, cpuModels } from '#target/arm/cpu-models.ts';
import { armTarget, armTargetOf } from '#target/arm/target.ts';
import type { Target } from '#tcg/target.ts';

/** The guest CPUs of this build, by the name the kernel layer gives their ELF machine; `cpu` is a model of ARM's. */
export function targetFor(architecture: string, cpu: CpuModelName): Target | undefined {
  if (architecture !== 'arm') return undefined;
  return (cpu === 'max' ? armTarget : armTargetOf(cpuModels[cpu])) as Target;
}
