import { Access } from '#accel/guest-memory.ts';
import { setBlocked } from '../signal/actions.ts';
import { encodeSigInfo, type SigInfo, sigInfoBytes } from '../signal/siginfo.ts';
import { noAltStack, SaFlags, type SigAction, SsFlags } from '../signal/signal-state.ts';
import type { Task } from '../task.ts';
import { sigreturnAddress, sigreturnWords } from './arm-kuser.ts';
import { type ArmRegisters, Cpsr } from './arm-registers.ts';
import { frameTop, restoreAltStack, saveAltStack } from './signal-stack.ts';

/*
 * Signal frames as Linux lays them out on 32-bit ARM (arch/arm/include/asm/ucontext.h, uapi/asm/sigcontext.h):
 *
 *     struct sigframe    { struct ucontext uc; u32 retcode[4]; }
 *     struct rt_sigframe { siginfo_t info; struct sigframe sig; }
 *
 * Offsets in bytes from the start of struct ucontext.
 */
const Uc = {
  flags: 0,
  stackSp: 8,
  trapNumber: 20,
  errorCode: 24,
  oldMask: 28,
  r0: 32,
  pc: 92,
  cpsr: 96,
  faultAddress: 100,
  sigmask: 104,
  /** uc_regspace: a VFP block, then a zero word. */
  vfpMagic: 232,
  vfpSize: 236,
  vfpRegisters: 240,
  fpscr: 496,
  fpexc: 504,
  fpinst: 508,
  fpinst2: 512,
  end: 520,
  bytes: 744,
} as const;
const retcode = Uc.bytes;
const frameBytes = Uc.bytes + 16;

const vfpMagicValue = 0x5646_5001;
const vfpBlockBytes = 288;
const fpexcEnabled = 0x4000_0000;
/** uc_flags of a frame without siginfo. */
const plainFrameFlags = 0x5ac3_c35a;

const SP = 13;
const LR = 14;

export class ArmSignalFrames {
  private readonly registers: ArmRegisters;

  constructor(registers: ArmRegisters) {
    this.registers = registers;
  }

  push(task: Task, info: SigInfo, action: SigAction, savedMask: bigint): boolean {
    const { registers } = this;
    const { cpu, memory, signals } = task;
    const realTime = (action.flags & SaFlags.SA_SIGINFO) !== 0;
    const bytes = frameBytes + (realTime ? sigInfoBytes : 0);
    const frame = ((frameTop(task, action, registers.get(cpu, SP)) - bytes) & ~7) >>> 0;
    if (memory.refused(frame, bytes, Access.write) >= 0) return false;

    const uc = realTime ? frame + sigInfoBytes : frame;
    if (realTime) memory.write(frame, encodeSigInfo(info, 4));
    memory.store32(uc + Uc.flags, realTime ? 0 : plainFrameFlags);
    memory.store32(uc + 4, 0);
    saveAltStack(task, uc + Uc.stackSp, registers.get(cpu, SP));
    this.saveContext(task, uc, info, savedMask);
    this.saveVfp(task, uc);

    const thumb = action.handler & 1;
    const entry = thumb | (realTime ? 2 : 0);
    sigreturnWords[entry].forEach((word, i) => memory.store32(uc + retcode + 4 * i, word));
    const returnTo = (action.flags & SaFlags.SA_RESTORER) !== 0 ? action.restorer : sigreturnAddress(entry) | thumb;

    if ((signals.altStack.flags & SsFlags.SS_AUTODISARM) !== 0) signals.altStack = noAltStack;
    registers.setCpsr(cpu, registers.cpsr(cpu) & ~(Cpsr.flags | Cpsr.endian | Cpsr.itMask));
    registers.set(cpu, 0, info.signo);
    if (realTime) {
      registers.set(cpu, 1, frame);
      registers.set(cpu, 2, uc);
    }
    registers.set(cpu, SP, frame);
    registers.set(cpu, LR, returnTo);
    registers.setPc(cpu, thumb ? action.handler : action.handler & ~3);
    registers.setSlot(cpu, 'exclusiveAddress', -1);
    return true;
  }

  private saveContext(task: Task, uc: number, info: SigInfo, savedMask: bigint): void {
    const { memory, cpu } = task;
    const { registers } = this;
    const fault = info.kind === 'fault' ? info : { trapNumber: 0, errorCode: 0, address: 0 };
    memory.store32(uc + Uc.trapNumber, fault.trapNumber);
    memory.store32(uc + Uc.errorCode, fault.errorCode);
    memory.store32(uc + Uc.oldMask, Number(savedMask & 0xffff_ffffn));
    for (let n = 0; n < 15; n++) memory.store32(uc + Uc.r0 + 4 * n, registers.get(cpu, n));
    memory.store32(uc + Uc.pc, registers.pc(cpu) & ~1);
    memory.store32(uc + Uc.cpsr, registers.cpsr(cpu));
    memory.store32(uc + Uc.faultAddress, fault.address);
    memory.store64(uc + Uc.sigmask, savedMask);
  }

  private saveVfp(task: Task, uc: number): void {
    const { memory, cpu } = task;
    const { registers } = this;
    memory.store32(uc + Uc.vfpMagic, vfpMagicValue);
    memory.store32(uc + Uc.vfpSize, vfpBlockBytes);
    memory.write(uc + Uc.vfpRegisters, cpu.u8.subarray(registers.vfp * 4, registers.vfp * 4 + 256));
    memory.store32(uc + Uc.fpscr, registers.slot(cpu, 'fpscr') | registers.slot(cpu, 'fpNzcv'));
    memory.store32(uc + Uc.fpexc, fpexcEnabled);
    memory.store32(uc + Uc.fpinst, 0);
    memory.store32(uc + Uc.fpinst2, 0);
    memory.store32(uc + Uc.end, 0);
  }

  pop(task: Task, realTime: boolean): boolean {
    const { memory, cpu } = task;
    const { registers } = this;
    const frame = registers.get(cpu, SP);
    const bytes = frameBytes + (realTime ? sigInfoBytes : 0);
    if ((frame & 7) !== 0 || memory.refused(frame, bytes, Access.read) >= 0) return false;
    const uc = realTime ? frame + sigInfoBytes : frame;

    const cpsr = memory.load32(uc + Uc.cpsr);
    if ((cpsr & Cpsr.modeMask) !== Cpsr.userMode || (cpsr & Cpsr.irqOff) !== 0) return false;
    if (memory.load32(uc + Uc.vfpMagic) !== vfpMagicValue || memory.load32(uc + Uc.vfpSize) !== vfpBlockBytes) {
      return false;
    }
    setBlocked(task, memory.load64(uc + Uc.sigmask));
    for (let n = 0; n < 15; n++) registers.set(cpu, n, memory.load32(uc + Uc.r0 + 4 * n));
    registers.setCpsr(cpu, cpsr);
    const pc = memory.load32(uc + Uc.pc);
    registers.setPc(cpu, (cpsr & Cpsr.thumb) !== 0 ? pc | 1 : pc & ~3);

    cpu.u8.set(memory.view(uc + Uc.vfpRegisters, 256), registers.vfp * 4);
    const fpscr = memory.load32(uc + Uc.fpscr);
    registers.setSlot(cpu, 'fpscr', fpscr & 0x0fff_ffff);
    registers.setSlot(cpu, 'fpNzcv', fpscr & 0xf000_0000);
    registers.setSlot(cpu, 'exclusiveAddress', -1);
    if (realTime) restoreAltStack(task, uc + Uc.stackSp, registers.get(cpu, SP));
    return true;
  }
}
