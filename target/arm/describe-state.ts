import { cpuHeader } from '#tcg/cpu-page.ts';
import type { CpuView } from '#tcg/target.ts';
import { armState, slotR } from './state.ts';

const hex = (value: number, digits = 8): string => (value >>> 0).toString(16).padStart(digits, '0');

/** The registers as qemu-arm's `-d cpu` prints them, so that two logs can be compared line by line. */
export function describeState(cpu: CpuView, fpu: boolean): string {
  const word = (offset: number): number => cpu.i32[offset >> 2]!;
  const field = (name: 'nf' | 'zf' | 'cf' | 'vf' | 'qf' | 'ge' | 'itstate' | 'endian' | 'fpscr' | 'fpNzcv'): number =>
    word(armState.fields[name].offset);
  const pc = word(cpuHeader.fields.pc.offset);
  const thumb = pc & 1;
  let text = '';
  for (let n = 0; n < 16; n++) {
    const value = n === 15 ? pc & ~1 : word(slotR(n));
    text += `R${String(n).padStart(2, '0')}=${hex(value)}${n % 4 === 3 ? '\n' : ' '}`;
  }
  const [n, z, c, v] = [field('nf') < 0, field('zf') === 0, field('cf') !== 0, field('vf') < 0];
  const it = field('itstate');
  const psr =
    (Number(n) << 31) |
    (Number(z) << 30) |
    (Number(c) << 29) |
    (Number(v) << 28) |
    (field('qf') << 27) |
    ((it & 3) << 25) |
    (field('ge') << 16) |
    ((it & 0xfc) << 8) |
    (field('endian') ? 1 << 9 : 0) |
    (thumb << 5) |
    0x10;
  text += `PSR=${hex(psr)} ${n ? 'N' : '-'}${z ? 'Z' : '-'}${c ? 'C' : '-'}${v ? 'V' : '-'} ${thumb ? 'T' : 'A'} usr32\n`;
  return fpu ? text + describeFloats(cpu, field('fpscr') | field('fpNzcv')) : text;
}

function describeFloats(cpu: CpuView, fpscr: number): string {
  const first = armState.fields.d.offset >> 2;
  let text = '';
  for (let n = 0; n < 32; n++) {
    const low = cpu.i32[first + 2 * n]!;
    const high = cpu.i32[first + 2 * n + 1]!;
    const name = (kind: string, index: number): string => `${kind}${String(index).padStart(2, '0')}`;
    text += `${name('s', 2 * n)}=${hex(low)} ${name('s', 2 * n + 1)}=${hex(high)} ${name('d', n)}=${hex(high)}${hex(low)}\n`;
  }
  return `${text}FPSCR: ${hex(fpscr)}\n`;
}
