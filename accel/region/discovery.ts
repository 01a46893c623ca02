import type { Builder } from '#tcg/builder.ts';
import { copyBlock, type IrBlock } from '#tcg/ir.ts';
import { Op } from '#tcg/ops.ts';
import type { CodeReader, Target } from '#tcg/target.ts';
import { translateBlock } from '#tcg/translator.ts';
import type { Optimization } from '../optimizations.ts';
import {
  eagerRegionInstructions,
  maxInlineDepth,
  maxInlineInstructions,
  maxInlineTotal,
  maxRecursionInstructions,
  maxRegionInstructions,
  regionBlockInstructions,
} from '../tunables.ts';
import { EntryLiveness, LazyCells, type LazyUse } from './entry-liveness.ts';
import type { Place, RegionFlow } from './flow.ts';

/** What discovery needs to know about a plain (not extended) block. */
export interface BlockOutline {
  readonly pc: number;
  /** Plain addresses [start, end). */
  readonly start: number;
  readonly end: number;
  readonly instructions: number;
  readonly successors: readonly number[];
  /** PCs of direct calls in it. */
  readonly calls: readonly number[];
  /** An extended block that holds it may run on past its end. */
  readonly runsOn: boolean;
  readonly lazy: LazyUse;
  /** Plain address ranges of constants it was made with. */
  readonly constants: readonly (readonly [number, number])[];
  /** True if it has been executed. */
  executed: boolean;
  /** True if a region runs through it that has not been found to be of no help to what runs now. */
  inRegion: boolean;
}

/** What discovery asks of the engine. */
export interface DiscoveryHost {
  readonly target: Target;
  readonly builder: Builder;
  readonly code: CodeReader;
  readonly mode: number;
  readonly maxBlockInstructions: number;
  readonly without: ReadonlySet<Optimization>;
  readonly exactState: boolean;
  /** Outline of the block at `pc`, translating it if need be. */
  outline(pc: number): BlockOutline;
  /** The same if it has been translated. */
  knownOutline(pc: number): BlockOutline | undefined;
  /** True if `pc` is known to be called: regions do not run into it. */
  isFunction(pc: number): boolean;
  /** True if the function at `pc` runs so often that inlining it pays. */
  isHot(pc: number): boolean;
  /** Machine mode: what may be part of one region. */
  readonly pages?: CodeReach;
  /** Where the indirect call that is expected to come back to `returnPc` has gone, the last one first. */
  lastTargets(returnPc: number): readonly number[];
}

/** Which pages a region may take code from, and where its blocks end. */
export interface CodeReach {
  /** True if code at `pc` may be in a region that begins at `entry`. */
  reaches(entry: number, pc: number): boolean;
  /** Where a block at `pc` must end (`TranslationLimits.pageEnd`). */
  pageEnd(pc: number): number;
  /** The same, just before the block is translated. */
  begin(pc: number): number;
  /** True if the block runs on into another page. */
  crosses(outline: BlockOutline): boolean;
}

/** A function's code in the region: the region's own, or a copy made for a call. */
interface Copy {
  readonly entry: number;
  /** Node that calls and where it goes on; undefined for the region's own. */
  readonly caller: { readonly copy: Copy; readonly returnPc: number } | undefined;
  /** Entries of the functions this one is inlined in, outermost first, and its own. */
  readonly chain: readonly number[];
  /** Node by PC. */
  nodes: Map<number, number>;
  /** Functions inlined in this one, by the PC they return to. */
  readonly inlined: Map<number, Copy[]>;
}

/** The blocks of a region as translated, and how they hang together. */
export interface DiscoveredRegion {
  readonly blocks: readonly IrBlock[];
  readonly flow: RegionFlow;
  /** Blocks that are not part of the region but of what it relies on. */
  readonly reliesOn: ReadonlySet<BlockOutline>;
  /** The returns of these nodes go to their callers. */
  markSure(nodes: readonly number[]): void;
  /** Adds a copy of a node. */
  copyNode(node: number): number;
  /** Edges of `from` to `to` go to `copy`, a copy of it, from now on. */
  redirect(from: number, to: number, copy: number): void;
}

/** Finds and translates the blocks of the region that begins at `entry`, small functions it calls among them. */
export function discoverRegion(entry: number, host: DiscoveryHost): DiscoveredRegion {
  const blocks: IrBlock[] = [];
  const copies: Copy[] = [];
  const copyOf: Copy[] = [];
  const addCopy = (pc: number, body: readonly IrBlock[], caller: Copy['caller']): Copy => {
    const chain = [...(caller?.copy.chain ?? []), pc];
    const copy: Copy = { entry: pc, caller, chain, nodes: new Map(), inlined: new Map() };
    for (const block of body) {
      copy.nodes.set(block.pc, blocks.length);
      blocks.push(block);
      copyOf.push(copy);
    }
    copies.push(copy);
    return copy;
  };
  addCopy(
    entry,
    translateBody([entry], host, (pc) => pc !== entry && host.isFunction(pc)),
    undefined,
  );
  let left = host.without.has('inline') ? 0 : maxInlineTotal;
  /** Bodies of the functions that were looked at: undefined if they are too long. */
  const bodies = new Map<number, readonly IrBlock[] | undefined>();
  const bodyOf = (pc: number): readonly IrBlock[] | undefined => {
    if (!bodies.has(pc)) bodies.set(pc, inlineBody(pc, host));
    return bodies.get(pc);
  };
  // Breadth first: what is called directly comes before what that calls.
  for (const copy of copies) {
    if (copy.chain.length > maxInlineDepth) continue;
    for (const node of copy.nodes.values()) {
      forEachCall(blocks[node]!, host, (callee, returnPc) => {
        const others = copy.inlined.get(returnPc) ?? [];
        if (!copy.nodes.has(returnPc) || others.some((other) => other.entry === callee)) return;
        if (host.pages && !host.pages.reaches(entry, callee)) return;
        if (!host.isHot(callee)) return;
        const body = bodyOf(callee);
        const size = body?.reduce((sum, block) => sum + block.instructions, 0) ?? Infinity;
        const within = copy.chain.filter((entry) => entry === callee).length;
        if (size > left || (within > 1 && within * size > maxRecursionInstructions)) return;
        left -= size;
        copy.inlined.set(returnPc, [...others, addCopy(callee, body!.map(copyBlock), { copy, returnPc })]);
      });
    }
  }
  const redirected: (Map<number, number> | undefined)[] = [];
  const place = (from: number, copy: Copy, pc: number): Place => {
    let node = copy.nodes.get(pc) ?? -1;
    for (let next: number | undefined = node; next !== undefined; next = redirected[from]?.get(next)) node = next;
    return { pc, node };
  };
  const sure = new Set<number>();
  const knowsEntries = !host.exactState && !host.without.has('entry');
  const cells = new LazyCells(knowsEntries ? host.target.lazySlots : []);
  const entries = new EntryLiveness(cells, (pc) => host.knownOutline(pc));
  return {
    blocks,
    reliesOn: entries.lookedAt,
    flow: {
      nodeOf: (from, pc) => place(from, copyOf[from]!, pc).node,
      inlined(from, returnPc) {
        const found = copyOf[from]!.inlined.get(returnPc) ?? [];
        return found.map((copy) => place(from, copy, copy.entry));
      },
      returnOf(from) {
        const { caller } = copyOf[from]!;
        return caller && { ...place(from, caller.copy, caller.returnPc), sure: sure.has(from) };
      },
      isFunction: (pc) => host.isFunction(pc),
      deadAt: (pc) => entries.deadAt(pc),
    },
    markSure(nodes) {
      for (const node of nodes) sure.add(node);
    },
    copyNode(node) {
      copyOf.push(copyOf[node]!);
      if (redirected[node]) redirected[blocks.length] = new Map(redirected[node]);
      return blocks.push(copyBlock(blocks[node]!)) - 1;
    },
    redirect(from, to, copy) {
      (redirected[from] ??= new Map()).set(to, copy);
    },
  };
}

/** The calls of an extended block with known targets: named, or those an indirect call went to last. */
function forEachCall(block: IrBlock, host: DiscoveryHost, visit: (callee: number, returnPc: number) => void): void {
  for (let i = 0; i < block.length; i++) {
    if (block.op[i] === Op.call) visit(block.x[i]!, block.y[i]!);
    if (block.op[i] !== Op.call_indirect) continue;
    for (const callee of host.lastTargets(block.x[i]!)) visit(callee, block.x[i]!);
  }
}

/** The body of the function at `pc` if it is small enough to be inlined. */
function inlineBody(pc: number, host: DiscoveryHost): readonly IrBlock[] | undefined {
  const outlines = findOutlines([pc], host, () => false, maxInlineInstructions);
  return outlines && translateBody([pc], host, () => false);
}

/** Translates the function at `roots[0]` up to what `isBoundary` says is another; jump table targets join the roots. */
function translateBody(roots: number[], host: DiscoveryHost, isBoundary: (pc: number) => boolean): IrBlock[] {
  for (let tries = 0; ; tries++) {
    const blocks = translateHeads(findHeads(roots, host, isBoundary), host);
    // Targets of jump tables show only in extended blocks, which know the bounds of the index.
    const beyond = (pc: number): boolean => isBoundary(pc) || host.pages?.reaches(roots[0]!, pc) === false;
    if (tries === 3 || !addSwitchTargets(blocks, roots, beyond)) return blocks;
  }
}

function translateHeads(heads: ReadonlySet<number>, host: DiscoveryHost): IrBlock[] {
  return Array.from(heads, (head) => {
    translateBlock(host.target, host.builder, host.code, head, host.mode, {
      maxInstructions: Math.min(regionBlockInstructions, host.maxBlockInstructions),
      isLeader: (at) => heads.has(at),
      extended: true,
      ...(host.pages && { pageEnd: host.pages.begin(head) }),
    });
    return copyBlock(host.builder.block);
  });
}

/** Adds the switch targets that are no blocks of the function yet to `roots`; false if there are none. */
function addSwitchTargets(blocks: readonly IrBlock[], roots: number[], isBoundary: (pc: number) => boolean): boolean {
  const known = new Set(blocks.map(({ pc }) => pc));
  const before = roots.length;
  for (const block of blocks) {
    for (const table of block.tables) {
      for (const pc of table) if (!known.has(pc) && !roots.includes(pc) && !isBoundary(pc)) roots.push(pc);
    }
  }
  return roots.length > before;
}

/**
 * The plain blocks of a function. With `limit`: all of them, or undefined if they have more than that many
 * instructions. Without: as many as fit a region, those that have not been executed only while it is small.
 */
function findOutlines(
  roots: readonly number[],
  host: DiscoveryHost,
  isBoundary: (pc: number) => boolean,
  limit?: number,
): Map<number, BlockOutline> | undefined {
  const entry = roots[0]!;
  const outlines = new Map<number, BlockOutline>();
  const work = [...roots];
  let instructions = 0;
  for (let at = 0; at < work.length; at++) {
    const pc = work[at]!;
    if (outlines.has(pc)) continue;
    if (pc !== entry && host.pages?.reaches(entry, pc) === false) continue;
    const outline = host.outline(pc);
    if (host.pages?.crosses(outline)) {
      if (limit !== undefined) return undefined;
      continue;
    }
    if (limit !== undefined) {
      if (instructions + outline.instructions > limit) return undefined;
    } else if (pc !== entry) {
      if (instructions + outline.instructions > maxRegionInstructions) continue;
      if (!outline.executed && !roots.includes(pc) && instructions > eagerRegionInstructions) continue;
    }
    outlines.set(pc, outline);
    instructions += outline.instructions;
    for (const successor of outline.successors) if (!isBoundary(successor)) work.push(successor);
  }
  return outlines;
}

/**
 * The PCs at which a function's extended blocks begin, the entry first: its entry and every block that is reached by
 * anything but falling through from one block before it. `roots`: the entry, then jump table targets.
 */
function findHeads(roots: readonly number[], host: DiscoveryHost, isBoundary: (pc: number) => boolean): Set<number> {
  const outlines = findOutlines(roots, host, isBoundary)!;
  for (const outline of outlines.values()) outline.inRegion = true;
  const heads = new Set(roots);
  // What is only fallen into is no head, however often: whatever block comes before it runs through it.
  for (const outline of outlines.values()) {
    for (const successor of outline.successors) {
      const fits = !host.pages || outline.end < host.pages.pageEnd(outline.pc);
      const isFallen = host.target.address(successor) === outline.end && outline.runsOn && fits;
      if (!isFallen && outlines.has(successor)) heads.add(successor);
    }
  }
  return heads;
}
