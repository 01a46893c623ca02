import { maxSplitInstructions } from '../tunables.ts';

/** What is split: a region's nodes and edges. */
export interface SplitGraph {
  /** Nodes each node leads to; grows with the copies. */
  readonly successors: number[][];
  /** Guest instructions of a node. */
  size(node: number): number;
  /** Adds a copy of `node` with the same edges. */
  copy(node: number): number;
  /** The edges of `from` to `to` go to `copy` from now on. */
  redirect(from: number, to: number, copy: number): void;
}

/**
 * Makes irreducible loops (with several entries) reducible by node splitting: one entry is kept as the header, and what
 * the others lead to before they come to it is copied for those who come from outside. Loops for which that would be
 * too much stay as they are. Node 0 is the entry.
 */
export function splitIrreducible(graph: SplitGraph): void {
  let left = maxSplitInstructions;
  /** Headers found so far: with them taken out, inner loops show as components of their own. */
  const headers = new Set<number>();
  for (;;) {
    const loop = findLoop(graph.successors, headers);
    if (!loop) return;
    const [header, copied] = cheapestHeader(loop, graph);
    headers.add(header);
    const cost = sum(copied, graph);
    if (copied.size === 0 || cost > left) continue;
    left -= cost;
    split(loop.nodes, copied, graph);
    // Components have changed: what was found inside them is looked for again.
    headers.clear();
  }
}

interface Loop {
  readonly nodes: ReadonlySet<number>;
  readonly entries: readonly number[];
}

function sum(nodes: Iterable<number>, graph: SplitGraph): number {
  let total = 0;
  for (const node of nodes) total += graph.size(node);
  return total;
}

/** The entry whose choice as header makes for the fewest copied instructions, and the nodes to copy. */
function cheapestHeader(loop: Loop, graph: SplitGraph): [header: number, copied: ReadonlySet<number>] {
  let best: [number, Set<number>] | undefined;
  let bestCost = Infinity;
  // The region begins at node 0, not at a copy of it.
  for (const header of loop.entries.includes(0) ? [0] : loop.entries) {
    const copied = new Set<number>();
    const work = loop.entries.filter((entry) => entry !== header);
    for (let node = work.pop(); node !== undefined; node = work.pop()) {
      if (node === header || copied.has(node) || !loop.nodes.has(node)) continue;
      copied.add(node);
      work.push(...graph.successors[node]!);
    }
    const cost = sum(copied, graph);
    if (cost >= bestCost) continue;
    best = [header, copied];
    bestCost = cost;
  }
  return best!;
}

/** Copies `copied`; edges from outside `loop` into it go to the copies, and from there on too. */
function split(loop: ReadonlySet<number>, copied: ReadonlySet<number>, graph: SplitGraph): void {
  const { successors } = graph;
  const before = successors.length;
  const copyOf = new Map<number, number>();
  for (const node of copied) copyOf.set(node, graph.copy(node));
  const redirect = (from: number): void => {
    successors[from] = successors[from]!.map((to) => {
      const copy = copyOf.get(to);
      if (copy === undefined) return to;
      graph.redirect(from, to, copy);
      return copy;
    });
  };
  for (let node = 0; node < before; node++) if (!loop.has(node)) redirect(node);
  for (const copy of copyOf.values()) redirect(copy);
}

/** A strongly connected component with a cycle, edges into `headers` left out of account; undefined if none is left. */
function findLoop(successors: readonly (readonly number[])[], headers: ReadonlySet<number>): Loop | undefined {
  const component = stronglyConnected(successors, headers);
  const cyclic = component.findIndex(
    (of, node) => of >= 0 && successors[node]!.some((to) => component[to] === of && !headers.has(to)),
  );
  if (cyclic < 0) return undefined;
  const nodes = new Set<number>();
  component.forEach((of, node) => {
    if (of === component[cyclic]) nodes.add(node);
  });
  const entries = new Set<number>();
  if (nodes.has(0)) entries.add(0);
  successors.forEach((targets, from) => {
    if (component[from]! < 0 || nodes.has(from)) return;
    for (const to of targets) if (nodes.has(to)) entries.add(to);
  });
  return { nodes, entries: [...entries] };
}

/** Tarjan: the component of each node that can be reached from node 0, else −1. Edges into `headers` do not count. */
function stronglyConnected(successors: readonly (readonly number[])[], headers: ReadonlySet<number>): Int32Array {
  const count = successors.length;
  const component = new Int32Array(count).fill(-1);
  const index = new Int32Array(count).fill(-1);
  const low = new Int32Array(count);
  const open: number[] = [];
  const isOpen = new Uint8Array(count);
  let nextIndex = 0;
  let nextComponent = 0;
  const roots = [0, ...headers];
  for (const root of roots) {
    if (index[root]! >= 0) continue;
    const calls = [{ node: root, edge: 0 }];
    while (calls.length > 0) {
      const top = calls.at(-1)!;
      const { node } = top;
      if (top.edge === 0) {
        index[node] = low[node] = nextIndex++;
        open.push(node);
        isOpen[node] = 1;
      }
      const to = successors[node]![top.edge++];
      if (to !== undefined) {
        if (headers.has(to)) continue;
        if (index[to]! < 0) calls.push({ node: to, edge: 0 });
        else if (isOpen[to]) low[node] = Math.min(low[node]!, index[to]!);
        continue;
      }
      calls.pop();
      const parent = calls.at(-1);
      if (parent) low[parent.node] = Math.min(low[parent.node]!, low[node]!);
      if (low[node] !== index[node]) continue;
      for (let member = -1; member !== node; ) {
        member = open.pop()!;
        isOpen[member] = 0;
        component[member] = nextComponent;
      }
      nextComponent++;
    }
  }
  return component;
}
