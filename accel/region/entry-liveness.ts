import type { IrBlock } from '#tcg/ir.ts';
import { slotBytes } from '#tcg/op-tables.ts';
import { Op, opDefs } from '#tcg/ops.ts';
import type { Helper, Target } from '#tcg/target.ts';

/** The 4-byte cells of a target's lazy slots, numbered: the bits of a mask. What is beyond 31 counts as always live. */
export class LazyCells {
  /** Byte offset of each cell. */
  readonly offsets: readonly number[];
  /** All of them. */
  readonly all: number;

  constructor(lazySlots: Target['lazySlots']) {
    const offsets: number[] = [];
    for (const [start, end] of lazySlots)
      for (let offset = start; offset < end && offsets.length < 31; offset += 4) offsets.push(offset);
    this.offsets = offsets;
    this.all = 2 ** offsets.length - 1;
  }

  /** True if the slot is lazy and all its cells are in the mask `dead`. */
  isDead(offset: number, bytes: number, dead: number): boolean {
    if (dead === 0) return false;
    for (let at = offset; at < offset + bytes; at += 4) {
      const cell = this.offsets.indexOf(at);
      if (cell < 0 || (dead & (1 << cell)) === 0) return false;
    }
    return true;
  }

  /** Those of the slot's cells that are lazy. */
  within(offset: number, bytes: number): number {
    let mask = 0;
    for (let at = offset; at < offset + bytes; at += 4) {
      const cell = this.offsets.indexOf(at);
      if (cell >= 0) mask |= 1 << cell;
    }
    return mask;
  }
}

/** What a plain block does with the values that lazy cells have where it begins: masks of `LazyCells`. */
export interface LazyUse {
  /** Read, or left to somebody unknown who may read them. */
  readonly read: number;
  /** Where it goes on, and the cells that are certainly set by then. */
  readonly ways: readonly { readonly pc: number; readonly set: number }[];
}

/** Of a block whose use nobody asks for: all cells are read. */
export const unknownUse: LazyUse = { read: -1, ways: [] };

/** The use a block as translated makes of lazy cells. */
export function lazyUse(block: IrBlock, cells: LazyCells, helpers: readonly Helper[]): LazyUse {
  const ways: { pc: number; set: number }[] = [];
  let read = 0;
  let set = 0;
  let ifs = 0;
  const goOn = (pc: number): void => {
    ways.push({ pc, set });
  };
  for (let i = 0; i < block.length && set !== cells.all; i++) {
    const op = block.op[i]!;
    switch (opDefs[op]!.effect) {
      case 'get':
        read |= cells.within(block.x[i]!, slotBytes[op]!) & ~set;
        break;
      case 'set':
        if (ifs === 0) set |= cells.within(block.x[i]!, slotBytes[op]!);
        break;
      case 'helper':
        if (!helpers[block.x[i]!]?.pure) read |= cells.all & ~set;
        break;
      case 'structure':
        if (op === Op.if) ifs++;
        else if (op === Op.endif) ifs--;
        break;
      case 'terminal':
        if (op === Op.jump || op === Op.call) goOn(block.x[i]!);
        else if (op === Op.branch) {
          goOn(block.x[i]!);
          goOn(block.y[i]!);
        } else if (op === Op.switch) for (const pc of block.tables[block.x[i]!]!) goOn(pc);
        else read |= cells.all & ~set;
        break;
      case 'pure':
      case 'load':
      case 'store':
      case 'probe':
      case 'marker':
      case 'fence':
        break;
    }
  }
  return { read, ways };
}

/** A plain block and what it does with lazy cells. */
export interface LazyOutline {
  readonly pc: number;
  readonly lazy: LazyUse;
}

/** Blocks looked at to find out what is dead where a function begins. */
const maxLookedAt = 12;

/**
 * Which lazy cells nobody reads any more when execution begins at a place: flags, mostly, which functions set before
 * they test them. Remembers what it has looked at: the answers hold as long as that code stays.
 */
export class EntryLiveness<Outline extends LazyOutline> {
  readonly lookedAt = new Set<Outline>();
  private readonly cells: LazyCells;
  private readonly outline: (pc: number) => Outline | undefined;
  private readonly known = new Map<number, number>();

  /** `outline` of the block at a PC, if that is known. */
  constructor(cells: LazyCells, outline: (pc: number) => Outline | undefined) {
    this.cells = cells;
    this.outline = outline;
  }

  /** The cells that are dead at `pc`, as a mask. */
  deadAt(pc: number): number {
    let dead = this.known.get(pc);
    if (dead === undefined) {
      dead = this.cells.all & ~this.liveAt(pc);
      this.known.set(pc, dead);
    }
    return dead;
  }

  private liveAt(entry: number): number {
    const { all } = this.cells;
    /** By PC: cells not yet set on some way there. */
    const unset = new Map([[entry, all]]);
    const work = [entry];
    const used: Outline[] = [];
    let live = 0;
    for (let pc = work.pop(); pc !== undefined && live !== all; pc = work.pop()) {
      const outline = this.outline(pc);
      if (!outline || used.length === maxLookedAt) return all;
      used.push(outline);
      const open = unset.get(pc)!;
      live |= outline.lazy.read & open;
      for (const way of outline.lazy.ways) {
        const known = unset.get(way.pc) ?? 0;
        const grown = known | (open & ~way.set);
        if (grown === known) continue;
        unset.set(way.pc, grown);
        work.push(way.pc);
      }
    }
    if (live !== all) for (const outline of used) this.lookedAt.add(outline);
    return live;
  }
}
