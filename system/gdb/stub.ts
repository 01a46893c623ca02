import { Access } from '#accel/guest-memory.ts';
import type { PageWalk } from '#accel/virtual-memory.ts';
import { armState } from '#target/arm/state.ts';
import { Psr } from '#target/arm/system-state.ts';
import { cpuHeader, ExitReason } from '#tcg/cpu-page.ts';
import type { Chardev } from '../char/chardev.ts';
import type { Debugger, Machine } from '../machine.ts';
import { runCommand } from '../monitor/commands.ts';
import type { MachineControl } from '../monitor/control.ts';
import { frame, fromHex, hexWord, PacketReader, toHex, wordHex } from './packets.ts';

/*
 * The far end of gdb's `target remote` (`-gdb`, `-s`): cores are threads, memory is what the core at hand sees. A
 * breakpoint is an instruction written into memory while the guest runs; one at an address that leads nowhere yet is
 * waited for.
 */

const signal = { interrupt: '02', trap: '05' } as const;
const error = { arguments: 'E22', memory: 'E14' } as const;
const rWord = armState.offset('r') >> 2;
const pcWord = cpuHeader.offset('pc') >> 2;
const registerCount = 17;
const pcNumber = 15;
/** BKPT #0: A32 and T32. */
const bkpt = { 4: [0x70, 0x00, 0x20, 0xe1], 2: [0x00, 0xbe] } as const;
/** Instructions run one by one while a breakpoint cannot be written yet, before that is tried between turns only. */
const pendingSteps = 300_000;

const targetXml = `<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd"><target><architecture>arm</architecture>
<feature name="org.gnu.gdb.arm.core">${Array.from({ length: 16 }, (_, n) => {
  const name = ['sp', 'lr', 'pc'][n - 13] ?? `r${n}`;
  const type = n === 13 ? 'data_ptr' : n === 15 ? 'code_ptr' : 'uint32';
  return `<reg name="${name}" bitsize="32" type="${type}"/>`;
}).join('')}<reg name="cpsr" bitsize="32"/></feature></target>`;

interface Breakpoint {
  readonly address: number;
  readonly bytes: readonly number[];
  /** What lies under it, while it is written. */
  under: { readonly physical: number; readonly bytes: Uint8Array } | null;
}

export class GdbStub implements Debugger {
  private readonly chardev: Chardev;
  private readonly control: MachineControl;
  private readonly machine: Machine;
  private readonly breakpoints = new Map<number, Breakpoint>();
  /** Somebody is there. */
  private attached = false;
  private acknowledges = true;
  /** gdb waits for the guest to stop. */
  private waiting = false;
  private stepping = false;
  /** The first turn after the debugger let the guest go. */
  private starting = false;
  private stepsLeft = 0;
  /** Core that registers and memory are of. */
  private core = 0;
  private readonly page: PageWalk = { physical: 0, allowed: 0, global: false, large: false };

  constructor(chardev: Chardev, control: MachineControl) {
    this.chardev = chardev;
    this.control = control;
    this.machine = control.machine;
    this.machine.debugger = this;
    const reader = new PacketReader({
      packet: (text) => void this.serve(text),
      interrupt: () => this.stop(signal.interrupt),
      acknowledge: (sign) => {
        if (this.acknowledges) chardev.send(sign);
      },
    });
    chardev.onInput((bytes) => {
      this.attach();
      reader.take(bytes);
    });
    chardev.onOpen((open) => {
      if (open) this.attach();
      else this.detach();
    });
    control.listen(({ event }) => {
      if (event === 'STOP' && this.waiting) this.stopped(signal.interrupt);
    });
  }

  /** The guest stands still as soon as a debugger is there. */
  private attach(): void {
    if (this.attached) return;
    this.attached = true;
    this.acknowledges = true;
    this.core = this.machine.current.index;
    this.control.stop();
  }

  /** Nobody is there any more; a guest that stands still goes on doing so. */
  private detach(): void {
    if (!this.attached) return;
    this.remove();
    this.breakpoints.clear();
    this.attached = false;
    this.waiting = false;
    this.stepping = false;
  }

  // ---- the machine's turns

  beforeTurn(): boolean {
    if (!this.attached) return false;
    // The instruction under a breakpoint where the guest goes on from runs.
    const over = this.starting && this.breakpoints.has(this.machine.pc & ~1);
    this.starting = false;
    if (over) return true;
    const complete = this.insert();
    if (this.stepping) return true;
    return !complete && this.stepsLeft-- > 0;
  }

  afterTurn(reason: ExitReason): boolean {
    if (!this.attached) return false;
    if (reason === ExitReason.breakpoint && this.breakpoints.has(this.machine.pc & ~1)) {
      this.stop(signal.trap);
      return true;
    }
    return false;
  }

  afterStep(): void {
    if (this.stepping) this.stop(signal.trap);
  }

  /** Lets the guest stand still, and tells why. */
  private stop(why: string): void {
    const waited = this.waiting;
    this.waiting = false;
    this.control.stop();
    this.waiting = waited;
    this.stopped(why);
  }

  private stopped(why: string): void {
    this.remove();
    this.stepping = false;
    this.core = this.machine.current.index;
    if (this.waiting) this.answer(this.stopReply(why));
    this.waiting = false;
  }

  private stopReply(why: string): string {
    return `T${why}thread:${this.core + 1};`;
  }

  private go(step: boolean): void {
    this.waiting = true;
    this.stepping = step;
    this.starting = true;
    this.stepsLeft = pendingSteps;
    if (step) this.machine.switchTo(this.machine.cpus[this.core]!);
    this.control.cont();
  }

  // ---- packets

  private answer(text: string): void {
    this.chardev.send(frame(text));
  }

  private async serve(text: string): Promise<void> {
    if (text.startsWith('qRcmd,')) {
      const printed = await runCommand(this.control, fromHex(text.slice('qRcmd,'.length)));
      if (printed !== '') this.answer(`O${toHex(printed)}`);
      this.answer('OK');
      return;
    }
    const answer = this.reply(text);
    if (answer !== null) this.answer(answer);
    if (text === 'QStartNoAckMode') this.acknowledges = false;
  }

  /** Null: the answer comes later, or never. */
  private reply(text: string): string | null {
    const rest = text.slice(1);
    switch (text[0]) {
      case '?':
        return this.stopReply(signal.trap);
      case 'g':
        return Array.from({ length: registerCount }, (_, n) => wordHex(this.register(n))).join('');
      case 'G':
        for (let n = 0; n < registerCount; n++) this.setRegister(n, hexWord(rest.slice(8 * n, 8 * n + 8)));
        return 'OK';
      case 'p':
        return Number.parseInt(rest, 16) < registerCount
          ? wordHex(this.register(Number.parseInt(rest, 16)))
          : error.arguments;
      case 'P':
        return this.writeRegister(rest);
      case 'm':
        return this.readMemory(rest);
      case 'M':
      case 'X':
        return this.writeMemory(rest, text[0] === 'M');
      case 'c':
      case 's':
        this.go(text[0] === 's');
        return null;
      case 'Z':
      case 'z':
        return this.breakpoint(text[0] === 'Z', rest);
      case 'H':
        return this.chooseThread(rest);
      case 'T':
        return this.threadOf(rest) === undefined ? error.arguments : 'OK';
      case 'D':
        this.detach();
        this.control.cont();
        return 'OK';
      case 'k':
        this.control.quit('host-qmp-quit');
        return null;
      case 'v':
        return this.resume(text);
      default:
        return this.query(text);
    }
  }

  private query(text: string): string {
    const { cpus } = this.machine;
    if (text.startsWith('qSupported')) return 'PacketSize=4000;qXfer:features:read+;QStartNoAckMode+;vContSupported+';
    if (text === 'QStartNoAckMode') return 'OK';
    if (text === 'qAttached') return '1';
    if (text === 'qC') return `QC${this.core + 1}`;
    if (text === 'qfThreadInfo') return `m${cpus.map(({ index }) => index + 1).join(',')}`;
    if (text === 'qsThreadInfo') return 'l';
    if (text.startsWith('qThreadExtraInfo,')) {
      const cpu = this.threadOf(text.slice('qThreadExtraInfo,'.length));
      if (!cpu) return error.arguments;
      return toHex(`CPU#${cpu.index} [${!cpu.online ? 'off' : cpu.halted ? 'halted' : 'running'}]`);
    }
    const [, from, length] = /^qXfer:features:read:target\.xml:([\da-f]+),([\da-f]+)$/.exec(text) ?? [];
    if (from === undefined) return '';
    const at = Number.parseInt(from, 16);
    const part = targetXml.slice(at, at + Number.parseInt(length, 16));
    return `${at + part.length < targetXml.length ? 'm' : 'l'}${part}`;
  }

  /** `vCont;s:1;c`: the first action counts. */
  private resume(text: string): string | null {
    if (text === 'vCont?') return 'vCont;c;C;s;S';
    const [, action, thread] = /^vCont;([cCsS])[^:;]*(?::([\da-f-]+))?/.exec(text) ?? [];
    if (action === undefined) return '';
    const cpu = thread === undefined ? undefined : this.threadOf(thread);
    if (cpu) this.core = cpu.index;
    this.go(action.toLowerCase() === 's');
    return null;
  }

  private threadOf(digits: string) {
    const number = Number.parseInt(digits, 16);
    return number > 0 ? this.machine.cpus[number - 1] : undefined;
  }

  private chooseThread(text: string): string {
    const cpu = this.threadOf(text.slice(1));
    if (cpu && text[0] === 'g') this.core = cpu.index;
    // 0 and -1 mean any.
    return cpu || Number.parseInt(text.slice(1), 16) <= 0 ? 'OK' : error.arguments;
  }

  // ---- registers

  private register(n: number): number {
    const { machine } = this;
    machine.switchTo(machine.cpus[this.core]!);
    if (n === pcNumber) return machine.pc & ~1;
    return n < pcNumber ? machine.core.cpu.i32[rWord + n]! : machine.core.cpsr;
  }

  private setRegister(n: number, value: number): void {
    const { machine } = this;
    machine.switchTo(machine.cpus[this.core]!);
    const { i32 } = machine.core.cpu;
    const thumb = i32[pcWord]! & 1;
    if (n < pcNumber) i32[rWord + n] = value;
    else if (n === pcNumber) i32[pcWord] = (value & ~1) | thumb;
    else {
      machine.core.writeCpsr(value, -1);
      i32[pcWord] = (i32[pcWord]! & ~1) | (value & Psr.t ? 1 : 0);
    }
  }

  private writeRegister(text: string): string {
    const [, number, value] = /^([\da-f]+)=([\da-f]{8})$/i.exec(text) ?? [];
    const n = Number.parseInt(number ?? '', 16);
    if (value === undefined || n >= registerCount) return error.arguments;
    this.setRegister(n, hexWord(value));
    return 'OK';
  }

  // ---- memory

  /** Where a virtual address leads, or −1. */
  private physical(address: number): number {
    const { machine, page } = this;
    machine.switchTo(machine.cpus[this.core]!);
    if (!machine.control.walker.walk(address >>> 0, Access.read, page, true)) return -1;
    return page.physical + (address & 0xfff);
  }

  private readMemory(text: string): string {
    const [address, length] = text.split(',').map((digits) => Number.parseInt(digits, 16));
    if (!(address! >= 0 && length! >= 0 && length! <= longestRead)) return error.arguments;
    const bytes = Buffer.alloc(length!);
    for (let i = 0; i < length!; i++) {
      const physical = this.physical(address! + i);
      const byte = physical < 0 ? undefined : this.machine.memory.physicalByte(physical);
      if (byte === undefined) return i === 0 ? error.memory : bytes.subarray(0, i).toString('hex');
      bytes[i] = byte;
    }
    return bytes.toString('hex');
  }

  private writeMemory(text: string, hex: boolean): string {
    const [, address, length, data] = /^([\da-f]+),([\da-f]+):([^]*)$/i.exec(text) ?? [];
    if (data === undefined) return error.arguments;
    const bytes = Buffer.from(data, hex ? 'hex' : 'latin1');
    if (bytes.length !== Number.parseInt(length!, 16)) return error.arguments;
    for (const [i, byte] of bytes.entries()) {
      const physical = this.physical(Number.parseInt(address!, 16) + i);
      if (physical < 0 || !this.machine.memory.writeRam(physical, Uint8Array.of(byte))) return error.memory;
    }
    return 'OK';
  }

  // ---- breakpoints

  /** `0,ADDRESS,KIND`: kind is 2 or 3 for T32, 4 for A32. */
  private breakpoint(set: boolean, text: string): string {
    const [, type, digits, kind] = /^(\d),([\da-f]+),(\d)/i.exec(text) ?? [];
    // Watchpoints are not there.
    if (type !== '0' && type !== '1') return '';
    const address = Number.parseInt(digits!, 16) | 0;
    if (set) this.breakpoints.set(address, { address, bytes: bkpt[kind === '4' ? 4 : 2], under: null });
    else this.breakpoints.delete(address);
    return 'OK';
  }

  /** Writes breakpoints that are not; true if all are. */
  private insert(): boolean {
    let complete = true;
    for (const breakpoint of this.breakpoints.values()) {
      if (breakpoint.under) continue;
      const { address, bytes } = breakpoint;
      const { memory, control } = this.machine;
      const mapped = control.walker.walk(address >>> 0, Access.execute, this.page, true);
      const physical = this.page.physical + (address & 0xfff);
      const under = mapped ? memory.ram(physical, bytes.length)?.slice() : undefined;
      if (under === undefined) complete = false;
      else {
        memory.writeRam(physical, Uint8Array.from(bytes));
        breakpoint.under = { physical, bytes: under };
      }
    }
    return complete;
  }

  private remove(): void {
    for (const breakpoint of this.breakpoints.values()) {
      const { under } = breakpoint;
      if (under) this.machine.memory.writeRam(under.physical, under.bytes);
      breakpoint.under = null;
    }
  }
}

const longestRead = 0x2000;
