import {
  importedFunctionCount,
  type SpaceLayout,
  sharedImports,
  sharedTypes,
  typeIndex,
} from '#tcg/interpreter-module.ts';
import type { IrBlock } from '#tcg/ir.ts';
import type { MemoryModel } from '#tcg/memory-model.ts';
import { Op } from '#tcg/ops.ts';
import type { Optimizer } from '#tcg/optimize.ts';
import { encodeModule, type ModuleFunction } from '#tcg/wasm/module.ts';
import { type Optimization, passesWithout } from '../optimizations.ts';
import { type DiscoveredRegion, type DiscoveryHost, discoverRegion } from './discovery.ts';
import { type Region, RegionEmitter } from './emitter.ts';
import { edgesByTerminal } from './flow.ts';
import { forwardMemory } from './forwarding.ts';
import { buildGraph, type RegionGraph } from './graph.ts';
import { CellLiveness } from './liveness.ts';
import { type FaultSite, type TrapSite, TrapSites } from './sites.ts';
import { splitIrreducible } from './splitting.ts';
import { sureReturns } from './sure-returns.ts';
import { RegionVariables } from './variables.ts';
import { wholeVectors } from './whole-vectors.ts';

/** What the compiler asks of the engine. */
export interface CompilerHost extends DiscoveryHost {
  readonly optimizer: Optimizer;
  readonly memory: MemoryModel;
  /** Name of the module, for stack traces. */
  readonly moduleName: string;
  readonly layout: SpaceLayout;
  readonly without: ReadonlySet<Optimization>;
  readonly countInstructions: boolean;
  slotOf(pc: number, call: boolean): number;
  codeKey?(pc: number): number;
  addSite(site: FaultSite): number;
  /** Sees each block of a region as translated, and the region with its blocks optimized: for dumps. */
  readonly onBlock?: (block: IrBlock) => void;
  readonly onRegion?: (region: Region) => void;
}

export interface CompiledRegion {
  readonly pc: number;
  /** Plain guest byte ranges it was made from, or relies on. */
  readonly ranges: readonly (readonly [number, number])[];
  /** What was read as constant for those it relies on. */
  readonly constants: readonly (readonly [number, number])[];
  readonly instructions: number;
  /** Bytes of its function body. */
  readonly bytes: number;
}

export interface CompiledModule {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** In order of the exports `r0`, `r1`, … */
  readonly regions: readonly CompiledRegion[];
  /** The accesses that trap. */
  readonly trapSites: TrapSites;
  /** Constants with values of this engine's (`Code.relocations`). */
  readonly relocations: readonly number[];
}

/** Compiles the regions that begin at `entries` into one module. */
export function compileRegions(entries: readonly number[], host: CompilerHost): CompiledModule {
  const functions: ModuleFunction[] = [];
  const regions: CompiledRegion[] = [];
  const siteLists: (readonly TrapSite[])[] = [];
  const functionOf = new Map(entries.map((pc, index) => [pc, importedFunctionCount + index]));
  for (const [index, pc] of entries.entries()) {
    const { region, reliesOn } = buildRegion(pc, host);
    host.onRegion?.(region);
    const emitter = new RegionEmitter(region, {
      memory: host.memory,
      layout: host.layout,
      helpers: host.target.helpers,
      sinks: !host.without.has('sink'),
      groupsChecks: !host.without.has('group'),
      countInstructions: host.countInstructions,
      slotOf: (to, call) => host.slotOf(to, call),
      functionOf: (to) => functionOf.get(to) ?? -1,
      addSite: (site) => host.addSite(site),
      ...(host.codeKey && { codeKey: (at: number) => host.codeKey!(at) }),
    });
    emitter.emit();
    siteLists.push(emitter.trapSites);
    functions.push({
      type: typeIndex.region,
      locals: emitter.frame.locals,
      code: emitter.frame.code,
      exportName: `r${index}`,
      debugName: `guest_${(pc >>> 0).toString(16)}`,
    });
    regions.push({
      pc,
      ranges: [...region.blocks, ...reliesOn].map(({ start, end }) => [start, end] as const),
      constants: [...reliesOn].flatMap(({ constants }) => constants),
      instructions: region.blocks.reduce((sum, block) => sum + block.instructions, 0),
      bytes: emitter.frame.code.length,
    });
  }
  const spec = { name: host.moduleName, types: sharedTypes, imports: sharedImports(host.layout), functions };
  const codeOffsets: number[] = [];
  const relocations: number[] = [];
  const bytes = encodeModule(spec, codeOffsets, relocations);
  const trapSites = new TrapSites();
  for (const [i, sites] of siteLists.entries()) trapSites.append(codeOffsets[i]!, sites);
  return { bytes, regions, trapSites, relocations };
}

/** Finds, translates and optimizes the blocks of the region that begins at `pc`. */
function buildRegion(pc: number, host: CompilerHost): { region: Region; reliesOn: DiscoveredRegion['reliesOn'] } {
  const region = discoverRegion(pc, host);
  if (!host.without.has('split')) makeReducible(region);
  const { blocks, flow } = region;
  // Where addresses are translated there may be a device behind them.
  if (!host.without.has('forward') && !host.memory.translation) {
    const sure = forwardMemory(blocks, flow, host.target);
    if (!host.without.has('return')) region.markSure(sure);
  }
  if (!host.without.has('return')) region.markSure(sureReturns(blocks, flow, host.target.helpers));
  if (!host.without.has('vector')) wholeVectors(blocks);
  if (host.onBlock) blocks.forEach(host.onBlock);
  // With exact state an access that may fault reads the lazy slots too.
  const { layout, helpers } = host.target;
  const lazySlots = host.exactState ? [] : host.target.lazySlots;
  const liveness = new CellLiveness(blocks, flow, { layout, helpers, lazySlots });
  const passes = passesWithout(host.without);
  for (const [node, block] of blocks.entries()) {
    host.optimizer.run(block, {
      ...passes,
      exactState: host.exactState,
      liveOut: (_, terminal) => liveness.liveOut(node, terminal),
    });
  }
  // The passes may have folded branches and found out targets.
  const graph = graphOf(region, !host.without.has('nest'));
  const variables = new RegionVariables(
    blocks,
    host.target,
    {
      exactState: host.exactState,
      memory: host.memory,
      dropsDead: !host.without.has('interrupt'),
      isBackEdge: (from, to) => graph.position[to]! <= graph.position[from]!,
    },
    liveness,
    flow,
  );
  return { region: { pc, blocks, graph, variables, liveness }, reliesOn: region.reliesOn };
}

/** Splits nodes where the region has loops with several entries. */
function makeReducible(region: DiscoveredRegion): void {
  if (!graphOf(region).hasIrreducible) return;
  const { blocks, flow } = region;
  const successors = blocks.map((block, node) =>
    [...edgesByTerminal(block, node, flow).values()].flatMap((edges) =>
      edges.map(({ node: to }) => to).filter((to) => to >= 0),
    ),
  );
  splitIrreducible({
    successors,
    size: (node) => blocks[node]!.instructions,
    copy(node) {
      successors.push([...successors[node]!]);
      return region.copyNode(node);
    },
    redirect: (from, to, copy) => region.redirect(from, to, copy),
  });
}

/** `nests`: headers of several loops are told from one another. */
function graphOf({ blocks, flow }: DiscoveredRegion, nests = false): RegionGraph {
  const switchTargets: number[][] = [];
  const successors = blocks.map((block, node) => {
    const all: number[] = [];
    const switched: number[] = [];
    for (const [i, edges] of edgesByTerminal(block, node, flow)) {
      for (const { node: to } of edges) {
        if (to < 0) continue;
        all.push(to);
        if (block.op[i] === Op.switch) switched.push(to);
      }
    }
    switchTargets.push(switched);
    return all;
  });
  return buildGraph(successors, switchTargets, nests ? blocks.map(({ start }) => start) : []);
}
