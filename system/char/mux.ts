import { Chardev } from './chardev.ts';

const escape = 1;

/** What Ctrl-A x and others do. */
export interface MuxKeys {
  readonly quit: () => void;
}

/**
 * One character device for several users, a serial line and a monitor: all write to it, and what comes in goes to the
 * one with the focus. Ctrl-A is the escape key.
 */
export class Mux {
  readonly base: Chardev;
  private readonly ports: MuxPort[] = [];
  private readonly keys: MuxKeys;
  private focus = 0;
  private escaped = false;

  constructor(base: Chardev, keys: MuxKeys) {
    this.base = base;
    this.keys = keys;
    base.onInput((bytes) => this.take(bytes));
    base.onOpen((open) => {
      for (const port of this.ports) port.open(open);
    });
    base.onRoom(() => {
      for (const port of this.ports) port.roomMade();
    });
  }

  /** Another user's side. The first one has the focus. */
  port(): Chardev {
    const port = new MuxPort(this.base);
    this.ports.push(port);
    return port;
  }

  private take(bytes: Uint8Array): void {
    let passed: number[] = [];
    const pass = (): void => {
      if (passed.length > 0) this.ports[this.focus]?.input(Uint8Array.from(passed));
      passed = [];
    };
    for (const byte of bytes) {
      if (!this.escaped && byte === escape) {
        this.escaped = true;
        continue;
      }
      if (!this.escaped || byte === escape) passed.push(byte);
      else {
        pass();
        this.command(byte);
      }
      this.escaped = false;
    }
    pass();
  }

  private command(key: number): void {
    switch (String.fromCharCode(key)) {
      case 'x':
        this.base.send('tsemu: Terminated\r\n');
        this.keys.quit();
        break;
      case 'c':
        this.ports[this.focus]?.focused(false);
        this.focus = (this.focus + 1) % this.ports.length;
        this.ports[this.focus]?.focused(true);
        break;
      case 'h':
      case '?':
        this.base.send(help.join('\r\n'));
        break;
    }
  }
}

const help = [
  '',
  'C-a h    this help',
  'C-a x    end the machine',
  'C-a c    switch between console and monitor',
  'C-a C-a  send C-a',
  '',
];

class MuxPort extends Chardev {
  readonly filename = 'mux';
  private readonly base: Chardev;
  private focusChanged: (focus: boolean) => void = () => {};

  constructor(base: Chardev) {
    super();
    this.base = base;
    this.connected = base.connected;
  }

  override onFocus(changed: (focus: boolean) => void): void {
    this.focusChanged = changed;
  }

  focused(focus: boolean): void {
    this.focusChanged(focus);
  }

  input(bytes: Uint8Array): void {
    this.take(bytes);
  }

  open(open: boolean): void {
    this.setConnected(open);
  }

  roomMade(): void {
    this.room();
  }

  override hold(on: boolean): void {
    this.base.hold(on);
  }

  override get full(): boolean {
    return this.base.full;
  }

  override write(byte: number): void {
    this.base.write(byte);
  }

  override send(text: string): void {
    this.base.send(text);
  }

  protected put(): void {}
}
