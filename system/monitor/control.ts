import type { Timer } from '#hw/device.ts';
import type { Machine } from '../machine.ts';

/** QEMU's run states. */
export type RunState = 'prelaunch' | 'running' | 'paused' | 'shutdown';

/** What monitors are told of, by QMP's names; `data` as there. */
export interface MachineEvent {
  readonly event: 'STOP' | 'RESUME' | 'RESET' | 'SHUTDOWN' | 'POWERDOWN';
  readonly data?: { readonly guest: boolean; readonly reason: string };
}

/** A command of a monitor that cannot be done: a line for whoever gave it. */
export class MonitorError extends Error {}

/** Saved states of the machine. All throw MonitorError. */
export interface Snapshots {
  save(name: string): void | Promise<void>;
  load(name: string): void | Promise<void>;
  delete(name: string): void | Promise<void>;
  /** A table, as `info snapshots` prints it. */
  list(): string;
}

/** A drive, for `info block` and query-block. */
export interface BlockInfo {
  readonly device: string;
  readonly file: string | null;
  readonly format: string;
  readonly readOnly: boolean;
}

/** What belongs to a machine beside the board. */
export interface MachineParts {
  readonly version: string;
  readonly chardevs: () => readonly { readonly label: string; readonly filename: string; readonly open: boolean }[];
  readonly blocks: () => readonly BlockInfo[];
  /** What `info network` prints. */
  readonly network: () => string;
  /** What `info usernet` prints. */
  readonly connections: () => string;
  readonly snapshots: Snapshots | null;
}

/** How a machine goes on when the guest switches it off or resets it. */
export interface RunOptions {
  /** Puts everything as it is when the machine is switched on. */
  readonly boot: () => void;
  /** A reset boots again; otherwise it ends the machine (`-no-reboot`). */
  readonly reboot: boolean;
  /** Switched off it stands still, for a monitor to look at (`-no-shutdown`). */
  readonly stay: boolean;
}

/** Nanoseconds that the power key is held down. */
const keyTime = 100_000_000;

/** What monitors do with a machine. */
export class MachineControl {
  readonly machine: Machine;
  readonly parts: MachineParts;
  state: RunState;
  private readonly listeners = new Set<(event: MachineEvent) => void>();
  private readonly keyUp: Timer;
  /** Who has asked for the machine's end, if not the guest. */
  private asked: string | null = null;

  /** `stopped`: the guest waits for `cont` (`-S`). */
  constructor(machine: Machine, parts: MachineParts, stopped = false) {
    this.machine = machine;
    this.parts = parts;
    this.state = stopped ? 'prelaunch' : 'running';
    if (stopped) machine.stop();
    this.keyUp = machine.clock.timer(() => machine.board.powerKey(false));
  }

  get running(): boolean {
    return this.state === 'running';
  }

  /** Calls `listener` at each event; returns what ends that. */
  listen(listener: (event: MachineEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private tell(event: MachineEvent): void {
    for (const listener of this.listeners) listener(event);
  }

  stop(): void {
    if (!this.running) return;
    this.state = 'paused';
    this.machine.stop();
    this.tell({ event: 'STOP' });
  }

  cont(): void {
    if (this.running) return;
    if (this.state === 'shutdown') throw new MonitorError('Resetting the Virtual Machine is required');
    this.state = 'running';
    this.machine.cont();
    this.tell({ event: 'RESUME' });
  }

  reset(): void {
    this.asked = 'host-qmp-system-reset';
    this.machine.finish('reset');
  }

  /** Presses the power key; what that does is the guest's affair. */
  powerdown(): void {
    const { board, clock } = this.machine;
    board.powerKey(true);
    this.keyUp.set(clock.now() + keyTime);
    this.tell({ event: 'POWERDOWN' });
  }

  /** `reason`: QMP's ShutdownCause. */
  quit(reason: 'host-qmp-quit' | 'host-signal' | 'host-ui'): void {
    this.asked = reason;
    this.machine.finish('quit');
  }

  /** Runs the machine until it is switched off for good. */
  async run({ boot, reboot, stay }: RunOptions): Promise<void> {
    const { machine } = this;
    for (;;) {
      boot();
      const end = await this.untilEnd(reboot, stay);
      if (end !== 'reset') return;
      this.tell({ event: 'RESET', data: this.cause('guest-reset') });
      this.asked = null;
      machine.end = null;
      if (!this.running) this.state = 'prelaunch';
    }
  }

  private async untilEnd(reboot: boolean, stay: boolean): Promise<'reset' | 'end'> {
    const { machine } = this;
    for (;;) {
      const end = await machine.run();
      if (end === 'reset' && reboot) return 'reset';
      this.tell({ event: 'SHUTDOWN', data: this.cause(end === 'reset' ? 'guest-reset' : 'guest-shutdown') });
      if (end === 'quit' || !stay) return 'end';
      machine.end = null;
      this.asked = null;
      this.state = 'shutdown';
      machine.stop();
      this.tell({ event: 'STOP' });
    }
  }

  private cause(guests: string): { guest: boolean; reason: string } {
    return { guest: this.asked === null, reason: this.asked ?? guests };
  }
}
