import { Action, actions } from './op-tables.ts';
import { Op, opNames } from './ops.ts';

/**
 * One translated guest block: SSA ops in a struct of arrays. Op i has opcode `op[i]`, operands `a b c[i]` (indices of
 * earlier ops, -1 if unused) and immediates `x y z w[i]`. A block may be an extended one: `if … terminal endif` leaves
 * it in the middle. Its last op is a terminal. Values cross blocks only through state slots.
 */
export interface IrBlock {
  /** Guest PC of the first instruction, in the target's encoding. */
  pc: number;
  /** Guest bytes it was translated from: [start, end) as plain addresses. */
  start: number;
  end: number;
  /** Guest instructions in it. */
  instructions: number;
  /** Number of ops. */
  length: number;
  op: Uint16Array;
  a: Int32Array;
  b: Int32Array;
  c: Int32Array;
  x: Int32Array;
  y: Int32Array;
  z: Int32Array;
  w: Int32Array;
  /** Targets of `switch` ops; the last entry is the default. */
  tables: Int32Array[];
}

/** An empty block with room for `capacity` ops. */
export function createBlock(capacity: number): IrBlock {
  return {
    pc: 0,
    start: 0,
    end: 0,
    instructions: 0,
    length: 0,
    op: new Uint16Array(capacity),
    a: new Int32Array(capacity),
    b: new Int32Array(capacity),
    c: new Int32Array(capacity),
    x: new Int32Array(capacity),
    y: new Int32Array(capacity),
    z: new Int32Array(capacity),
    w: new Int32Array(capacity),
    tables: [],
  };
}

/** A copy of exactly the block's size, to keep. */
export function copyBlock(from: IrBlock): IrBlock {
  const n = from.length;
  return {
    pc: from.pc,
    start: from.start,
    end: from.end,
    instructions: from.instructions,
    length: n,
    op: from.op.slice(0, n),
    a: from.a.slice(0, n),
    b: from.b.slice(0, n),
    c: from.c.slice(0, n),
    x: from.x.slice(0, n),
    y: from.y.slice(0, n),
    z: from.z.slice(0, n),
    w: from.w.slice(0, n),
    tables: [...from.tables],
  };
}

/** Calls `visit` for every guest PC the block's direct terminals name (call targets excluded, return points included). */
export function forEachSuccessor(block: IrBlock, visit: (pc: number) => void): void {
  const { length, op } = block;
  for (let i = 0; i < length; i++) {
    if (actions[op[i]!] !== Action.terminal) continue;
    switch (op[i]) {
      case Op.jump:
        visit(block.x[i]!);
        break;
      case Op.branch:
        visit(block.x[i]!);
        visit(block.y[i]!);
        break;
      case Op.call:
        visit(block.y[i]!);
        break;
      case Op.call_indirect:
        visit(block.x[i]!);
        break;
      case Op.switch:
        for (const pc of block.tables[block.x[i]!]!) visit(pc);
        break;
      default:
        break;
    }
  }
}

/** Throws with the offending op named; used where an invariant of ours is broken. */
export function irError(block: IrBlock, index: number, message: string): never {
  const op = block.op[index] ?? -1;
  throw new Error(`IR block ${(block.pc >>> 0).toString(16)}, op ${index} (${opNames[op] ?? op}): ${message}`);
}
