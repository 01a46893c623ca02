import { type CpuModelName, cpuModels } from '#target/arm/cpu-models.ts';
import { armTarget, armTargetOf } from '#target/arm/target.ts';
import { i386Target } from '#target/i386/target.ts';
import type { Target } from '#tcg/target.ts';

/** The names that the kernel layer gives the ELF machines of this build's guests. */
export const architectures = ['arm', 'i386'] as const;

/** The guest CPU of an architecture; `cpu` is a model of ARM's. */
export function targetFor(architecture: string, cpu: CpuModelName): Target | undefined {
  if (architecture === 'i386') return i386Target as Target;
  if (architecture !== 'arm') return undefined;
  return (cpu === 'max' ? armTarget : armTargetOf(cpuModels[cpu])) as Target;
}
