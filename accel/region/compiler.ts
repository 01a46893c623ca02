import type { Builder } from '#tcg/builder.ts';
import { ExitReason } from '#tcg/cpu-page.ts';
import {
  importedFunctionCount,
  type SpaceLayout,
  sharedImports,
  sharedTypes,
  typeIndex,
} from '#tcg/interpreter-module.ts';
import { copyBlock, forEachSuccessor, type IrBlock } from '#tcg/ir.ts';
import type { MemoryModel } from '#tcg/memory-model.ts';
import { Op } from '#tcg/ops.ts';
import type { Optimizer } from '#tcg/optimize.ts';
import type { CodeReader, Target } from '#tcg/target.ts';
import { translateBlock } from '#tcg/translator.ts';
import { encodeModule, type ModuleFunction } from '#tcg/wasm/module.ts';
import { eagerRegionInstructions, maxRegionInstructions, regionBlockInstructions } from '../tunables.ts';
import { type Region, RegionEmitter } from './emitter.ts';
import { buildGraph } from './graph.ts';
import { CellLiveness } from './liveness.ts';
import type { FaultSite } from './sites.ts';
import { RegionVariables } from './variables.ts';

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
  /** True if it has been executed. */
  executed: boolean;
}

/** What the compiler asks of the engine. */
export interface CompilerHost {
  readonly target: Target;
  readonly builder: Builder;
  readonly optimizer: Optimizer;
  readonly code: CodeReader;
  readonly memory: MemoryModel;
  readonly layout: SpaceLayout;
  readonly mode: number;
  readonly exactState: boolean;
  readonly maxBlockInstructions: number;
  readonly countInstructions: boolean;
  /** Outline of the block at `pc`, translating it if need be. */
  outline(pc: number): BlockOutline;
  /** True if `pc` is known to be called: regions do not run into it. */
  isFunction(pc: number): boolean;
  slotOf(pc: number, call: boolean): number;
  addSite(site: FaultSite): number;
  /** Sees each block of a region as translated, and the region with its blocks optimized: for dumps. */
  readonly onBlock?: (block: IrBlock) => void;
  readonly onRegion?: (region: Region) => void;
}

export interface CompiledRegion {
  readonly pc: number;
  /** Plain guest byte ranges it was made from. */
  readonly ranges: readonly (readonly [number, number])[];
  readonly instructions: number;
  /** Bytes of its function body. */
  readonly bytes: number;
}

export interface CompiledModule {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** In order of the exports `r0`, `r1`, … */
  readonly regions: readonly CompiledRegion[];
}

/** An outline from the block just translated into `block`. */
export function outlineOf(block: IrBlock, executed: boolean): BlockOutline {
  const successors: number[] = [];
  const calls: number[] = [];
  forEachSuccessor(block, (pc) => successors.push(pc));
  for (let i = 0; i < block.length; i++) {
    if (block.op[i] === Op.call) calls.push(block.x[i]!);
    else if (block.op[i] === Op.exit && block.x[i] === ExitReason.syscall) successors.push(block.y[i]!);
  }
  const { pc, start, end, instructions } = block;
  const last = block.op[block.length - 1];
  const runsOn = last === Op.jump || last === Op.branch;
  return { pc, start, end, instructions, successors, calls, runsOn, executed };
}

/** Compiles the regions that begin at `entries` into one module. */
export function compileRegions(entries: readonly number[], host: CompilerHost): CompiledModule {
  const functions: ModuleFunction[] = [];
  const regions: CompiledRegion[] = [];
  const functionOf = new Map(entries.map((pc, index) => [pc, importedFunctionCount + index]));
  for (const [index, pc] of entries.entries()) {
    const region = buildRegion(pc, host);
    host.onRegion?.(region);
    const emitter = new RegionEmitter(region, {
      memory: host.memory,
      layout: host.layout,
      helpers: host.target.helpers,
      countInstructions: host.countInstructions,
      slotOf: (to, call) => host.slotOf(to, call),
      functionOf: (to) => functionOf.get(to) ?? -1,
      addSite: (site) => host.addSite(site),
    });
    emitter.emit();
    functions.push({
      type: typeIndex.region,
      locals: emitter.frame.locals,
      code: emitter.frame.code,
      exportName: `r${index}`,
      debugName: `guest_${(pc >>> 0).toString(16)}`,
    });
    regions.push({
      pc,
      ranges: region.blocks.map((block) => [block.start, block.end] as const),
      instructions: region.blocks.reduce((sum, block) => sum + block.instructions, 0),
      bytes: emitter.frame.code.length,
    });
  }
  const bytes = encodeModule({ types: sharedTypes, imports: sharedImports(host.layout), functions });
  return { bytes, regions };
}

/** Finds, translates and optimizes the blocks of the region that begins at `pc`. */
function buildRegion(pc: number, host: CompilerHost): Region {
  const roots = [pc];
  let translated = translateHeads(findHeads(roots, host), host);
  // Targets of jump tables show only in extended blocks, which know the bounds of the index.
  for (let tries = 0; tries < 3 && addSwitchTargets(translated, roots, host); tries++) {
    translated = translateHeads(findHeads(roots, host), host);
  }
  const { blocks, nodes } = translated;
  if (host.onBlock) blocks.forEach(host.onBlock);
  const nodeOf = (at: number): number => nodes.get(at) ?? -1;
  // With exact state an access that may fault reads the lazy slots too.
  const { layout, helpers } = host.target;
  const lazySlots = host.exactState ? [] : host.target.lazySlots;
  const liveness = new CellLiveness(blocks, nodeOf, { layout, helpers, lazySlots });
  for (const block of blocks) {
    host.optimizer.run(block, {
      exactState: host.exactState,
      liveOut: (of, terminal) => liveness.liveOut(of, terminal, nodeOf),
    });
  }
  const { successors, switchTargets } = controlFlow(blocks, nodeOf);
  const graph = buildGraph(successors, switchTargets);
  const variables = new RegionVariables(
    blocks,
    host.target,
    host.exactState,
    liveness,
    nodeOf,
    (from, to) => graph.position[to]! <= graph.position[from]!,
  );
  return { pc, blocks, graph, variables, nodeOf };
}

interface TranslatedBlocks {
  readonly blocks: IrBlock[];
  /** Index in `blocks` by PC. */
  readonly nodes: Map<number, number>;
}

function translateHeads(heads: ReadonlySet<number>, host: CompilerHost): TranslatedBlocks {
  const blocks: IrBlock[] = [];
  const nodes = new Map<number, number>();
  for (const head of heads) {
    translateBlock(host.target, host.builder, host.code, head, host.mode, {
      maxInstructions: Math.min(regionBlockInstructions, host.maxBlockInstructions),
      isLeader: (at) => heads.has(at),
      extended: true,
    });
    nodes.set(head, blocks.length);
    blocks.push(copyBlock(host.builder.block));
  }
  return { blocks, nodes };
}

/** Adds the switch targets that are no blocks of the region yet to `roots`; false if there are none. */
function addSwitchTargets({ blocks, nodes }: TranslatedBlocks, roots: number[], host: CompilerHost): boolean {
  const before = roots.length;
  for (const block of blocks) {
    for (const table of block.tables) {
      for (const pc of table) {
        if (!nodes.has(pc) && !roots.includes(pc) && !host.isFunction(pc)) roots.push(pc);
      }
    }
  }
  return roots.length > before;
}

/**
 * The PCs at which the region's extended blocks begin, the entry first: its entry and every block that is reached by
 * anything but falling through from one block before it. `roots`: the entry, then jump table targets.
 */
function findHeads(roots: readonly number[], host: CompilerHost): Set<number> {
  const entry = roots[0]!;
  const outlines = new Map<number, BlockOutline>();
  const work = [...roots];
  let instructions = 0;
  for (let at = 0; at < work.length; at++) {
    const pc = work[at]!;
    if (outlines.has(pc)) continue;
    const outline = host.outline(pc);
    if (pc !== entry) {
      if (instructions + outline.instructions > maxRegionInstructions) continue;
      if (!outline.executed && !roots.includes(pc) && instructions > eagerRegionInstructions) continue;
    }
    outlines.set(pc, outline);
    instructions += outline.instructions;
    for (const successor of outline.successors) {
      if (successor !== entry && host.isFunction(successor)) continue;
      work.push(successor);
    }
  }
  const predecessors = new Map<number, number>();
  const notFallen = new Set<number>();
  for (const outline of outlines.values()) {
    for (const successor of outline.successors) {
      predecessors.set(successor, (predecessors.get(successor) ?? 0) + 1);
      if (host.target.address(successor) !== outline.end || !outline.runsOn) notFallen.add(successor);
    }
  }
  // A block that another one runs through (both were translated, from different entries) is reached from it too.
  for (const outline of outlines.values()) {
    for (const other of outlines.values()) {
      if (other.start > outline.start && other.start < outline.end) notFallen.add(other.pc);
    }
  }
  const heads = new Set(roots);
  for (const pc of outlines.keys()) {
    if ((predecessors.get(pc) ?? 0) > 1 || notFallen.has(pc)) heads.add(pc);
  }
  return heads;
}

function controlFlow(
  blocks: readonly IrBlock[],
  nodeOf: (pc: number) => number,
): { successors: number[][]; switchTargets: number[][] } {
  const successors: number[][] = [];
  const switchTargets: number[][] = [];
  for (const block of blocks) {
    const out: number[] = [];
    const switched: number[] = [];
    const visit = (pc: number): void => {
      const node = nodeOf(pc);
      if (node >= 0) out.push(node);
    };
    forEachSuccessor(block, visit);
    for (let i = 0; i < block.length; i++) {
      if (block.op[i] === Op.exit && block.x[i] === ExitReason.syscall) visit(block.y[i]!);
      if (block.op[i] !== Op.switch) continue;
      for (const pc of block.tables[block.x[i]!]!) if (nodeOf(pc) >= 0) switched.push(nodeOf(pc));
    }
    successors.push(out);
    switchTargets.push(switched);
  }
  return { successors, switchTargets };
}
