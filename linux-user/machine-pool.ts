import type { GuestMemory } from '#accel/guest-memory.ts';
import type { Machine } from './address-space.ts';
import type { GuestEngine } from './guest-engine.ts';
import { LoadError } from './loader/load-error.ts';
import { Residue } from './mm/residue.ts';
import { pooledMachines } from './tunables.ts';

interface Pooled {
  readonly machine: Machine;
  /** Host path of the program that ran in it last. */
  readonly program: string;
}

/**
 * Memories and engines whose address spaces have ended, for the next ones. Making an engine takes 2 ms, and one that
 * has run the same program knows its code.
 */
export class MachinePool {
  private readonly newMemory: () => GuestMemory;
  private readonly factory: (memory: GuestMemory) => GuestEngine;
  /** The one used last comes last. */
  private free: Pooled[] = [];

  constructor(newMemory: () => GuestMemory, factory: (memory: GuestMemory) => GuestEngine) {
    this.newMemory = newMemory;
    this.factory = factory;
  }

  /** A machine for `program`. LoadError (ENOMEM) if the host has no memory or addresses for one. */
  take(program: string): Machine {
    const index = this.free.findLastIndex((pooled) => pooled.program === program);
    // Whoever has handled faults will do so again: a change of mind throws all translations away.
    if (index >= 0) return this.free.splice(index, 1)[0].machine;
    if (this.free.length >= pooledMachines) {
      const { machine } = this.free.shift()!;
      machine.engine.setExactState(false);
      return machine;
    }
    try {
      const memory = this.newMemory();
      return { memory, engine: this.factory(memory), residue: new Residue() };
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new LoadError(`no memory for another process: ${error.message}`, 1, 'ENOMEM');
    }
  }

  /** Takes a machine back. Its memory must be closed, and all zero but for its residue. */
  give(machine: Machine, program: string): void {
    if (this.free.length >= pooledMachines) return;
    this.free.push({ machine, program });
  }
}
