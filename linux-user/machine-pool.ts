import { GuestMemory } from '#accel/guest-memory.ts';
import type { Machine } from './address-space.ts';
import type { EngineFactory } from './guest-engine.ts';
import { pooledMachines } from './tunables.ts';

/** Memories and engines whose address spaces have ended, for the next ones: making a new engine takes 2 ms. */
export class MachinePool {
  private readonly factory: EngineFactory;
  private readonly free: Machine[] = [];

  constructor(factory: EngineFactory) {
    this.factory = factory;
  }

  /** A machine with empty memory. */
  take(): Machine {
    const known = this.free.pop();
    if (known !== undefined) return known;
    const memory = new GuestMemory();
    return { memory, engine: this.factory(memory) };
  }

  /** Takes a machine back; its memory must be all zero and closed. */
  give(machine: Machine): void {
    if (this.free.length >= pooledMachines) return;
    machine.engine.reset();
    this.free.push(machine);
  }
}
