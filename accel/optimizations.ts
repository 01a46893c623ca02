import type { OptimizeOptions } from '#tcg/optimize.ts';

/** What can be left out one by one, to find out what is to blame: results are the same without. */
export type Optimization =
  /** tcg/passes/simplify.ts */
  | 'simplify'
  /** tcg/passes/dead-code.ts */
  | 'deadCode'
  /** Calls of small functions within a region. */
  | 'inline'
  /** Node splitting in irreducible loops. */
  | 'split'
  /** Flags put off to where they are needed. */
  | 'sink'
  /** Flags not stored for code outside that sets them anew. */
  | 'entry'
  /** One test of permissions for several accesses. */
  | 'group'
  /** Loads of what the region has stored itself (accel/region/forwarding.ts). */
  | 'forward'
  /** Returns of inlined functions not compared where they must go to the caller. */
  | 'return'
  /** Parts of vector registers accessed as lanes of the whole (accel/region/whole-vectors.ts). */
  | 'vector'
  /** Registers that a loop sets anew not stored where it is interrupted. */
  | 'interrupt'
  /** Loops with one header told from one another. */
  | 'nest';

/** The optimizer's switches. */
export function passesWithout(without: ReadonlySet<Optimization>): Pick<OptimizeOptions, 'simplify' | 'deadCode'> {
  return { simplify: !without.has('simplify'), deadCode: !without.has('deadCode') };
}
