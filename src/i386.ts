import { cpuModels } from '#target/i386/cpu-models.ts';
import { i386Target, i386TargetOf } from '#target/i386/target.ts';
import type { Target } from '#tcg/target.ts';

/** The target of a CPU model; null for a name that is none. A function, so that the bundle can load it late. */
export function i386(cpu: string): Target | null {
  if (cpu === 'max') return i386Target as Target;
  return Object.hasOwn(cpuModels, cpu) ? (i386TargetOf(cpuModels[cpu as keyof typeof cpuModels]) as Target) : null;
}
