import type { IrBlock } from '#tcg/ir.ts';
import { Op, opDefs } from '#tcg/ops.ts';
import { cellBits, cellWords } from '#tcg/passes/dead-code.ts';
import type { Target } from '#tcg/target.ts';
import { LazyCells } from './entry-liveness.ts';
import { edgesByTerminal, type FlowEdge, type RegionFlow } from './flow.ts';

/**
 * Which state cells (4 bytes each, bit `(o >> 2) & 31` of word `o >> 7`) are live at the start of each block of a
 * region: what lets the dead-code pass remove flags and registers that every way on overwrites. Everything is live
 * where the region is left; a call leaves it.
 */
export class CellLiveness {
  private readonly liveIn: Int32Array[] = [];
  private readonly words: number;
  private readonly lazyCells: LazyCells;
  /** By node and op index of a terminal. */
  private readonly edges: readonly ReadonlyMap<number, readonly FlowEdge[]>[];

  constructor(blocks: readonly IrBlock[], flow: RegionFlow, target: Pick<Target, 'layout' | 'lazySlots' | 'helpers'>) {
    this.edges = blocks.map((block, node) => edgesByTerminal(block, node, flow));
    this.words = cellWords(target.layout);
    this.lazyCells = new LazyCells(target.lazySlots);
    const eager = new Int32Array(this.words).fill(-1);
    for (const [start, end] of target.lazySlots) {
      for (let offset = start; offset < end; offset += 4) eager[offset >> 7]! &= ~(1 << ((offset >> 2) & 31));
    }
    for (const _ of blocks) this.liveIn.push(new Int32Array(this.words));
    for (let changed = true; changed; ) {
      changed = false;
      for (let node = blocks.length - 1; node >= 0; node--) {
        const live = this.blockLiveIn(blocks[node]!, node, eager, target);
        const old = this.liveIn[node]!;
        for (let w = 0; w < this.words; w++) {
          const union = old[w]! | live[w]!;
          if (union === old[w]) continue;
          old[w] = union;
          changed = true;
        }
      }
    }
  }

  /** Live cells after the terminal at this op of block `node`, as the block was at first; undefined for all. */
  liveOut(node: number, terminal: number): Int32Array | undefined {
    const edges = this.edges[node]!.get(terminal)!;
    if (edges.some(({ flush, dead }) => flush && dead === 0)) return undefined;
    const out = new Int32Array(this.words);
    for (const edge of edges) {
      const live = edge.flush ? this.allBut(edge.dead) : this.liveIn[edge.node]!;
      for (let w = 0; w < this.words; w++) out[w]! |= live[w]!;
    }
    return out;
  }

  /** All cells but those in a mask of lazy cells. */
  private allBut(dead: number): Int32Array {
    const live = new Int32Array(this.words).fill(-1);
    for (const [cell, offset] of this.lazyCells.offsets.entries())
      if (dead & (1 << cell)) live[offset >> 7]! &= ~(1 << ((offset >> 2) & 31));
    return live;
  }

  /** True if the slot at `offset` must hold its value on the way along `edge`. */
  isLiveAlong(edge: FlowEdge, offset: number, bytes: number): boolean {
    if (edge.flush) return !this.lazyCells.isDead(offset, bytes, edge.dead);
    return this.isLive(edge.node, offset);
  }

  /** True if the cell at byte `offset` is live at the start of block `node`. */
  isLive(node: number, offset: number): boolean {
    return (this.liveIn[node]![offset >> 7]! & (1 << ((offset >> 2) & 31))) !== 0;
  }

  private blockLiveIn(block: IrBlock, node: number, eager: Int32Array, target: Pick<Target, 'helpers'>): Int32Array {
    const live = new Int32Array(this.words);
    let ifs = 0;
    for (let i = block.length - 1; i >= 0; i--) {
      const op = block.op[i]!;
      const def = opDefs[op]!;
      switch (def.effect) {
        case 'terminal': {
          const out = this.liveOut(node, i);
          for (let w = 0; w < this.words; w++) live[w]! |= out ? out[w]! : -1;
          if (ifs === 0) {
            if (out) live.set(out);
            else live.fill(-1);
          }
          break;
        }
        case 'get':
          live[block.x[i]! >> 7]! |= cellBits[def.result!] << ((block.x[i]! >> 2) & 31);
          break;
        case 'set':
          if (ifs === 0) live[block.x[i]! >> 7]! &= ~(cellBits[def.args[0]!] << ((block.x[i]! >> 2) & 31));
          break;
        case 'load':
        case 'store':
        case 'probe':
          for (let w = 0; w < this.words; w++) live[w]! |= eager[w]!;
          break;
        case 'helper':
          if (!target.helpers[block.x[i]!]?.pure) live.fill(-1);
          break;
        case 'structure':
          if (op === Op.endif) ifs++;
          else if (op === Op.if) ifs--;
          break;
        case 'pure':
        case 'marker':
        case 'fence':
          break;
      }
    }
    return live;
  }
}
