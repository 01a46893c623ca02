import { Access } from '#accel/guest-memory.ts';
import { setBlocked } from '../signal/actions.ts';
import { encodeSigInfo, type SigInfo } from '../signal/siginfo.ts';
import { noAltStack, SaFlags, type SigAction, SsFlags } from '../signal/signal-state.ts';
import type { Task } from '../task.ts';
import { fsaveBytes, fxsaveBytes, type I386Fpu } from './i386-fpu.ts';
import { Eflags, flatData, type I386Registers, Reg, Seg, Selector } from './i386-registers.ts';
import type { I386Tls } from './i386-tls.ts';
import { rtSigreturnAddress, sigreturnAddress } from './i386-vdso.ts';
import { frameTop, restoreAltStack, saveAltStack } from './signal-stack.ts';

/*
 * Signal frames as Linux lays them out on i386 (arch/x86/include/asm/sigframe.h, uapi/asm/sigcontext.h):
 *
 *     struct sigframe_ia32    { pretcode; sig; struct sigcontext_32 sc; fpstate_unused; extramask; retcode[8]; }
 *     struct rt_sigframe_ia32 { pretcode; sig; pinfo; puc; siginfo info; struct ucontext uc; retcode[8]; }
 *
 * and above them, at a multiple of 64, the FXSAVE image with the FSAVE image before it.
 */
const Frame = { returnTo: 0, signo: 4, context: 8, extraMask: 720, code: 724, bytes: 732 } as const;
const RtFrame = {
  returnTo: 0,
  signo: 4,
  info: 8,
  context: 12,
  siginfo: 16,
  uc: 144,
  stack: 152,
  mcontext: 164,
  mask: 252,
  code: 260,
  bytes: 268,
} as const;

/** struct sigcontext_32. */
const Sc = {
  gs: 0,
  fs: 4,
  es: 8,
  ds: 12,
  /** EDI ESI EBP ESP EBX EDX ECX EAX. */
  general: 16,
  trapNumber: 48,
  errorCode: 52,
  ip: 56,
  cs: 60,
  flags: 64,
  stackPointer: 68,
  ss: 72,
  fpstate: 76,
  oldMask: 80,
  cr2: 84,
} as const;
const generalOrder = [Reg.edi, Reg.esi, Reg.ebp, Reg.esp, Reg.ebx, Reg.edx, Reg.ecx, Reg.eax];
const dataSegments = [
  [Sc.gs, Seg.gs],
  [Sc.fs, Seg.fs],
  [Sc.es, Seg.es],
  [Sc.ds, Seg.ds],
] as const;

/** What sigreturn takes over from the flags beside the status and direction flags (FIX_EFLAGS). */
const restoredFlags = Eflags.ac | Eflags.tf;

/** pop eax; mov eax, 119; int 0x80 — mov eax, 173; int 0x80: what debuggers look for in a frame. */
const sigreturnBytes = Uint8Array.of(0x58, 0xb8, 0x77, 0, 0, 0, 0xcd, 0x80);
const rtSigreturnBytes = Uint8Array.of(0xb8, 0xad, 0, 0, 0, 0xcd, 0x80, 0);

export class I386SignalFrames {
  private readonly registers: I386Registers;
  private readonly fpu: I386Fpu;
  private readonly tls: I386Tls;

  constructor(registers: I386Registers, fpu: I386Fpu, tls: I386Tls) {
    this.registers = registers;
    this.fpu = fpu;
    this.tls = tls;
  }

  push(task: Task, info: SigInfo, action: SigAction, savedMask: bigint): boolean {
    const { registers } = this;
    const { cpu, memory, signals } = task;
    const realTime = (action.flags & SaFlags.SA_SIGINFO) !== 0;
    const top = frameTop(task, action, registers.get(cpu, Reg.esp));
    const fpstate = ((top - fxsaveBytes - 4) & ~63) - fsaveBytes;
    const below = fpstate - (realTime ? RtFrame.bytes : Frame.bytes);
    const frame = (((below + 4) & ~15) - 4) >>> 0;
    const end = (fpstate >>> 0) + fsaveBytes + fxsaveBytes;
    if (frame > end || memory.refused(frame, end - frame, Access.write) >= 0) return false;

    memory.store32(frame + Frame.signo, info.signo);
    this.fpu.save(cpu, memory, fpstate >>> 0);
    if (realTime) this.fillRt(task, frame, info, savedMask, fpstate);
    else {
      this.saveContext(task, frame + Frame.context, info, savedMask, fpstate);
      memory.store32(frame + Frame.extraMask, Number(savedMask >> 32n));
      memory.write(frame + Frame.code, sigreturnBytes);
    }
    const own = realTime ? rtSigreturnAddress : sigreturnAddress;
    memory.store32(frame, (action.flags & SaFlags.SA_RESTORER) !== 0 ? action.restorer : own);

    if ((signals.altStack.flags & SsFlags.SS_AUTODISARM) !== 0) signals.altStack = noAltStack;
    registers.set(cpu, Reg.eax, info.signo);
    registers.set(cpu, Reg.edx, realTime ? frame + RtFrame.siginfo : 0);
    registers.set(cpu, Reg.ecx, realTime ? frame + RtFrame.uc : 0);
    registers.set(cpu, Reg.esp, frame);
    registers.setPc(cpu, action.handler);
    registers.setEflags(cpu, registers.eflags(cpu) & ~Eflags.df, 0);
    registers.setSlot(cpu, 'eflags', registers.slot(cpu, 'eflags') & ~Eflags.tf);
    for (const segment of [Seg.ds, Seg.es, Seg.ss]) registers.setSegment(cpu, segment, Selector.userData, flatData);
    registers.setSlot(cpu, 'stepped', 0);
    this.fpu.reset(cpu);
    return true;
  }

  private fillRt(task: Task, frame: number, info: SigInfo, savedMask: bigint, fpstate: number): void {
    const { memory, cpu } = task;
    memory.store32(frame + RtFrame.info, frame + RtFrame.siginfo);
    memory.store32(frame + RtFrame.context, frame + RtFrame.uc);
    memory.write(frame + RtFrame.siginfo, encodeSigInfo(info, 4));
    memory.store32(frame + RtFrame.uc, 0);
    memory.store32(frame + RtFrame.uc + 4, 0);
    saveAltStack(task, frame + RtFrame.stack, this.registers.get(cpu, Reg.esp));
    this.saveContext(task, frame + RtFrame.mcontext, info, savedMask, fpstate);
    memory.store64(frame + RtFrame.mask, savedMask);
    memory.write(frame + RtFrame.code, rtSigreturnBytes);
  }

  private saveContext(task: Task, at: number, info: SigInfo, savedMask: bigint, fpstate: number): void {
    const { memory, cpu } = task;
    const { registers } = this;
    const fault = info.kind === 'fault' ? info : { trapNumber: 0, errorCode: 0, address: 0 };
    for (const [offset, segment] of dataSegments) memory.store32(at + offset, registers.selector(cpu, segment));
    generalOrder.forEach((n, i) => memory.store32(at + Sc.general + 4 * i, registers.get(cpu, n)));
    memory.store32(at + Sc.trapNumber, fault.trapNumber);
    memory.store32(at + Sc.errorCode, fault.errorCode);
    memory.store32(at + Sc.ip, registers.pc(cpu));
    memory.store32(at + Sc.cs, registers.selector(cpu, Seg.cs));
    memory.store32(at + Sc.flags, registers.eflags(cpu));
    memory.store32(at + Sc.stackPointer, registers.get(cpu, Reg.esp));
    memory.store32(at + Sc.ss, registers.selector(cpu, Seg.ss));
    memory.store32(at + Sc.fpstate, fpstate);
    memory.store32(at + Sc.oldMask, Number(savedMask & 0xffff_ffffn));
    memory.store32(at + Sc.cr2, fault.trapNumber === pageFaultVector ? fault.address : 0);
  }

  pop(task: Task, realTime: boolean): boolean {
    const { memory, cpu } = task;
    const { registers } = this;
    // The return address has been popped, and by sigreturn's code the signal number too.
    const frame = (registers.get(cpu, Reg.esp) - (realTime ? 4 : 8)) >>> 0;
    if (memory.refused(frame, realTime ? RtFrame.bytes : Frame.bytes, Access.read) >= 0) return false;
    const context = frame + (realTime ? RtFrame.mcontext : Frame.context);
    const fpstate = memory.load32(context + Sc.fpstate);
    if (fpstate !== 0 && memory.refused(fpstate, fsaveBytes + fxsaveBytes, Access.read) >= 0) return false;

    const mask = realTime
      ? memory.load64(frame + RtFrame.mask)
      : BigInt(memory.load32(context + Sc.oldMask)) | (BigInt(memory.load32(frame + Frame.extraMask)) << 32n);
    setBlocked(task, mask);
    for (const [offset, segment] of dataSegments) this.tls.restore(task, segment, memory.load16(context + offset) | 3);
    generalOrder.forEach((n, i) => registers.set(cpu, n, memory.load32(context + Sc.general + 4 * i)));
    registers.setPc(cpu, memory.load32(context + Sc.ip));
    registers.setEflags(cpu, memory.load32(context + Sc.flags), restoredFlags);
    if (fpstate === 0) this.fpu.reset(cpu);
    else this.fpu.restore(cpu, memory, fpstate);
    if (realTime) restoreAltStack(task, frame + RtFrame.stack, registers.get(cpu, Reg.esp));
    return true;
  }
}

const pageFaultVector = 14;
