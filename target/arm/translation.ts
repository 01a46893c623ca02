import type { Builder } from '#tcg/builder.ts';
import { ExitReason } from '#tcg/cpu-page.ts';
import { describeRow } from '#tcg/decode.ts';
import type { CodeReader, DisasContext } from '#tcg/target.ts';
import { decodeA32 } from './a32.decode.ts';
import { setsFlags } from './alu.ts';
import { ArmContext, Cond } from './context.ts';
import { allFeatures, type CpuModel } from './cpu-models.ts';
import { ModeBits } from './mode-bits.ts';
import type { ArmRow } from './row.ts';
import { armState } from './state.ts';
import { decodeT16, decodeT32, isWide } from './t32.decode.ts';

// How ARM's instructions are translated: what `armTarget` loads when there is something to translate.

export { armHelpers } from './helpers.ts';

/** A block being translated. */
export interface ArmBlock {
  readonly c: ArmContext;
  /** ITSTATE the block began with; it then ends with its IT block. */
  readonly startItstate: number;
  first: boolean;
  /** The condition of the `if` that is open across instructions of an IT block, -1 if none is. */
  openCond: number;
}

type ArmDisas = DisasContext & { readonly target: ArmBlock };

/** ITAdvance (DDI 0406C A2.5.2). */
const advanceIt = (itstate: number): number => ((itstate & 7) === 0 ? 0 : (itstate & 0xe0) | ((itstate << 1) & 0x1f));

/** Fetches the instruction at `context.pc` into the ArmContext; false if it ended the block because it could not. */
function fetch(context: ArmDisas): boolean {
  const { code, pc } = context;
  const { c } = context.target;
  if (c.thumb) {
    const low = code.fetch16(pc);
    if (low >= 0 && !isWide(low)) {
      c.start(pc, 2, low);
      return true;
    }
    const second = (pc + 2) >>> 0;
    const high = low < 0 ? -1 : code.fetch16(second);
    c.start(pc, high < 0 ? 2 : 4, ((low << 16) | high) >>> 0);
    return high >= 0 || refuseFetch(context, ExitReason.fetchFault, low < 0 ? pc : second);
  }
  if (pc & 2) {
    c.start(pc, 2, 0);
    return refuseFetch(context, ExitReason.alignment, pc);
  }
  const fetchable = code.fetchable(pc, 4);
  c.start(pc, 4, fetchable ? code.fetch32(pc) >>> 0 : 0);
  return fetchable || refuseFetch(context, ExitReason.fetchFault, pc);
}

function refuseFetch(
  context: ArmDisas,
  reason: typeof ExitReason.fetchFault | typeof ExitReason.alignment,
  address: number,
): false {
  const { target, b } = context;
  const { c } = target;
  closeRun(target);
  mark(target);
  const itstate = c.itstate;
  if (itstate !== 0) b.set32(armState.offset('itstate'), b.i32(itstate));
  c.fetchExit(reason, address);
  context.pc = (context.pc + c.size) >>> 0;
  context.done = true;
  return false;
}

/** The `insn` marker; ITSTATE is consumed by the block that begins with it. */
function mark(block: ArmBlock): void {
  const { c } = block;
  c.itstate = c.nextItstate;
  c.nextItstate = advanceIt(c.itstate);
  c.b.insn(c.currentPc, c.itstate);
  if (block.first && block.startItstate !== 0) c.b.set32(armState.offset('itstate'), c.b.i32(0));
  block.first = false;
}

function closeRun(block: ArmBlock): void {
  if (block.openCond < 0) return;
  block.openCond = -1;
  block.c.b.endif();
}

/** `Target.insn`. */
export function insn(context: ArmDisas): void {
  const block = context.target;
  const { c } = block;
  if (!fetch(context)) return;
  const row = decode(c);
  const itCond = c.nextItstate === 0 ? Cond.al : c.nextItstate >>> 4;
  mark(block);
  c.cond = c.thumb ? itCond : Math.min(c.encoding >>> 28, Cond.al);
  const ended = c.cond >= Cond.al ? execute(context, row) : executeConditional(context, row);
  context.pc = (context.pc + c.size) >>> 0;
  if (ended) {
    context.done = true;
    return;
  }
  if (c.system && block.openCond >= 0 && (context.pc & 0xfff) === 0) closeRun(block);
  if (c.system && c.nextItstate !== 0 && ((context.pc + 3) & 0xfff) <= 3) {
    // Code of one page is one thing: the rest of the IT block is a block of its own.
    closeRun(block);
    c.leaveInIt();
    context.done = true;
    return;
  }
  if (c.nextItstate === 0 && block.startItstate !== 0) {
    // The block was translated for the middle of an IT block; what follows is not.
    c.b.exit(ExitReason.mode, c.nextPc);
    context.done = true;
  }
}

/** Where Linux maps its user helpers. */
const vectorPage = 0xffff0000;

function decode(c: ArmContext): ArmRow | undefined {
  const privileged = c.system?.decode(c);
  if (privileged) return privileged;
  // The kernel's own helpers in the vector page are the same for all models.
  const isHelper = c.system === undefined && c.pc >>> 0 >= vectorPage;
  const features = isHelper ? allFeatures : c.model.features;
  if (!c.thumb) return decodeA32(c.encoding, features);
  return c.size === 2 ? decodeT16(c.encoding, features) : decodeT32(c.encoding, features);
}

function translate(c: ArmContext, row: ArmRow | undefined): void {
  if (row) c.system?.before(c, row);
  if (row) row.translate(c, row.bits!.record);
  else c.undefined();
}

/** True if a branch not taken may go on in this block. */
const goesOn = (context: ArmDisas): boolean => context.extended && !context.isLeader?.(context.target.c.nextPc);

/** Translates an instruction that is always executed; true if it ended the block. */
function execute(context: ArmDisas, row: ArmRow | undefined): boolean {
  const { c } = context.target;
  translate(c, row);
  return c.finish(c.nextItstate !== 0 || goesOn(context));
}

/** Translates an instruction under `c.cond`; true if it ended the block. */
function executeConditional(context: ArmDisas, row: ArmRow | undefined): boolean {
  const block = context.target;
  const { c } = block;
  const { b, flags } = c;
  const runs = c.thumb ? c.nextItstate !== 0 && c.nextItstate >>> 4 === c.cond : a32Runs(context);
  if (block.openCond < 0) {
    if (row?.bits!.own && !runs) {
      translate(c, row);
      return c.finish(goesOn(context));
    }
    if (row && isSelectable(c, row)) {
      const condition = c.condition(c.cond);
      c.select(condition);
      translate(c, row);
      // Only undefined field values leave here.
      if (c.leaves) underIf(c, condition);
      return false;
    }
  }
  if (block.openCond < 0) {
    b.if(c.condition(c.cond));
    block.openCond = c.cond;
  }
  c.decided = true;
  const written = flags.writes;
  translate(c, row);
  const left = c.finish(true);
  if (left || !runs || flags.writes !== written) closeRun(block);
  return false;
}

/** True if the next A32 instruction has the same condition and may share the `if` with this one. */
function a32Runs(context: ArmDisas): boolean {
  const { c } = context.target;
  const next = (c.pc + 4) >>> 0;
  if (c.system && (next & 0xfff) === 0) return false;
  return goesOn(context) && context.code.fetchable(next, 4) && context.code.fetch32(next) >>> 28 === c.cond;
}

function underIf(c: ArmContext, condition: number): void {
  c.b.if(condition);
  c.finish(true);
  c.b.endif();
}

/** True if the instruction writes one register and nothing else, so that its result can be selected. */
function isSelectable(c: ArmContext, row: ArmRow): boolean {
  const { pure, record } = row.bits!;
  if (!pure) return false;
  const { s, rd } = record;
  return (s === undefined || !setsFlags(c, s)) && rd !== undefined && rd !== 15;
}

/** `Target.describe`: reads the instruction at `pc` (engine's encoding) for a dump. */
export function describe(code: CodeReader, pc: number): { text: string; bytes: number } {
  const address = pc & ~1;
  const thumb = (pc & 1) !== 0;
  const low = code.fetch16(address);
  if (low < 0) return { text: '(not readable)', bytes: 2 };
  if (thumb && !isWide(low)) return { text: text(decodeT16(low), low, 4), bytes: 2 };
  const high = code.fetch16(address + 2);
  if (high < 0) return { text: '(not readable)', bytes: 4 };
  const encoding = (thumb ? (low << 16) | high : (high << 16) | low) >>> 0;
  return { text: text(thumb ? decodeT32(encoding) : decodeA32(encoding), encoding, 8), bytes: 4 };
}

const text = (row: ArmRow | undefined, encoding: number, digits: number): string =>
  row ? describeRow(row) : `undefined 0x${encoding.toString(16).padStart(digits, '0')}`;

/** `Target.begin` for a CPU model. */
export function begin(model: CpuModel, pc: number, mode: number, b: Builder, code: CodeReader): ArmBlock {
  const itstate = mode & ModeBits.itstate;
  const c = new ArmContext(b, code, (pc & 1) !== 0, mode, model);
  return { c, startItstate: itstate, first: true, openCond: -1 };
}
