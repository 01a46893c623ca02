import type { Chardev } from '../char/chardev.ts';
import { commandNames, runCommand } from './commands.ts';
import type { MachineControl } from './control.ts';

const prompt = '(qemu) ';
const keys = { ctrlC: 3, backspace: 8, tab: 9, newline: 10, enter: 13, ctrlU: 21, escape: 27, delete: 127 } as const;
const longestLine = 4096;
const historyLines = 100;

/** The human monitor on a character device: lines are edited here, whatever the other end is. */
export class HumanMonitor {
  private readonly chardev: Chardev;
  private readonly control: MachineControl;
  private line = '';
  private readonly history: string[] = [];
  /** Line of the history that is shown. */
  private place = 0;
  private sequence = '';
  private greeted = false;
  /** Keys that wait until a command has ended. */
  private typed: number[] = [];
  private busy = false;

  /** `shared`: the chardev is a terminal with other users, the greeting waits for its turn. */
  constructor(chardev: Chardev, control: MachineControl, shared: boolean) {
    this.chardev = chardev;
    this.control = control;
    chardev.onInput((bytes) => {
      for (const byte of bytes) this.typed.push(byte);
      this.takeKeys();
    });
    chardev.onOpen((open) => {
      this.line = '';
      this.typed = [];
      this.greeted = false;
      if (open && !shared) this.greet();
    });
    chardev.onFocus((focus) => {
      if (focus) this.greet();
    });
    if (!shared && chardev.connected) this.greet();
  }

  private greet(): void {
    const { version } = this.control.parts;
    if (!this.greeted) this.print(`tsemu ${version} monitor - type 'help' for more information\n`);
    else this.print('\n');
    this.greeted = true;
    this.chardev.send(prompt + this.line);
  }

  private print(text: string): void {
    this.chardev.send(text.replaceAll('\n', '\r\n'));
  }

  private takeKeys(): void {
    while (!this.busy && this.typed.length > 0) this.key(this.typed.shift()!);
  }

  private key(byte: number): void {
    if (this.sequence !== '' || byte === keys.escape) {
      this.escape(String.fromCharCode(byte));
      return;
    }
    switch (byte) {
      case keys.enter:
      case keys.newline:
        this.enter();
        return;
      case keys.backspace:
      case keys.delete:
        if (this.line !== '') this.show(this.line.slice(0, -1));
        return;
      case keys.ctrlC:
      case keys.ctrlU:
        this.show('');
        return;
      case keys.tab:
        this.complete();
        return;
    }
    if (byte < 0x20 || byte > 0x7e || this.line.length >= longestLine) return;
    this.line += String.fromCharCode(byte);
    this.chardev.send(String.fromCharCode(byte));
  }

  /** Collects an escape sequence; up and down go through the history. */
  private escape(char: string): void {
    this.sequence += char;
    if (this.sequence.length < 2 || (this.sequence.length === 2 && '[O'.includes(char))) return;
    if (!/[@-~]/.test(char)) return;
    this.sequence = '';
    if (char !== 'A' && char !== 'B') return;
    const place = this.place + (char === 'A' ? -1 : 1);
    if (place < 0 || place > this.history.length) return;
    this.place = place;
    this.show(this.history[place] ?? '');
  }

  private show(line: string): void {
    this.line = line;
    this.chardev.send(`\r\x1b[K${prompt}${line}`);
  }

  private complete(): void {
    const fitting = commandNames().filter((name) => name.startsWith(this.line));
    if (fitting.length === 1) this.show(`${fitting[0]} `);
    else if (fitting.length > 1) {
      this.print(`\n${fitting.join(' ')}\n`);
      this.show(this.line);
    }
  }

  private enter(): void {
    const { line } = this;
    this.print('\n');
    this.line = '';
    if (line !== '' && this.history.at(-1) !== line) this.history.push(line);
    if (this.history.length > historyLines) this.history.shift();
    this.place = this.history.length;
    void this.run(line);
  }

  private async run(line: string): Promise<void> {
    this.busy = true;
    this.print(await runCommand(this.control, line));
    this.chardev.send(prompt);
    this.busy = false;
    this.takeKeys();
  }
}
