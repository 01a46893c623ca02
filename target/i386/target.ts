import { cpuHeader } from '#tcg/cpu-page.ts';
import type { CodeReader, CpuView, DisasContext, Target } from '#tcg/target.ts';
import { X86Context } from './context.ts';
import { describeState } from './describe-state.ts';
import { slotAf, slotDf, slotZf } from './flags.ts';
import { i386Helpers } from './helpers.ts';
import { Decoded, Insn } from './insn.ts';
import { sseMode } from './sse-float.ts';
import { i386State, Reg, Seg, Selector, slotR, slotSegment } from './state.ts';

type X86Disas = DisasContext & { readonly target: X86Block };

/** A block being translated. */
export interface X86Block {
  /** Made with the first instruction, which knows the limits of the block. */
  c: X86Context | undefined;
}

/** Translates the instruction at `context.pc`. */
function insn(context: X86Disas): void {
  const c = (context.target.c ??= new X86Context(
    new Insn(),
    context.b,
    context.code,
    context.mode,
    context.extended,
    context.isLeader,
  ));
  const { insn: record } = c;
  const decoded = record.decode(context.code, context.pc);
  c.b.insn(context.pc);
  c.start();
  if (decoded === Decoded.ok) translate(c);
  else if (decoded === Decoded.fetchFault) c.fetchFault(record.faultAddress);
  else if (decoded === Decoded.tooLong) c.protectionFault();
  else c.undefined();
  context.pc = (context.pc + record.length) >>> 0;
  context.done = c.ended;
}

function translate(c: X86Context): void {
  const { insn: record } = c;
  const { row } = record;
  // LOCK is for what reads and writes memory.
  if (record.lock && !(row.options.lock && record.isMemory)) c.undefined();
  else row.translate(c);
}

const described = new Insn();

/** Reads the instruction at `pc` for a dump. */
function describe(code: CodeReader, pc: number): { text: string; bytes: number } {
  const decoded = described.decode(code, pc >>> 0);
  const bytes = Math.max(1, described.length);
  if (decoded === Decoded.fetchFault) return { text: '(not readable)', bytes };
  if (decoded !== Decoded.ok) return { text: 'undefined', bytes };
  return { text: `${described.row.name} ${described.row.codes}`.trimEnd(), bytes };
}

/** IA-32 in user mode. A PC is an address. */
export const i386Target: Target<X86Block> = {
  name: 'i386',
  layout: i386State,
  lazySlots: [[slotZf, slotAf + 4]],
  helpers: i386Helpers,
  coherentCode: true,
  address: (pc) => pc >>> 0,
  mode: sseMode,
  begin: () => ({ c: undefined }),
  insn,
  canStop: () => true,
  encodePc: ({ pc }) => pc | 0,
  reset(cpu: CpuView, pc, stackPointer) {
    cpu.u8.fill(0, i386State.start, i386State.end);
    const set = (offset: number, value: number): void => {
      cpu.i32[offset >> 2] = value;
    };
    set(slotZf, 1);
    // One bit in the low byte: PF is clear.
    set(i386State.offset('sf'), 1);
    set(slotAf, 1);
    set(slotDf, 1);
    for (const segment of [Seg.es, Seg.ss, Seg.ds]) set(slotSegment(segment), Selector.userData);
    set(slotSegment(Seg.cs), Selector.userCode);
    set(i386State.offset('fctrl'), 0x37f);
    set(i386State.offset('ftag'), 0xff);
    set(i386State.offset('mxcsr'), 0x1f80);
    set(slotR(Reg.esp), stackPointer);
    set(cpuHeader.offset('pc'), pc);
  },
  describe,
  describeState,
};
