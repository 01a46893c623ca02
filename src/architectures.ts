import { cpuModels as armModels } from '#target/arm/cpu-models.ts';
import { armTarget, armTargetOf } from '#target/arm/target.ts';
import type { Target } from '#tcg/target.ts';
import { i386 } from './i386.ts';

/** What makes targets of an architecture, by the names of their CPU models; null for a name that is none. */
type Maker = (cpu: string) => Target | null;

/** The guest CPUs of this build, by the name the kernel layer gives their ELF machine. */
const targets: Readonly<Record<string, Maker>> = {
  arm(cpu) {
    if (cpu === 'max') return armTarget as Target;
    return Object.hasOwn(armModels, cpu) ? (armTargetOf(armModels[cpu as keyof typeof armModels]) as Target) : null;
  },
  i386,
};

/** The target of an architecture with a CPU model; undefined without such an architecture, null without the model. */
export const targetFor = (architecture: string, cpu: string): Target | null | undefined => targets[architecture]?.(cpu);

/** The targets of all architectures but one, for programs that its programs exec. */
export const otherTargets = (architecture: string): Target[] =>
  Object.keys(targets).flatMap((name) => (name === architecture ? [] : [targets[name]!('max')!]));
