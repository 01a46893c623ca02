import { cpuModels as armModels } from '#target/arm/cpu-models.ts';
import { armTarget, armTargetOf } from '#target/arm/target.ts';
import { cpuModels as i386Models } from '#target/i386/cpu-models.ts';
import { i386Target, i386TargetOf } from '#target/i386/target.ts';
import type { Target } from '#tcg/target.ts';

/** What makes targets of an architecture, by the names of their CPU models; null for a name that is none. */
type Maker = (cpu: string) => Target | null;

const has = <Models extends object>(models: Models, name: string): name is string & keyof Models =>
  Object.hasOwn(models, name);

/** The guest CPUs of this build, by the name the kernel layer gives their ELF machine. */
const targets: Readonly<Record<string, Maker>> = {
  arm(cpu) {
    if (cpu === 'max') return armTarget as Target;
    return has(armModels, cpu) ? (armTargetOf(armModels[cpu]) as Target) : null;
  },
  i386(cpu) {
    if (cpu === 'max') return i386Target as Target;
    return has(i386Models, cpu) ? (i386TargetOf(i386Models[cpu]) as Target) : null;
  },
};

/** The target of an architecture with a CPU model; undefined without such an architecture, null without the model. */
export const targetFor = (architecture: string, cpu: string): Target | null | undefined => targets[architecture]?.(cpu);

/** The targets of all architectures but one, for programs that its programs exec. */
export const otherTargets = (architecture: string): Target[] =>
  Object.keys(targets).flatMap((name) => (name === architecture ? [] : [targets[name]!('max')!]));
