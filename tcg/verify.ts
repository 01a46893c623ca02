import type { StateLayout } from '#util/state-layout.ts';
import { cpuHeader, ExitReason } from './cpu-page.ts';
import { type IrBlock, irError } from './ir.ts';
import { type ImmediateKind, MemoryFlag, Op, type OpDef, opDefs, opNames, type ValueType } from './ops.ts';

/*
 * What holds of every block between stages:
 *
 *  1. Every op number is in the op table.
 *  2. An operand the table names is an earlier op with a result of that type; the other operands are -1.
 *  3. A value made in an `if` or `else` body is used in that body only (bodies nested in it included).
 *  4. `if`, `else` and `endif` nest; an `if` has at most one `else`.
 *  5. A terminal is the last op of a body or of the block, and the block ends in one outside every body.
 *  6. Immediates are in the range of their kind; those the table does not name are 0.
 *  7. A slot is naturally aligned and lies inside the state layout or the engine's header.
 *  8. `instructions` counts the `insn` markers.
 */

/** What the verifier knows of the target. Without a fact, what depends on it is not checked. */
export interface VerifyFacts {
  readonly layout?: StateLayout;
  /** Length of `Target.helpers`. */
  readonly helpers?: number;
}

const valueBytes: Record<ValueType, number> = { i32: 4, i64: 8, f32: 4, f64: 8, v128: 16 };
const largestReason = Math.max(...Object.values(ExitReason));
const allMemoryFlags = Object.values(MemoryFlag).reduce((all, flag) => all | flag, 0);
/** The longest access a `probe` stands for: FXSAVE. */
const largestProbe = 512;

/** Throws an `Error` that names the first op that breaks an invariant. */
export function verifyBlock(block: IrBlock, facts: VerifyFacts = {}): void {
  const { length, op } = block;
  const visible = new Uint8Array(length);
  /** Open bodies: index of the op that began each. */
  const bodies: number[] = [];
  let markers = 0;
  for (let i = 0; i < length; i++) {
    const def = opDefs[op[i]!];
    if (!def) irError(block, i, 'no such op');
    verifyOperands(block, i, def, visible);
    verifyImmediates(block, i, def, facts);
    if (i > 0 && opDefs[op[i - 1]!]!.effect === 'terminal' && op[i] !== Op.else && op[i] !== Op.endif) {
      irError(block, i, 'follows a terminal');
    }
    if (op[i] === Op.else || op[i] === Op.endif) {
      const start = bodies.pop();
      if (start === undefined || (op[i] === Op.else && op[start] === Op.else)) irError(block, i, 'does not nest');
      visible.fill(0, start, i);
    }
    if (op[i] === Op.if || op[i] === Op.else) bodies.push(i);
    if (op[i] === Op.insn) markers++;
    visible[i] = def.result ? 1 : 0;
  }
  const last = length - 1;
  if (bodies.length) irError(block, bodies.at(-1)!, 'is not closed');
  if (length === 0 || opDefs[op[last]!]!.effect !== 'terminal')
    irError(block, last, 'the block does not end in a terminal');
  if (markers !== block.instructions) {
    irError(block, last, `the block has ${markers} insn markers but says ${block.instructions}`);
  }
}

function verifyOperands(block: IrBlock, i: number, def: OpDef, visible: Uint8Array): void {
  for (let k = 0; k < 3; k++) {
    const value = (k === 0 ? block.a : k === 1 ? block.b : block.c)[i]!;
    const type = def.args[k];
    if (type === undefined) {
      if (value !== -1) irError(block, i, `operand ${k} is unused but not -1`);
      continue;
    }
    if (value < 0 || value >= i) irError(block, i, `operand ${k} (v${value}) is not an earlier op`);
    const found = opDefs[block.op[value]!]!.result;
    if (found !== type) irError(block, i, `operand ${k} (v${value}) is ${found ?? 'no value'}, not ${type}`);
    if (!visible[value]) irError(block, i, `operand ${k} (v${value}) is not visible outside its body`);
  }
}

function verifyImmediates(block: IrBlock, i: number, def: OpDef, facts: VerifyFacts): void {
  if (def.bytes16) {
    if (
      block.op[i] === Op.shuffle_i8x16 &&
      ((block.x[i]! | block.y[i]! | block.z[i]! | block.w[i]!) & 0xe0e0e0e0) !== 0
    ) {
      irError(block, i, 'shuffles a byte past 31');
    }
    return;
  }
  for (let k = 0; k < 4; k++) {
    const value = (k === 0 ? block.x : k === 1 ? block.y : k === 2 ? block.z : block.w)[i]!;
    const kind = def.immediates?.[k];
    if (kind === undefined) {
      if (value !== 0) irError(block, i, `immediate ${k} is unused but not 0`);
      continue;
    }
    if (!inRange(block, i, def, kind, value, facts)) irError(block, i, `${kind} ${value} is out of range`);
  }
}

function inRange(
  block: IrBlock,
  i: number,
  def: OpDef,
  kind: ImmediateKind,
  value: number,
  facts: VerifyFacts,
): boolean {
  switch (kind) {
    case 'int':
      return (def.effect !== 'load' && def.effect !== 'store') || (value & ~allMemoryFlags) === 0;
    case 'slot':
      return slotInside(value, valueBytes[def.result ?? def.args[0]!], facts.layout);
    case 'offset':
      return value >= 0 && value <= 4095;
    case 'size':
      return value >= 1 && value <= largestProbe;
    case 'access':
      return value >= 1 && value <= 3;
    case 'reason':
      return value > ExitReason.none && value <= largestReason;
    case 'lane':
      return value >= 0 && value < Number(/x(\d+)$/.exec(opNames[block.op[i]!]!)![1]);
    case 'helper':
      return value >= 0 && (facts.helpers === undefined || value < facts.helpers);
    case 'table':
      return value >= 0 && (block.tables[value]?.length ?? 0) > 0;
    case 'high':
    case 'pc':
    case 'aux':
      return true;
  }
}

function slotInside(offset: number, bytes: number, layout: StateLayout | undefined): boolean {
  if (offset < 0 || offset % bytes !== 0) return false;
  if (offset + bytes <= cpuHeader.end || layout === undefined) return true;
  return offset >= layout.start && offset + bytes <= layout.end;
}
