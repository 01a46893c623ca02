import type { StateLayout } from '#util/state-layout.ts';
import type { IrBlock } from '../ir.ts';
import { Action, actions, slotBytes } from '../op-tables.ts';
import { Op, type ValueType } from '../ops.ts';
import type { Helper } from '../target.ts';

/**
 * What is live after a terminal: a set of 4-byte state cells, where byte offset `o` of the CPU page is bit
 * `(o >> 2) & 31` of word `o >> 7`. Undefined: everything.
 */
export type LiveOut = (block: IrBlock, terminal: number) => Int32Array | undefined;

/** Cells after the state that hold values of a region alone, one word of a set: no state is kept there. */
export const privateCells = 32;

/** Byte offset of the first of them. */
export const privateSlots = (layout: StateLayout): number => (layout.end + 127) & -128;

/** Words of a set of cells. */
export const cellWords = (layout: StateLayout): number => (privateSlots(layout) >> 7) + 1;

/** Mark in the array of use counts: the op is removed. */
export const removed = -1;

/** Bits of the cells of a slot, by the op that reads or writes it. A slot is naturally aligned: within one word. */
export const cellBits: Record<ValueType, number> = { i32: 1, f32: 1, i64: 3, f64: 3, v128: 15 };
/** The same by the op that reads or writes the slot. */
const slotBits = Uint8Array.from(slotBytes, (bytes) => (1 << (bytes >> 2)) - 1);

/** True if the op may go when nothing uses its result. */
export function isRemovable(block: IrBlock, i: number, helpers: readonly Helper[]): boolean {
  const action = actions[block.op[i]!]!;
  return (
    action === Action.pure || action === Action.get || (action === Action.helper && helpers[block.x[i]!]?.pure === true)
  );
}

/** Sets `uses[i]` to the number of operands that name op i. */
export function countUses(block: IrBlock, uses: Int32Array): void {
  const { length, a, b, c } = block;
  uses.fill(0, 0, length);
  for (let i = 0; i < length; i++) {
    if (a[i]! >= 0) uses[a[i]!]!++;
    if (b[i]! >= 0) uses[b[i]!]!++;
    if (c[i]! >= 0) uses[c[i]!]!++;
  }
}

/**
 * Finds what has no effect, in one scan from the end: `set`s whose slot is written again before anything can read it,
 * ops without effect whose result nobody uses, and `if`s that are left with nothing in them.
 *
 * An op that may fault shows the state to the guest's signal handler, except for the lazy slots where exact state is
 * not asked for. A helper that is not pure reads everything.
 */
export class DeadCode {
  private readonly helpers: readonly Helper[];
  /** Cells live before the op looked at. */
  private readonly live: Int32Array;
  /** Cells an op that may fault reads, if the lazy slots need not be exact. */
  private readonly eager: Int32Array;
  /** By depth: cells live after the `if`; once its `else` is passed, cells live at the start of the `else` body. */
  private readonly joins: Int32Array[] = [];

  constructor(layout: StateLayout, lazySlots: readonly (readonly [number, number])[], helpers: readonly Helper[]) {
    const words = cellWords(layout);
    this.helpers = helpers;
    this.live = new Int32Array(words);
    this.eager = new Int32Array(words).fill(-1);
    for (const [start, end] of lazySlots) {
      for (let offset = start; offset < end; offset += 4) this.eager[offset >> 7]! &= ~(1 << ((offset >> 2) & 31));
    }
  }

  /** Sets `uses[i]` to the number of live uses of op i, or to `removed`. */
  run(block: IrBlock, uses: Int32Array, exactState: boolean, liveOut: LiveOut | undefined): void {
    const { length, op, a, b, c, x } = block;
    const { live, eager } = this;
    uses.fill(0, 0, length);
    let depth = 0;
    let following = length;
    for (let i = length - 1; i >= 0; i--) {
      switch (actions[op[i]!]!) {
        case Action.pure:
          if (uses[i] === 0) {
            uses[i] = removed;
            continue;
          }
          break;
        case Action.get: {
          if (uses[i] === 0) {
            uses[i] = removed;
            continue;
          }
          const offset = x[i]!;
          live[offset >> 7]! |= slotBits[op[i]!]! << ((offset >> 2) & 31);
          break;
        }
        case Action.set: {
          const offset = x[i]!;
          const bits = slotBits[op[i]!]! << ((offset >> 2) & 31);
          if ((live[offset >> 7]! & bits) === 0) {
            uses[i] = removed;
            continue;
          }
          live[offset >> 7]! &= ~bits;
          break;
        }
        case Action.mayFault:
          if (exactState) live.fill(-1);
          else for (let word = 0; word < live.length; word++) live[word]! |= eager[word]!;
          break;
        case Action.helper:
          if (this.helpers[x[i]!]?.pure !== true) live.fill(-1);
          else if (uses[i] === 0) {
            uses[i] = removed;
            continue;
          }
          break;
        case Action.terminal: {
          const out = liveOut?.(block, i);
          if (out) live.set(out);
          else live.fill(-1);
          break;
        }
        case Action.structure:
          if (op[i] === Op.endif) this.join(depth++);
          else if (op[i] === Op.else) {
            this.swapBodies(depth - 1);
            if (op[following] === Op.endif) {
              uses[i] = removed;
              continue;
            }
          } else {
            this.merge(--depth);
            if (op[following] === Op.endif) {
              uses[i] = uses[following] = removed;
              following = this.next(uses, following, length);
              continue;
            }
          }
          break;
      }
      if (a[i]! >= 0) uses[a[i]!]!++;
      if (b[i]! >= 0) uses[b[i]!]!++;
      if (c[i]! >= 0) uses[c[i]!]!++;
      following = i;
    }
  }

  private join(depth: number): void {
    if (depth === this.joins.length) this.joins.push(new Int32Array(this.live.length));
    this.joins[depth]!.set(this.live);
  }

  private swapBodies(depth: number): void {
    const { live } = this;
    const join = this.joins[depth]!;
    for (let word = 0; word < live.length; word++) {
      const elseBody = live[word]!;
      live[word] = join[word]!;
      join[word] = elseBody;
    }
  }

  private merge(depth: number): void {
    const { live } = this;
    const join = this.joins[depth]!;
    for (let word = 0; word < live.length; word++) live[word]! |= join[word]!;
  }

  /** The first op after `i` that is kept. */
  private next(uses: Int32Array, i: number, length: number): number {
    let next = i + 1;
    while (next < length && uses[next] === removed) next++;
    return next;
  }
}
