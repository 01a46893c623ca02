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

/** The caller goes on elsewhere: there is no result. */
const gone = null;
const success = 0;
const notSupported = -1;
const invalidParameters = -2;
const alreadyOn = -4;
const on = 0;
const off = 1;
const version = 0x00010001;
/** There is no Trusted OS to be migrated. */
const migrationNotRequired = 2;

const word = armState.offset('r') >> 2;

/** Serves the call in r0 to r3; the result goes to r0. */
export function psciCall(machine: Machine): void {
  const { i32 } = machine.core.cpu;
  const answer = result(machine, i32[word]! >>> 0, i32[word + 1]! >>> 0);
  if (answer !== gone) i32[word] = answer;
}

function result(machine: Machine, call: number, argument: number): number | typeof gone {
  const { core, cpus, current } = machine;
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
    case functions.affinityInfo: {
      const cpu = cpus[argument];
      if (!cpu) return invalidParameters;
      return cpu.online ? on : off;
    }
    case functions.cpuOn: {
      const cpu = cpus[argument];
      if (!cpu) return invalidParameters;
      const { i32 } = core.cpu;
      return machine.powerOn(cpu, i32[word + 2]!, i32[word + 3]!) ? success : alreadyOn;
    }
    case functions.cpuOff:
      current.online = false;
      return gone;
    case functions.cpuSuspend:
      // As WFI does: it goes on after the call when there is an interrupt.
      current.halted = current.raised === 0;
      return success;
    default:
      return notSupported;
  }
}
