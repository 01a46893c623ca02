import { cpuHeader } from '#tcg/cpu-page.ts';
import type { CpuView } from '#tcg/target.ts';
import { Eflags, i386State, slotR, slotXmm } from './state.ts';

const hex = (value: number, digits = 8): string => (value >>> 0).toString(16).padStart(digits, '0');

/** The registers as qemu-i386's `-d cpu` prints the first of them. */
export function describeState(cpu: CpuView, fpu: boolean): string {
  const word = (offset: number): number => cpu.i32[offset >> 2]!;
  const reg = (n: number): string => hex(word(slotR(n)));
  const flags = eflagsOf(cpu);
  const letters = 'ODSZAPC';
  const bits = [Eflags.of, Eflags.df, Eflags.sf, Eflags.zf, Eflags.af, Eflags.pf, Eflags.cf];
  const shown = bits.map((bit, i) => (flags & bit ? letters[i] : '-')).join('');
  let text =
    `EAX=${reg(0)} EBX=${reg(3)} ECX=${reg(1)} EDX=${reg(2)}\n` +
    `ESI=${reg(6)} EDI=${reg(7)} EBP=${reg(5)} ESP=${reg(4)}\n` +
    `EIP=${hex(word(cpuHeader.fields.pc.offset))} EFL=${hex(flags)} [${shown}]\n`;
  if (!fpu) return text;
  for (let n = 0; n < 8; n++) {
    const at = slotXmm(n);
    text += `XMM${n}=${[12, 8, 4, 0].map((part) => hex(word(at + part))).join('')}\n`;
  }
  return text;
}

/** EFLAGS of a CPU state. */
export function eflagsOf(cpu: CpuView): number {
  const field = (name: Parameters<typeof i386State.offset>[0]): number => cpu.i32[i386State.offset(name) >> 2]!;
  const sf = field('sf');
  let parity = sf & 0xff;
  parity ^= parity >> 4;
  parity ^= parity >> 2;
  parity ^= parity >> 1;
  return (
    field('cf') |
    Eflags.fixed |
    (parity & 1 ? 0 : Eflags.pf) |
    ((field('af') ^ sf) & Eflags.af) |
    (field('zf') === 0 ? Eflags.zf : 0) |
    (sf < 0 ? Eflags.sf : 0) |
    Eflags.if |
    (field('df') < 0 ? Eflags.df : 0) |
    (field('of') < 0 ? Eflags.of : 0) |
    field('eflags')
  );
}
