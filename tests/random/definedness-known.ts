import type { Encoding } from './definedness.ts';

/** Why tsemu and the oracle may disagree about an encoding, or undefined if they may not. */
export function explain(_encoding: Encoding, _cpu: string): string | undefined {
  return undefined;
}
