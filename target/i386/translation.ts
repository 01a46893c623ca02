import type { CodeReader, DisasContext } from '#tcg/target.ts';
import { X86Context } from './context.ts';
import type { CpuModel } from './cpu-models.ts';
import { lackOf } from './features.ts';
import { Decoded, Insn } from './insn.ts';

// How IA-32's instructions are translated: what `i386Target` loads when there is something to translate.

export { i386Helpers } from './helpers.ts';

type X86Disas = DisasContext & { readonly target: X86Block };

/** A block being translated. */
export interface X86Block {
  /** Made with the first instruction, which knows the limits of the block. */
  c: X86Context | undefined;
  readonly model: CpuModel;
}

/** `Target.insn`. */
export function insn(context: X86Disas): void {
  const c = (context.target.c ??= new X86Context(
    context.target.model,
    new Insn(lackOf(context.target.model)),
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
  if (c.isStepping) c.step();
  if (decoded === Decoded.ok) translate(c);
  else if (decoded === Decoded.fetchFault) c.fetchFault(record.faultAddress);
  else if (decoded === Decoded.tooLong) c.protectionFault();
  else c.undefined();
  context.pc = (context.pc + record.length) >>> 0;
  // Where the next instruction begins the step is told.
  context.stop ||= c.isStepping;
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

/** `Target.describe`: reads the instruction at `pc` for a dump. */
export function describe(code: CodeReader, pc: number): { text: string; bytes: number } {
  const decoded = described.decode(code, pc >>> 0);
  const bytes = Math.max(1, described.length);
  if (decoded === Decoded.fetchFault) return { text: '(not readable)', bytes };
  if (decoded !== Decoded.ok) return { text: 'undefined', bytes };
  return { text: `${described.row.name} ${described.row.codes}`.trimEnd(), bytes };
}
