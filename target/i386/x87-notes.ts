/**
 * What the x87 unit was like where the interpreter ran code: the guess that regions are translated with. They test it,
 * so that a wrong one costs time only.
 */
import type { CpuView } from '#tcg/target.ts';
import { defineHelper } from './helpers.ts';
import { i386State } from './state.ts';

/** By address of an x87 instruction: TOP, PC of the control word from bit 3, and `unusual`. */
const notes = new Map<number, number>();
const maxNotes = 1 << 16;

const pcShift = 3;
const unusual = 32;

/** Control words regions are made for: all exceptions masked, rounding to nearest. PC is left open. */
export const usualMask = 0xc3f;
export const usualControl = 0x3f;

const wordOf = (name: 'fctrl' | 'ftop'): number => i386State.offset(name) >> 2;
const fctrl = wordOf('fctrl');
const ftop = wordOf('ftop');

function note(cpu: CpuView, pc: number): void {
  const control = cpu.i32[fctrl]!;
  const isUsual = (control & usualMask) === usualControl;
  const word = cpu.i32[ftop]! | (((control >> 8) & 3) << pcShift) | (isUsual ? 0 : unusual);
  if (notes.get(pc) === word) return;
  if (notes.size >= maxNotes) notes.clear();
  notes.set(pc, word);
}

/** Notes the state at an address. a: the address. */
export const noteHelper = defineHelper({
  name: 'x87_note',
  call(cpu, a) {
    note(cpu, a);
    return 0;
  },
});

/** What to expect at an instruction. */
export interface Expected {
  readonly top: number;
  /** PC of the control word. */
  readonly precisionControl: number;
  /** False: the control word is one that regions are not made for. */
  readonly usual: boolean;
}

/** What was noted at `pc`, else at `start`, the block's; else what a program begins with. */
export function expectedAt(pc: number, start: number): Expected {
  const word = notes.get(pc) ?? notes.get(start) ?? 3 << pcShift;
  return { top: word & 7, precisionControl: (word >> pcShift) & 3, usual: (word & unusual) === 0 };
}
