import type { SerialPort } from '#hw/char/pl011.ts';

/** A character device: a serial line's or a monitor's other end. What is written is kept until the event loop turns. */
export abstract class Chardev implements SerialPort {
  /** Somebody is at the other end. */
  connected = true;
  private receive: (bytes: Uint8Array) => void = () => {};
  private opened: (open: boolean) => void = () => {};
  protected room: () => void = () => {};
  private pending: number[] = [];
  private scheduled = false;
  private wasFull = false;

  /** What `info chardev` calls it: `unix:/tmp/monitor,server=on`. */
  abstract readonly filename: string;

  onInput(receive: (bytes: Uint8Array) => void): void {
    this.receive = receive;
  }

  /** Sets who is told when somebody comes to the other end, or leaves. */
  onOpen(opened: (open: boolean) => void): void {
    this.opened = opened;
  }

  onRoom(tell: () => void): void {
    this.room = tell;
  }

  /** Sets who is told that input goes here now, or no longer, where a terminal has several users. */
  onFocus(_changed: (focus: boolean) => void): void {}

  write(byte: number): void {
    this.pending.push(byte);
    if (this.pending.length >= flushBytes) this.flush();
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.flush();
    });
  }

  /** Writes text at once. */
  send(text: string): void {
    this.flush();
    this.put(new TextEncoder().encode(text));
  }

  /** Writes out what is pending. */
  flush(): void {
    if (this.pending.length === 0) return;
    const bytes = Uint8Array.from(this.pending);
    this.pending = [];
    this.put(bytes);
  }

  get full(): boolean {
    if (this.backlog <= maxBacklog) return false;
    this.wasFull = true;
    return true;
  }

  hold(_on: boolean): void {}

  /** Settles when it may be used; throws OptionError if it cannot be. */
  async ready(): Promise<void> {}

  /** Resolves when everything is written. */
  async close(): Promise<void> {
    this.flush();
  }

  /** Bytes that the other end has not taken yet. */
  protected get backlog(): number {
    return 0;
  }

  protected abstract put(bytes: Uint8Array): void;

  protected take(bytes: Uint8Array): void {
    this.receive(bytes);
  }

  protected setConnected(connected: boolean): void {
    if (connected === this.connected) return;
    this.connected = connected;
    this.opened(connected);
    this.drained();
  }

  /** To be called when the backlog has become less. */
  protected drained(): void {
    if (!this.wasFull || this.backlog > maxBacklog / 2) return;
    this.wasFull = false;
    this.room();
  }
}

/** Bytes written out before the event loop turns. */
const flushBytes = 4096;
/** Bytes kept for an end that is slow, before the guest has to wait. */
const maxBacklog = 1 << 18;

export class NullChardev extends Chardev {
  readonly filename = 'null';

  protected put(): void {}
}
