import { armTarget } from '#target/arm/target.ts';
import { i386Target } from '#target/i386/target.ts';
import type { Target } from '#tcg/target.ts';

/** The guest CPUs of this build, by the name the kernel layer gives their ELF machine. */
export const architectures: Readonly<Record<string, Target | undefined>> = {
  arm: armTarget as Target,
  i386: i386Target as Target,
};
