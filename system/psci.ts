import { armState } from '#target/arm/state.ts';
import type { Machine } from './machine.ts';

/* Power State Coordination Interface (DEN 0022), 32-bit calls. */

const functions = {
  version: 0x84000000,
  cpuSuspend: 0x84000001,
  cpuOff: 0x84000002,
  cpuOn: 0x84000003,
  affinityInfo: 0x84000004,
  migrateInfoType: 0x84000006,
  systemOff: 0x84000008,
  systemReset: 0x84000009,
  features: 0x8400000a,
} as const;
const known: ReadonlySet<number> = new Set(Object.values(functions));

const success = 0;
const notSupported = -1;
const invalidParameters = -2;
const alreadyOn = -4;
const version = 0x00010001;
/** There is no Trusted OS to be migrated. */
const migrationNotRequired = 2;

const word = armState.offset('r') >> 2;

/** Serves the call in r0 to r3; the result goes to r0. */
export function psciCall(machine: Machine): void {
  const { i32 } = machine.core.cpu;
  i32[word] = result(machine, i32[word]! >>> 0, i32[word + 1]! >>> 0);
}

function result(machine: Machine, call: number, argument: number): number {
  switch (call) {
    case functions.version:
      return version;
    case functions.features:
      return known.has(argument) ? success : notSupported;
    case functions.migrateInfoType:
      return migrationNotRequired;
    case functions.systemOff:
      machine.end = 'off';
      return success;
    case functions.systemReset:
      machine.end = 'reset';
      return success;
    case functions.affinityInfo:
      return argument === 0 ? success : invalidParameters;
    case functions.cpuOn:
      return argument === 0 ? alreadyOn : invalidParameters;
    case functions.cpuSuspend:
      return success;
    default:
      return notSupported;
  }
}
