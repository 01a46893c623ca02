/** PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM (SDM vol. 1, 12.12; vol. 2) and MPSADBW: helpers, with their rows. */

import type { CpuView } from '#tcg/target.ts';
import type { X86Context } from './context.ts';
import { Reg } from './context.ts';
import { defineHelper } from './helpers.ts';
import { row, type X86Row } from './row.ts';
import { i386State, slotR, slotXmm } from './state.ts';
import { load, loadUnaligned } from './vector.ts';

const slotOperand = i386State.offset('operand');

/** Bits of the immediate (SDM vol. 1, 12.12.1). */
const Control = { words: 1, signed: 2, aggregation: 12, polarity: 48, negate: 16, masked: 32, most: 64 } as const;

/** Elements of a vector, extended as the immediate has it. */
function elements(cpu: CpuView, slot: number, control: number): number[] {
  const wide = (control & Control.words) !== 0;
  const shift = wide ? 16 : 24;
  return Array.from({ length: wide ? 8 : 16 }, (_, i) => {
    const at = slot + (wide ? 2 * i : i);
    const value = wide ? cpu.u8[at]! | (cpu.u8[at + 1]! << 8) : cpu.u8[at]!;
    return control & Control.signed ? (value << shift) >> shift : value;
  });
}

/** Elements before the first 0, for the implicit forms. */
function implicitLength(values: readonly number[]): number {
  const end = values.indexOf(0);
  return end < 0 ? values.length : end;
}

/** |register|, at most the number of elements. */
const explicitLength = (register: number, count: number): number =>
  Math.min(count, Math.abs(register)) || (register === -0x80000000 ? count : 0);

/** Is element i of b matched, by aggregation? `a` is the first operand. */
function matches(a: readonly number[], m: number, b: readonly number[], n: number, i: number, how: number): boolean {
  const valid = i < n;
  switch (how) {
    case 0:
      return valid && a.slice(0, m).includes(b[i]!);
    case 1: {
      if (!valid) return false;
      for (let k = 0; k + 1 < m; k += 2) if (b[i]! >= a[k]! && b[i]! <= a[k + 1]!) return true;
      return false;
    }
    case 2:
      return valid && i < m ? a[i] === b[i] : !valid && i >= m;
    default:
      for (let k = 0; k < m && i + k < b.length; k++) {
        if (i + k >= n || a[k] !== b[i + k]) return false;
      }
      return true;
  }
}

/** IntRes2: a bit for each element of b. */
function compareStrings(a: readonly number[], m: number, b: readonly number[], n: number, control: number): number {
  let bits = 0;
  const how = (control & Control.aggregation) >> 2;
  for (let i = 0; i < b.length; i++) if (matches(a, m, b, n, i, how)) bits |= 1 << i;
  const all = (1 << b.length) - 1;
  if ((control & Control.negate) === 0) return bits;
  return bits ^ (control & Control.masked ? (1 << n) - 1 : all);
}

/** The mask of PCMPxSTRM: bits, or whole elements. */
function writeMask(cpu: CpuView, bits: number, control: number): void {
  const target = cpu.u8.subarray(slotXmm(0), slotXmm(0) + 16);
  if ((control & Control.most) === 0) {
    target.fill(0);
    target[0] = bits;
    target[1] = bits >> 8;
    return;
  }
  const bytes = control & Control.words ? 2 : 1;
  for (let i = 0; i < 16; i++) target[i] = (bits >> Math.floor(i / bytes)) & 1 ? 0xff : 0;
}

function indexOf(bits: number, count: number, most: boolean): number {
  if (bits === 0) return count;
  return most ? 31 - Math.clz32(bits) : 31 - Math.clz32(bits & -bits);
}

/** a: first operand's register; b: the immediate; c: bit 0 explicit lengths, bit 1 a mask. Returns EFLAGS bits. */
const helper = defineHelper({
  name: 'pcmpstr',
  call(cpu, register, control, form) {
    const x = elements(cpu, slotXmm(register), control);
    const y = elements(cpu, slotOperand, control);
    const count = x.length;
    const explicit = (form & 1) !== 0;
    const m = explicit ? explicitLength(cpu.i32[slotR(Reg.eax) >> 2]!, count) : implicitLength(x);
    const n = explicit ? explicitLength(cpu.i32[slotR(Reg.edx) >> 2]!, count) : implicitLength(y);
    const bits = compareStrings(x, m, y, n, control);
    if (form & 2) writeMask(cpu, bits, control);
    else cpu.i32[slotR(Reg.ecx) >> 2] = indexOf(bits, count, (control & Control.most) !== 0);
    return (bits !== 0 ? 1 : 0) | (n < count ? 0x40 : 0) | (m < count ? 0x80 : 0) | (bits & 1 ? 0x800 : 0);
  },
});

const compare =
  (explicit: boolean, mask: boolean) =>
  (c: X86Context): void => {
    const { b } = c;
    b.set('v128', slotOperand, loadUnaligned(c, 1));
    const form = (explicit ? 1 : 0) | (mask ? 2 : 0);
    const flags = b.helper(helper, false, b.i32(c.register(0)), b.i32(c.immediate(2) & 0xff), b.i32(form));
    c.flags.setStatus(flags);
  };

/** MPSADBW: eight sums of four absolute differences. */
const sumsHelper = defineHelper({
  name: 'mpsadbw',
  call(cpu, register, immediate) {
    const from = slotXmm(register);
    const a = Uint8Array.from(cpu.u8.subarray(from, from + 16));
    const first = immediate & 4;
    const block = slotOperand + 4 * (immediate & 3);
    for (let i = 0; i < 8; i++) {
      let sum = 0;
      for (let k = 0; k < 4; k++) sum += Math.abs(a[first + i + k]! - cpu.u8[block + k]!);
      cpu.u8[from + 2 * i] = sum;
      cpu.u8[from + 2 * i + 1] = sum >> 8;
    }
    return 0;
  },
});

function mpsadbw(c: X86Context): void {
  c.b.set('v128', slotOperand, load(c, 1));
  c.b.helper(sumsHelper, false, c.b.i32(c.register(0)), c.b.i32(c.immediate(2)));
}

export const stringRows: readonly X86Row[] = [
  row('MPSADBW', '66 0F 3A 42', 'Vdq,Wdq,Ib', mpsadbw),
  row('PCMPESTRM', '66 0F 3A 60', 'Vdq,Wdq,Ib', compare(true, true)),
  row('PCMPESTRI', '66 0F 3A 61', 'Vdq,Wdq,Ib', compare(true, false)),
  row('PCMPISTRM', '66 0F 3A 62', 'Vdq,Wdq,Ib', compare(false, true)),
  row('PCMPISTRI', '66 0F 3A 63', 'Vdq,Wdq,Ib', compare(false, false)),
];
