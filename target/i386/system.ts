import { ExitReason } from '#tcg/cpu-page.ts';
import { Op, Reg, type X86Context } from './context.ts';
import { defineHelper } from './helpers.ts';
import { slotR } from './state.ts';

/** NOP; of the wide ones the operand is not touched */
export const nop = (): void => {};

/** PAUSE: a thread that spins lets another one run */
export const pause = (c: X86Context): void => c.exit(ExitReason.yield, c.nextPc);

/** LFENCE, SFENCE, MFENCE */
export const fence = (c: X86Context): void => void c.b.emit(Op.fence);

/** CLFLUSH m8 */
export const clflush = (c: X86Context): void => c.probeMemory(1, 1);

/** UD0, UD1, UD2 */
export const undefined_ = (c: X86Context): void => c.undefined();

/** What user mode may not do: HLT, CLI, IN, MOV CR0… */
export const privileged = (c: X86Context): void => c.protectionFault();

/** MOV from and to control registers, of which there are four */
export function moveControl(c: X86Context): void {
  const number = c.insn.reg;
  if (number === 1 || number > 4) c.undefined();
  else c.protectionFault();
}

/** SALC: AL = CF ? FF : 0 */
export const salc = (c: X86Context): void => c.setRegister(Reg.eax, 1, c.b.sub(c.b.i32(0), c.flags.getCf()));

const slotEdx = slotR(Reg.edx) >> 2;

/** The time stamp counter counts nanoseconds. Returns its low word and leaves the high one in EDX. */
const timeStamp = defineHelper({
  name: 'rdtsc',
  call(cpu) {
    const time = BigInt(Math.round(performance.now() * 1e6));
    cpu.i32[slotEdx] = Number(BigInt.asIntN(32, time >> 32n));
    return Number(BigInt.asIntN(32, time));
  },
});

/** RDTSC */
export function rdtsc(c: X86Context): void {
  c.setReg(Reg.eax, c.b.helper(timeStamp, false));
}

/** RDTSCP: ECX is the processor's number */
export function rdtscp(c: X86Context): void {
  rdtsc(c);
  c.setReg(Reg.ecx, c.b.i32(0));
}

// What Linux gives where the CPU has UMIP: addresses that tell nothing (arch/x86/kernel/umip.c).

/** SGDT, SIDT m: a limit of 0 and an address in the kernel's range */
export const storeTable = (address: number) => (c: X86Context) => {
  c.storeMemory(Op.store16, c.b.i32(0));
  c.storeMemory(Op.store_i32, c.b.i32(address), 2);
};

/** SMSW, SLDT, STR r/m16 */
export const storeWord = (value: number) => (c: X86Context) => {
  const number = c.register(0);
  if (number >= 0) c.setRegister(number, c.insn.operandBytes, c.b.i32(value));
  else c.storeMemory(Op.store16, c.b.i32(value));
};
