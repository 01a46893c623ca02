import { i386Target } from '#target/i386/target.ts';
import type { Target } from '#tcg/target.ts';

/** A function, so that the bundle loads what it leads to only for a guest that is one. */
export const i386 = (): Target => i386Target as Target;
