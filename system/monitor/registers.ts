import { armState } from '#target/arm/state.ts';
import { Mode, Psr } from '#target/arm/system-state.ts';
import type { Machine } from '../machine.ts';

const modeNames: Readonly<Record<number, string>> = {
  [Mode.user]: 'usr',
  [Mode.fiq]: 'fiq',
  [Mode.irq]: 'irq',
  [Mode.supervisor]: 'svc',
  [Mode.abort]: 'abt',
  [Mode.undefined]: 'und',
  [Mode.system]: 'sys',
};
const rWord = armState.offset('r') >> 2;
const hex = (value: number): string => (value >>> 0).toString(16).padStart(8, '0');

/** `info registers`, as QEMU prints a 32-bit ARM CPU. */
export function registersText({ core, current, pc }: Machine): string {
  let text = `\nCPU#${current.index}\n`;
  for (let n = 0; n < 16; n++) {
    const value = n === 15 ? pc & ~1 : core.cpu.i32[rWord + n]!;
    text += `R${String(n).padStart(2, '0')}=${hex(value)}${n % 4 === 3 ? '\n' : ' '}`;
  }
  const psr = core.cpsr;
  const flags = ['N', 'Z', 'C', 'V'].map((name, i) => ((psr >>> (31 - i)) & 1 ? name : '-')).join('');
  const set = psr & Psr.t ? 'T' : 'A';
  return `${text}PSR=${hex(psr)} ${flags} ${set} ${modeNames[psr & Psr.modeMask] ?? '???'}32\n`;
}
