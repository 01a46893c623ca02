import type { GuestMemory } from '#accel/guest-memory.ts';
import type { CpuView } from '#tcg/target.ts';
import type { I386Registers } from './i386-registers.ts';

/*
 * The floating-point part of a signal frame (arch/x86/include/uapi/asm/sigcontext.h, struct _fpstate_32): the FSAVE image
 * and, behind it, the FXSAVE image.
 */

/** What the images are written to and read from. */
export type ImageMemory = Pick<
  GuestMemory,
  'load8' | 'load16' | 'load32' | 'store8' | 'store16' | 'store32' | 'view' | 'write'
>;

/** struct _fpstate_32 up to the FXSAVE image. */
export const fsaveBytes = 112;
export const fxsaveBytes = 512;
/** fpstate.magic: an FXSAVE image follows. */
const fxMagic = 0;

const Fsave = {
  control: 0,
  status: 4,
  tag: 8,
  ip: 12,
  codeSelector: 16,
  data: 20,
  dataSelector: 24,
  st: 28,
  magic: 110,
};
const Fxsave = {
  control: 0,
  status: 2,
  tag: 4,
  opcode: 6,
  ip: 8,
  data: 16,
  mxcsr: 24,
  mxcsrMask: 28,
  st: 32,
  xmm: 160,
};

const mxcsrMask = 0xffff;
const initialControl = 0x37f;
const initialMxcsr = 0x1f80;

/** The x87 and SSE state of a CPU view. */
export class I386Fpu {
  private readonly registers: I386Registers;

  constructor(registers: I386Registers) {
    this.registers = registers;
  }

  /** Puts the state into that of a program that begins. */
  reset(cpu: CpuView): void {
    const { registers } = this;
    registers.setSlot(cpu, 'fctrl', initialControl);
    for (const name of ['fstat', 'ftop', 'fop', 'fip', 'fdp'] as const) registers.setSlot(cpu, name, 0);
    registers.setSlot(cpu, 'ftag', 0xff);
    registers.setSlot(cpu, 'mxcsr', initialMxcsr);
    cpu.u8.fill(0, registers.st, registers.st + 128);
    cpu.u8.fill(0, registers.xmm, registers.xmm + 128);
  }

  /** Writes both images: FSAVE at `at`, FXSAVE behind it. */
  save(cpu: CpuView, memory: ImageMemory, at: number): void {
    const { registers } = this;
    const status = this.status(cpu);
    memory.store32(at + Fsave.control, registers.slot(cpu, 'fctrl') | 0xffff_0000);
    memory.store32(at + Fsave.status, status | 0xffff_0000);
    memory.store32(at + Fsave.tag, this.fullTag(cpu) | 0xffff_0000);
    memory.store32(at + Fsave.ip, registers.slot(cpu, 'fip'));
    memory.store32(at + Fsave.codeSelector, registers.slot(cpu, 'fop') << 16);
    memory.store32(at + Fsave.data, registers.slot(cpu, 'fdp'));
    memory.store32(at + Fsave.dataSelector, 0xffff_0000);
    for (let i = 0; i < 8; i++) memory.write(at + Fsave.st + 10 * i, this.st(cpu, i).slice());
    memory.store16(at + Fsave.magic - 2, status);
    memory.store16(at + Fsave.magic, fxMagic);
    this.saveFx(cpu, memory, at + fsaveBytes);
  }

  /** Writes the FXSAVE image. */
  private saveFx(cpu: CpuView, memory: ImageMemory, at: number): void {
    const { registers } = this;
    memory.view(at, fxsaveBytes, 2).fill(0);
    memory.store16(at + Fxsave.control, registers.slot(cpu, 'fctrl'));
    memory.store16(at + Fxsave.status, this.status(cpu));
    memory.store8(at + Fxsave.tag, ~registers.slot(cpu, 'ftag') & 0xff);
    memory.store16(at + Fxsave.opcode, registers.slot(cpu, 'fop'));
    memory.store32(at + Fxsave.ip, registers.slot(cpu, 'fip'));
    memory.store32(at + Fxsave.data, registers.slot(cpu, 'fdp'));
    memory.store32(at + Fxsave.mxcsr, registers.slot(cpu, 'mxcsr'));
    memory.store32(at + Fxsave.mxcsrMask, mxcsrMask);
    for (let i = 0; i < 8; i++) memory.write(at + Fxsave.st + 16 * i, this.st(cpu, i).slice());
    memory.write(at + Fxsave.xmm, cpu.u8.subarray(registers.xmm, registers.xmm + 128));
  }

  /** Reads the state back; the FXSAVE image counts for what both have. */
  restore(cpu: CpuView, memory: ImageMemory, at: number): void {
    const { registers } = this;
    const fx = at + fsaveBytes;
    registers.setSlot(cpu, 'fctrl', memory.load16(fx + Fxsave.control));
    const status = memory.load16(fx + Fxsave.status);
    registers.setSlot(cpu, 'fstat', status & ~topMask);
    registers.setSlot(cpu, 'ftop', (status & topMask) >> topShift);
    registers.setSlot(cpu, 'ftag', ~memory.load8(fx + Fxsave.tag) & 0xff);
    registers.setSlot(cpu, 'fop', memory.load16(fx + Fxsave.opcode));
    registers.setSlot(cpu, 'fip', memory.load32(fx + Fxsave.ip));
    registers.setSlot(cpu, 'fdp', memory.load32(fx + Fxsave.data));
    registers.setSlot(cpu, 'mxcsr', memory.load32(fx + Fxsave.mxcsr) & mxcsrMask);
    for (let i = 0; i < 8; i++) this.st(cpu, i).set(memory.view(fx + Fxsave.st + 16 * i, 10));
    cpu.u8.set(memory.view(fx + Fxsave.xmm, 128), registers.xmm);
  }

  /** Reads the x87 state of an FSAVE image back (PTRACE_SETFPREGS). */
  restoreFsave(cpu: CpuView, memory: ImageMemory, at: number): void {
    const { registers } = this;
    registers.setSlot(cpu, 'fctrl', memory.load16(at + Fsave.control));
    const status = memory.load16(at + Fsave.status);
    registers.setSlot(cpu, 'fstat', status & ~topMask);
    registers.setSlot(cpu, 'ftop', (status & topMask) >> topShift);
    const tags = memory.load16(at + Fsave.tag);
    let empty = 0;
    for (let n = 0; n < 8; n++) if (((tags >> (2 * n)) & 3) === 3) empty |= 1 << n;
    registers.setSlot(cpu, 'ftag', empty);
    registers.setSlot(cpu, 'fip', memory.load32(at + Fsave.ip));
    registers.setSlot(cpu, 'fop', (memory.load32(at + Fsave.codeSelector) >>> 16) & 0x7ff);
    registers.setSlot(cpu, 'fdp', memory.load32(at + Fsave.data));
    for (let i = 0; i < 8; i++) this.st(cpu, i).set(memory.view(at + Fsave.st + 10 * i, 10));
  }

  private status(cpu: CpuView): number {
    return this.registers.slot(cpu, 'fstat') | (this.registers.slot(cpu, 'ftop') << topShift);
  }

  /** The ten bytes of ST(i). */
  private st(cpu: CpuView, i: number): Uint8Array {
    return this.physical(cpu, (this.registers.slot(cpu, 'ftop') + i) & 7);
  }

  private physical(cpu: CpuView, n: number): Uint8Array {
    const at = this.registers.st + 16 * n;
    return cpu.u8.subarray(at, at + 10);
  }

  /** The tag word of FSAVE: 0 valid, 1 zero, 2 special, 3 empty, by physical register. */
  private fullTag(cpu: CpuView): number {
    const empty = this.registers.slot(cpu, 'ftag');
    let word = 0;
    for (let n = 0; n < 8; n++) word |= ((empty >> n) & 1 ? 3 : tagOf(this.physical(cpu, n))) << (2 * n);
    return word;
  }
}

const topShift = 11;
const topMask = 7 << topShift;

function tagOf(st: Uint8Array): number {
  const exponent = ((st[9] << 8) | st[8]) & 0x7fff;
  if (exponent === 0) return st.subarray(0, 8).every((byte) => byte === 0) ? 1 : 2;
  return exponent === 0x7fff || (st[7] & 0x80) === 0 ? 2 : 0;
}
