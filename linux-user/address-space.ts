import type { GuestMemory } from '#accel/guest-memory.ts';
import type { Guest } from './guest.ts';
import type { GuestEngine } from './guest-engine.ts';
import type { ImageDirectory } from './images.ts';
import type { Mm } from './mm/mm.ts';
import type { Residue } from './mm/residue.ts';
import type { Task } from './task.ts';

/** A memory and the engine that runs what is in it: what an address space is made of, and is used again after it. */
export interface Machine {
  readonly memory: GuestMemory;
  readonly engine: GuestEngine;
  /** What the last address space has left in the memory, with the engine's translations of it. */
  readonly residue: Residue;
}

/** An address space. The threads of a process share one; so do processes made with CLONE_VM, until they exec. */
export class AddressSpace {
  readonly mm: Mm;
  readonly machine: Machine;
  readonly guest: Guest;
  readonly images: ImageDirectory;
  /** Whose state is in the CPU page; null before the first task and after that task has left. */
  running: Task | null = null;
  private users = 1;
  private readonly onEnd: () => void;

  /** `onEnd` is called when the last process has left. */
  constructor(mm: Mm, machine: Machine, guest: Guest, images: ImageDirectory, onEnd: () => void) {
    this.mm = mm;
    this.machine = machine;
    this.guest = guest;
    this.images = images;
    this.onEnd = onEnd;
  }

  get engine(): GuestEngine {
    return this.machine.engine;
  }

  /** True if another process runs in it too. */
  get shared(): boolean {
    return this.users > 1;
  }

  /** Counts a process in. */
  retain(): this {
    this.users++;
    return this;
  }

  /** Counts a process out. */
  release(): void {
    if (--this.users === 0) this.onEnd();
  }

  /** `task` is the one whose state is in the CPU page. */
  seat(task: Task): void {
    this.running = task;
    task.cpu = this.engine.cpu;
  }

  /** `task` has left for another address space: its state is no longer here. */
  leave(task: Task): void {
    if (this.running === task) this.running = null;
  }
}
