import { errnoNumbers } from '#util/errno.ts';
import { ArmRegisters, Cpsr } from '../abi/arm-registers.ts';
import { fsaveBytes, fxsaveBytes, I386Fpu } from '../abi/i386-fpu.ts';
import { Eflags, I386Registers, Reg, Seg } from '../abi/i386-registers.ts';
import { I386Tls } from '../abi/i386-tls.ts';
import type { Task } from '../task.ts';
import { BytesMemory } from './bytes-memory.ts';

/** A set of registers as PTRACE_GETREGSET and the requests of one CPU move it. */
export interface RegisterSet {
  readonly bytes: number;
  load(task: Task): Uint8Array;
  /** `bytes` may be a whole number of words less than all: what is there at the front is set. */
  store(task: Task, bytes: Uint8Array): void;
}

/** The registers of one guest CPU as its debuggers see them. */
export interface UserRegisters {
  /** Words of struct user_regs. */
  readonly count: number;
  get(task: Task, index: number): number;
  set(task: Task, index: number, value: number): void;
  /** By note type (NT_*); general registers apart. */
  readonly sets: ReadonlyMap<number, RegisterSet>;
  /** AUDIT_ARCH_*. */
  readonly auditArch: number;
}

/** A system call as its tracer sees and changes it: what Linux keeps in orig_eax and ORIG_r0. */
export interface CallRegisters {
  /** The number; -1 for none. */
  number: number;
  readonly first: number;
  /** What the result register shows before the call; null: what it holds. */
  entryResult: number | null;
  /** It has been made. */
  over: boolean;
  /** Makes the call, or another one that the tracer has put in its place. */
  call<T>(dispatch: () => T): T | number;
  ended(): void;
}

/** A call's number in the register that the ABI reads it from. */
class Call implements CallRegisters {
  number: number;
  readonly first: number;
  entryResult: number | null;
  over = false;
  private readonly task: Task;
  private readonly asked: number;
  private readonly setNumber: (value: number) => void;

  constructor(task: Task, entryResult: number | null, setNumber: (value: number) => void) {
    this.task = task;
    this.asked = this.number = task.abi.syscallNumber(task.cpu);
    this.first = task.abi.argument(task.cpu, 0);
    this.entryResult = entryResult;
    this.setNumber = setNumber;
  }

  call<T>(dispatch: () => T): T | number {
    const { number, asked, task } = this;
    if (number === asked) return dispatch();
    if (number === -1) return this.entryResult ?? task.abi.argument(task.cpu, 0) | 0;
    this.setNumber(number);
    const result = dispatch();
    // Where the number has a register of its own, the program finds it as it was.
    if (this.entryResult === null) this.setNumber(asked);
    return result;
  }

  ended(): void {
    this.over = true;
  }
}

const noCall = -1;
const wordsOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

// ---- ARM (arch/arm/include/asm/ptrace.h)

const armPc = 15;
const armCpsr = 16;
const armOriginal = 17;
const vfpBytes = 32 * 8;

/** r0 to r15, cpsr, ORIG_r0. */
class ArmUserRegisters implements UserRegisters {
  readonly count = 18;
  readonly auditArch = 0x4000_0028;
  readonly sets: ReadonlyMap<number, RegisterSet>;
  readonly registers: ArmRegisters;

  constructor(registers: ArmRegisters) {
    this.registers = registers;
    const vfp: RegisterSet = {
      bytes: vfpBytes + 4,
      load: ({ cpu }) => {
        const bytes = new Uint8Array(vfpBytes + 4);
        bytes.set(cpu.u8.subarray(registers.vfp * 4, registers.vfp * 4 + vfpBytes));
        wordsOf(bytes).setUint32(vfpBytes, registers.slot(cpu, 'fpscr') | registers.slot(cpu, 'fpNzcv'), true);
        return bytes;
      },
      store: ({ cpu }, bytes) => {
        cpu.u8.set(bytes.subarray(0, vfpBytes), registers.vfp * 4);
        if (bytes.length < vfpBytes + 4) return;
        const fpscr = wordsOf(bytes).getUint32(vfpBytes, true);
        registers.setSlot(cpu, 'fpscr', fpscr & 0x0fff_ffff);
        registers.setSlot(cpu, 'fpNzcv', fpscr & 0xf000_0000);
      },
    };
    // NT_ARM_VFP
    this.sets = new Map([[0x400, vfp]]);
  }

  get(task: Task, index: number): number {
    const { registers } = this;
    const { cpu } = task;
    if (index < armPc) return registers.get(cpu, index);
    if (index === armPc) return task.abi.pc(cpu);
    if (index === armCpsr) return registers.cpsr(cpu);
    return (task.trace?.callRegisters?.first ?? noCall) >>> 0;
  }

  set({ cpu, trace }: Task, index: number, value: number): void {
    const { registers } = this;
    if (index < armPc) registers.set(cpu, index, value);
    else if (index === armPc) {
      const thumb = (registers.pc(cpu) & 1) !== 0;
      registers.setPc(cpu, thumb ? value | 1 : value & ~3);
    } else if (index === armCpsr) {
      registers.setCpsr(cpu, value);
      registers.setPc(cpu, (registers.pc(cpu) & ~1) | ((value & Cpsr.thumb) === 0 ? 0 : 1));
    } else if (index === armOriginal && value >>> 0 === 0xffff_ffff && trace !== null) trace.restarts = false;
  }
}

// ---- i386 (struct user_regs_struct)

const generalOrder = [Reg.ebx, Reg.ecx, Reg.edx, Reg.esi, Reg.edi, Reg.ebp, Reg.eax];
const segmentOrder = [Seg.ds, Seg.es, Seg.fs, Seg.gs];
const I386Word = { eax: 6, ds: 7, original: 11, eip: 12, cs: 13, eflags: 14, esp: 15, ss: 16 } as const;
const userFsaveBytes = 108;

class I386UserRegisters implements UserRegisters {
  readonly count = 17;
  readonly auditArch = 0x4000_0003;
  readonly sets: ReadonlyMap<number, RegisterSet>;
  private readonly registers: I386Registers;
  private readonly tls: I386Tls;

  constructor(registers: I386Registers) {
    this.registers = registers;
    this.tls = new I386Tls(registers);
    const fpu = new I386Fpu(registers);
    const image = (task: Task): BytesMemory => {
      const memory = new BytesMemory(fsaveBytes + fxsaveBytes);
      fpu.save(task.cpu, memory, 0);
      return memory;
    };
    const fsave: RegisterSet = {
      bytes: userFsaveBytes,
      load: (task) => image(task).view(0, userFsaveBytes),
      store: (task, bytes) => {
        const memory = image(task);
        memory.write(0, bytes);
        fpu.restoreFsave(task.cpu, memory, 0);
      },
    };
    const fxsave: RegisterSet = {
      bytes: fxsaveBytes,
      load: (task) => image(task).view(fsaveBytes, fxsaveBytes),
      store: (task, bytes) => {
        const memory = image(task);
        memory.write(fsaveBytes, bytes);
        fpu.restore(task.cpu, memory, 0);
      },
    };
    // NT_PRFPREG, NT_PRXFPREG
    this.sets = new Map([
      [2, fsave],
      [0x46e6_2b7f, fxsave],
    ]);
  }

  get({ cpu, trace }: Task, index: number): number {
    const { registers } = this;
    const call = trace?.callRegisters ?? null;
    if (index === I386Word.eax && call !== null && !call.over && call.entryResult !== null)
      return call.entryResult >>> 0;
    if (index < generalOrder.length) return registers.get(cpu, generalOrder[index]!);
    if (index < I386Word.original) return registers.selector(cpu, segmentOrder[index - I386Word.ds]!);
    switch (index) {
      case I386Word.original:
        return (call?.number ?? noCall) >>> 0;
      case I386Word.eip:
        return registers.pc(cpu);
      case I386Word.cs:
        return registers.selector(cpu, Seg.cs);
      case I386Word.eflags:
        return registers.eflags(cpu);
      case I386Word.esp:
        return registers.get(cpu, Reg.esp);
      default:
        return registers.selector(cpu, Seg.ss);
    }
  }

  set(task: Task, index: number, value: number): void {
    const { registers } = this;
    const { cpu, trace } = task;
    const call = trace?.callRegisters ?? null;
    if (index === I386Word.eax && call !== null && !call.over) call.entryResult = value | 0;
    else if (index < generalOrder.length) registers.set(cpu, generalOrder[index]!, value);
    else if (index < I386Word.original) this.setSegment(task, segmentOrder[index - I386Word.ds]!, value);
    else if (index === I386Word.original) {
      if (trace !== null && (value | 0) < 0) trace.restarts = false;
      if (call !== null) call.number = value | 0;
    } else if (index === I386Word.eip) registers.setPc(cpu, value);
    else if (index === I386Word.eflags) registers.setEflags(cpu, value, Eflags.ac);
    else if (index === I386Word.esp) registers.set(cpu, Reg.esp, value);
    // The code and stack segments are what they are.
  }

  private setSegment(task: Task, segment: number, value: number): void {
    if (this.registers.selector(task.cpu, segment) !== (value & 0xffff))
      this.tls.restore(task, segment, value & 0xffff);
  }
}

const known = new WeakMap<object, UserRegisters>();

/** The registers of the guest CPU that `task` runs on. */
export function userRegisters({ process: { space } }: Task): UserRegisters {
  const { name, layout } = space.guest.target;
  let found = known.get(layout);
  if (found === undefined) {
    found =
      name === 'i386'
        ? new I386UserRegisters(new I386Registers(layout))
        : new ArmUserRegisters(new ArmRegisters(layout));
    known.set(layout, found);
  }
  return found;
}

/** The call that `task` is about to make. */
export function callRegisters(task: Task): CallRegisters {
  const { cpu } = task;
  const { layout, name } = task.process.space.guest.target;
  if (name === 'i386') {
    const registers = new I386Registers(layout);
    return new Call(task, -errnoNumbers.ENOSYS, (value) => registers.set(cpu, Reg.eax, value));
  }
  const registers = new ArmRegisters(layout);
  return new Call(task, null, (value) => registers.set(cpu, 7, value));
}

/** All general registers, in order. */
export function generalRegisters(task: Task): RegisterSet {
  const user = userRegisters(task);
  return {
    bytes: 4 * user.count,
    load: () => {
      const bytes = new Uint8Array(4 * user.count);
      for (let i = 0; i < user.count; i++) wordsOf(bytes).setUint32(4 * i, user.get(task, i), true);
      return bytes;
    },
    store: (_, bytes) => {
      // ARM's PC goes by the Thumb bit of its CPSR, which comes after it.
      for (let i = Math.floor(bytes.length / 4) - 1; i >= 0; i--)
        user.set(task, i, wordsOf(bytes).getUint32(4 * i, true));
    },
  };
}
