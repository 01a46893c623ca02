import type { Target } from '#tcg/target.ts';
import type { Abi } from './abi/abi.ts';
import type { MachinePool } from './machine-pool.ts';

/** A guest architecture in this kernel: how its code is translated, what its programs expect, where they run. */
export interface Guest {
  readonly target: Target;
  readonly abi: Abi;
  readonly machines: MachinePool;
}
