import { Access } from '#accel/guest-memory.ts';
import { I386Registers } from '#linux-user/abi/i386-registers.ts';
import { I386Tls } from '#linux-user/abi/i386-tls.ts';
import { checkAccess } from '#linux-user/access-check.ts';
import { readForeign, writeForeign } from '#linux-user/mm/foreign.ts';
import { allOptions, Request } from '#linux-user/ptrace/constants.ts';
import { generalRegisters, type RegisterSet, userRegisters } from '#linux-user/ptrace/registers.ts';
import { type ResumeMode, Tracee } from '#linux-user/ptrace/tracee.ts';
import { setBlocked } from '#linux-user/signal/actions.ts';
import { Signal, signalCount } from '#linux-user/signal/numbers.ts';
import { sendToTask } from '#linux-user/signal/send.ts';
import { encodeSigInfo, SiCode, sigInfoBytes } from '#linux-user/signal/siginfo.ts';
import type { Task } from '#linux-user/task.ts';
import { Errno } from '#util/errno.ts';

/** The arguments of ptrace(2) after the pid. */
interface Call {
  readonly request: number;
  readonly address: number;
  readonly data: number;
}

/** Requests that only ARM has (arch/arm/include/uapi/asm/ptrace.h). */
const ArmRequest = {
  PTRACE_GET_THREAD_AREA: 22,
  PTRACE_SET_SYSCALL: 23,
  PTRACE_GETVFPREGS: 27,
  PTRACE_SETVFPREGS: 28,
  PTRACE_GETHBPREGS: 29,
} as const;

/** Requests that only i386 has. */
const I386Request = {
  PTRACE_GETFPXREGS: 18,
  PTRACE_SETFPXREGS: 19,
  PTRACE_GET_THREAD_AREA: 25,
  PTRACE_SET_THREAD_AREA: 26,
} as const;

const NT_PRSTATUS = 1;
const NT_PRFPREG = 2;
const NT_PRXFPREG = 0x46e6_2b7f;
const NT_ARM_VFP = 0x400;

/** struct user of i386: the debug registers begin here, and there it ends. */
const debugRegisters = 252;
const userBytes = 284;
/** PT_TEXT_ADDR, PT_DATA_ADDR, PT_TEXT_END_ADDR of ARM. */
const armPlaces = [0x1_0000, 0x1_0004, 0x1_0008];
/** sizeof(struct user) of ARM. */
const armUserBytes = 296;

/** ptrace(2). */
export function ptrace(task: Task, pid: number, call: Call): number {
  switch (call.request) {
    case Request.PTRACE_TRACEME:
      return traceMe(task);
    case Request.PTRACE_ATTACH:
    case Request.PTRACE_SEIZE:
      return attach(task, pid, call);
    default:
      return serve(task, traceeOf(task, pid, call.request), call);
  }
}

function traceMe(task: Task): number {
  const { parent } = task.process;
  if (task.trace !== null || parent === null) throw new Errno('EPERM');
  new Tracee(task, parent, 0, false);
  return 0;
}

function attach(task: Task, pid: number, { request, address, data }: Call): number {
  const seize = request === Request.PTRACE_SEIZE;
  const target = task.process.kernel.processes.task(pid);
  if (target === undefined) throw new Errno('ESRCH');
  if (seize && (address !== 0 || (data & ~allOptions) !== 0)) throw new Errno('EIO');
  const { process } = target;
  if (process === task.process) throw new Errno('EPERM');
  checkAccess(task.process, process);
  if (target.trace !== null || target.mustEnd) throw new Errno('EPERM');
  new Tracee(target, task.process, seize ? data : 0, seize);
  const { pid: sender, credentials } = task.process;
  if (!seize) {
    sendToTask(target, {
      kind: 'kill',
      signo: Signal.SIGSTOP,
      code: SiCode.SI_USER,
      pid: sender,
      uid: credentials.uid,
    });
  }
  // One that is stopped already stops again, for its tracer.
  if (process.stopped) process.kernel.scheduler.unpark(process);
  return 0;
}

/** The tracee that a request is about, which most want to find stopped. ESRCH. */
function traceeOf(task: Task, pid: number, request: number): Tracee {
  const trace = task.process.kernel.processes.task(pid)?.trace ?? null;
  if (trace === null || trace.tracer !== task.process) throw new Errno('ESRCH');
  const anytime = request === Request.PTRACE_KILL || request === Request.PTRACE_INTERRUPT;
  if (!anytime && (trace.stop === null || trace.listening)) throw new Errno('ESRCH');
  return trace;
}

function serve(task: Task, trace: Tracee, call: Call): number {
  const { request, address, data } = call;
  switch (request) {
    case Request.PTRACE_PEEKTEXT:
    case Request.PTRACE_PEEKDATA:
      return peek(task, trace, address, data);
    case Request.PTRACE_POKETEXT:
    case Request.PTRACE_POKEDATA:
      return poke(trace, address, data);
    case Request.PTRACE_PEEKUSER:
      task.memory.store32(data, readUser(trace, address));
      return 0;
    case Request.PTRACE_POKEUSER:
      return writeUser(trace, address, data);
    case Request.PTRACE_CONT:
      return resume(trace, 'run', data);
    case Request.PTRACE_SYSCALL:
      return resume(trace, 'calls', data);
    case Request.PTRACE_SINGLESTEP:
      // 32-bit ARM has no such thing: its debuggers put breakpoints.
      if (task.abi.name === 'arm') throw new Errno('EIO');
      return resume(trace, 'step', data);
    case Request.PTRACE_KILL:
      if (trace.stop !== null) kill(trace);
      return 0;
    case Request.PTRACE_DETACH:
      checkResumeSignal(data);
      trace.detach(data);
      return 0;
    case Request.PTRACE_SETOPTIONS:
      if ((data & ~allOptions) !== 0) throw new Errno('EINVAL');
      trace.options = data;
      return 0;
    case Request.PTRACE_GETEVENTMSG:
      task.memory.store32(data, trace.message);
      return 0;
    case Request.PTRACE_GETSIGINFO:
      return getSigInfo(task, trace, data);
    case Request.PTRACE_SETSIGINFO:
      return setSigInfo(task, trace, data);
    case Request.PTRACE_GETSIGMASK:
      if (address !== 8) throw new Errno('EINVAL');
      task.memory.store64(data, trace.task.signals.savedMask ?? trace.task.signals.blocked);
      return 0;
    case Request.PTRACE_SETSIGMASK:
      if (address !== 8) throw new Errno('EINVAL');
      setBlocked(trace.task, task.memory.load64(data));
      return 0;
    case Request.PTRACE_INTERRUPT:
      if (!trace.seized) throw new Errno('EIO');
      trace.interrupt();
      return 0;
    case Request.PTRACE_LISTEN:
      return listen(trace);
    case Request.PTRACE_GETREGS:
      return putSet(task, data, trace, generalRegisters(trace.task));
    case Request.PTRACE_SETREGS:
      return takeSet(task, data, trace, generalRegisters(trace.task));
    case Request.PTRACE_GETREGSET:
    case Request.PTRACE_SETREGSET:
      return moveRegset(task, trace, call);
    case Request.PTRACE_GET_SYSCALL_INFO:
      return syscallInfo(task, trace, address, data);
    default:
      return task.abi.name === 'i386' ? serveI386(task, trace, call) : serveArm(task, trace, call);
  }
}

// ---- memory

function peek(task: Task, { task: other }: Tracee, address: number, to: number): number {
  const bytes = readForeign(other.mm, address, 4);
  if (bytes.length < 4) throw new Errno('EIO');
  task.memory.write(to, bytes);
  return 0;
}

function poke({ task: other }: Tracee, address: number, value: number): number {
  const bytes = new Uint8Array(Int32Array.of(value).buffer);
  if (readForeign(other.mm, address, 4).length < 4 || writeForeign(other.mm, address, bytes) < 4)
    throw new Errno('EIO');
  return 0;
}

// ---- registers

function readUser({ task: other }: Tracee, offset: number): number {
  const user = userRegisters(other);
  if (offset % 4 !== 0) throw new Errno('EIO');
  if (offset < 4 * user.count) return user.get(other, offset / 4);
  if (other.abi.name === 'i386') {
    if (offset >= userBytes) throw new Errno('EIO');
    return 0;
  }
  if (armPlaces.includes(offset)) return 0;
  if (offset >= armUserBytes) throw new Errno('EIO');
  return 0;
}

function writeUser({ task: other }: Tracee, offset: number, value: number): number {
  const user = userRegisters(other);
  const i386 = other.abi.name === 'i386';
  if (offset % 4 !== 0 || offset >= (i386 ? userBytes : armUserBytes)) throw new Errno('EIO');
  if (offset < 4 * user.count) user.set(other, offset / 4, value);
  // There are no debug registers: nothing can be watched by them.
  else if (i386 && offset >= debugRegisters && value !== 0) throw new Errno('ENOSPC');
  else if (i386 && offset < debugRegisters) throw new Errno('EIO');
  return 0;
}

function putSet(task: Task, to: number, { task: other }: Tracee, set: RegisterSet): number {
  task.memory.write(to, set.load(other));
  return 0;
}

function takeSet(task: Task, from: number, { task: other }: Tracee, set: RegisterSet): number {
  set.store(other, task.memory.copy(from, set.bytes));
  return 0;
}

function setOf({ task: other }: Tracee, type: number): RegisterSet | undefined {
  return type === NT_PRSTATUS ? generalRegisters(other) : userRegisters(other).sets.get(type);
}

/** PTRACE_GETREGSET and PTRACE_SETREGSET: `data` is an iovec, whose length becomes what was moved. */
function moveRegset(task: Task, trace: Tracee, { request, address: type, data }: Call): number {
  const { memory } = task;
  memory.require(data, 8, Access.read | Access.write);
  const base = memory.load32(data);
  const room = memory.load32(data + 4);
  const set = setOf(trace, type);
  if (set === undefined || room % 4 !== 0) throw new Errno('EINVAL');
  const length = Math.min(room, set.bytes);
  if (request === Request.PTRACE_GETREGSET) memory.write(base, set.load(trace.task).subarray(0, length));
  else set.store(trace.task, memory.copy(base, length));
  memory.store32(data + 4, length);
  return 0;
}

function serveArm(task: Task, trace: Tracee, { request, address, data }: Call): number {
  const { task: other } = trace;
  switch (request) {
    case ArmRequest.PTRACE_GET_THREAD_AREA:
      task.memory.store32(data, other.abi.threadPointer(other.cpu));
      return 0;
    case ArmRequest.PTRACE_SET_SYSCALL:
      if (trace.callRegisters !== null) trace.callRegisters.number = data | 0;
      return 0;
    case ArmRequest.PTRACE_GETVFPREGS:
      return putSet(task, data, trace, setOf(trace, NT_ARM_VFP)!);
    case ArmRequest.PTRACE_SETVFPREGS:
      return takeSet(task, data, trace, setOf(trace, NT_ARM_VFP)!);
    case ArmRequest.PTRACE_GETHBPREGS:
      // Register 0 tells how many there are: none.
      if (address !== 0) throw new Errno('EINVAL');
      task.memory.store32(data, 0);
      return 0;
    default:
      throw new Errno('EIO');
  }
}

function serveI386(task: Task, trace: Tracee, { request, address, data }: Call): number {
  switch (request) {
    case Request.PTRACE_GETFPREGS:
      return putSet(task, data, trace, setOf(trace, NT_PRFPREG)!);
    case Request.PTRACE_SETFPREGS:
      return takeSet(task, data, trace, setOf(trace, NT_PRFPREG)!);
    case I386Request.PTRACE_GETFPXREGS:
      return putSet(task, data, trace, setOf(trace, NT_PRXFPREG)!);
    case I386Request.PTRACE_SETFPXREGS:
      return takeSet(task, data, trace, setOf(trace, NT_PRXFPREG)!);
    case I386Request.PTRACE_GET_THREAD_AREA:
      tlsOf(trace).getOf(trace.task, address, task.memory, data);
      return 0;
    case I386Request.PTRACE_SET_THREAD_AREA:
      tlsOf(trace).setOf(trace.task, address, task.memory, data);
      return 0;
    default:
      throw new Errno('EIO');
  }
}

const tlsOf = ({ task: other }: Tracee): I386Tls =>
  new I386Tls(new I386Registers(other.process.space.guest.target.layout));

// ---- going on

function checkResumeSignal(signo: number): void {
  if (signo > signalCount) throw new Errno('EIO');
}

function resume(trace: Tracee, mode: ResumeMode, signo: number): number {
  checkResumeSignal(signo);
  if (signo === Signal.SIGKILL) kill(trace);
  else trace.resume(mode, signo);
  return 0;
}

function kill({ task: other }: Tracee): void {
  sendToTask(other, { kind: 'kernel', signo: Signal.SIGKILL, code: SiCode.SI_KERNEL });
}

/** PTRACE_LISTEN: only from the stop of the whole process. */
function listen(trace: Tracee): number {
  if (!trace.seized || !trace.inGroupStop) throw new Errno('EIO');
  trace.listen();
  return 0;
}

// ---- what has happened

function getSigInfo(task: Task, { stop }: Tracee, to: number): number {
  if (stop === null || stop.info === null) throw new Errno('EINVAL');
  task.memory.write(to, encodeSigInfo(stop.info, task.abi.pointerBytes));
  return 0;
}

function setSigInfo(task: Task, { stop }: Tracee, from: number): number {
  if (stop === null || stop.info === null) throw new Errno('EINVAL');
  const { memory } = task;
  const bytes = memory.copy(from, sigInfoBytes);
  const word = (offset: number): number => memory.load32(from + offset) | 0;
  stop.info = { kind: 'raw', signo: word(0), errno: word(4), code: word(8), bytes: bytes.subarray(12) };
  return 0;
}

const callInfo = { op: 0, arch: 4, ip: 8, sp: 16, number: 24, args: 32, entryBytes: 80, exitBytes: 33 } as const;
/** Bytes that tell what every stop has. */
const commonBytes = 24;

/** struct ptrace_syscall_info: returns how many bytes there are, of which `size` are written at most. */
function syscallInfo(task: Task, { task: other, stop, callRegisters }: Tracee, size: number, to: number): number {
  const view = new DataView(new ArrayBuffer(callInfo.entryBytes));
  const { abi, cpu } = other;
  const kind = stop?.kind;
  let bytes: number = commonBytes;
  view.setUint32(callInfo.arch, userRegisters(other).auditArch, true);
  view.setUint32(callInfo.ip, abi.pc(cpu), true);
  view.setUint32(callInfo.sp, abi.stackPointer(cpu), true);
  if (kind === 'entry') {
    view.setUint8(callInfo.op, 1);
    view.setUint32(callInfo.number, callRegisters?.number ?? -1, true);
    for (let n = 0; n < 6; n++) view.setUint32(callInfo.args + 8 * n, abi.argument(cpu, n), true);
    bytes = callInfo.entryBytes;
  } else if (kind === 'exit') {
    view.setUint8(callInfo.op, 2);
    const result = abi.name === 'i386' ? userRegisters(other).get(other, i386Eax) | 0 : abi.argument(cpu, 0) | 0;
    view.setBigInt64(callInfo.number, BigInt(result), true);
    view.setUint8(callInfo.number + 8, result < 0 && result >= -4095 ? 1 : 0);
    bytes = callInfo.exitBytes;
  }
  task.memory.write(to, new Uint8Array(view.buffer, 0, Math.min(size, bytes)));
  return bytes;
}

/** Index of EAX in struct user_regs_struct. */
const i386Eax = 6;
