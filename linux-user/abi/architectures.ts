import type { CpuIdentity } from '#tcg/target.ts';
import type { StateLayout } from '#util/state-layout.ts';
import type { Abi } from './abi.ts';
import { ArmAbi } from './arm.ts';
import { I386Abi } from './i386.ts';

/** The guest architectures by the name of their target: one line each. */
const abis: Readonly<Record<string, { machine: number; make: (layout: StateLayout, cpu?: CpuIdentity) => Abi }>> = {
  i386: { machine: 3, make: (layout, cpu) => new I386Abi(layout, cpu) },
  arm: { machine: 40, make: (layout, cpu) => new ArmAbi(layout, cpu) },
};

/** The kernel's side of a target. */
export function abiOf(name: string, layout: StateLayout, cpu?: CpuIdentity): Abi {
  const entry = abis[name];
  if (entry === undefined) throw new Error(`no Linux ABI for the target ${name}`);
  return entry.make(layout, cpu);
}

/** The name of the architecture with an e_machine, or null. */
export function architectureOf(machine: number): string | null {
  return Object.keys(abis).find((name) => abis[name].machine === machine) ?? null;
}
