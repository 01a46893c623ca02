import type { CpuModelName } from '#target/arm/cpu-models.ts';
import type { Encoding } from './definedness.ts';

/** Why tsemu and the oracle may disagree about an encoding, or undefined if they may not. */
export function explain(_encoding: Encoding, _cpu: CpuModelName): string | undefined {
  return undefined;
}
