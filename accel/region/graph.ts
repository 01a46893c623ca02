/** Control-flow facts of a region: nodes in reverse postorder, with dominators, loop headers and merge points. */
export interface RegionGraph {
  /** Nodes by position in reverse postorder; node 0 is the entry. */
  readonly order: readonly number[];
  /** Position of a node, -1 if it cannot be reached. */
  readonly position: Int32Array;
  /** By position: positions of the nodes it immediately dominates. */
  readonly children: readonly (readonly number[])[];
  /** By position: 1 if a back-edge from a node it dominates comes here. */
  readonly loopHeader: Uint8Array;
  /**
   * By position: 1 if it is the header of two loops, one within the other, which `isOuter` tells apart. A region that
   * begins in the middle of nested loops has them hang together that way.
   */
  readonly nested: Uint8Array;
  /** By position: 1 if it needs a label: two or more forward edges, or the target of a switch. */
  readonly merge: Uint8Array;
  /** True if some loop has several entries. */
  readonly hasIrreducible: boolean;
  /** True if the edge between these positions goes backwards to a node that does not dominate its source. */
  irreducible(from: number, to: number): boolean;
  /** True if this back-edge of a nested header goes round the outer loop. */
  isOuter(from: number, to: number): boolean;
}

/**
 * `successors[n]`: edges of node n, repeated where there are several. `switchTargets[n]`: nodes a `switch` of node n
 * names. Backward edges into a node that does not dominate their source (irreducible flow) are left out: the emitter
 * makes them exits. `addresses[n]`, where it matters: of the guest's code.
 */
export function buildGraph(
  successors: readonly (readonly number[])[],
  switchTargets: readonly (readonly number[])[],
  addresses: readonly number[] = [],
): RegionGraph {
  const order = reversePostorder(successors);
  const position = new Int32Array(successors.length).fill(-1);
  for (const [at, node] of order.entries()) position[node] = at;
  const count = order.length;
  const next = order.map((node) => successors[node]!.map((s) => position[s]!));
  const previous: number[][] = order.map(() => []);
  next.forEach((targets, from) => {
    for (const to of targets) previous[to]!.push(from);
  });
  const idom = immediateDominators(count, previous);
  const dominates = (a: number, b: number): boolean => {
    let at = b;
    while (at > a) at = idom[at]!;
    return at === a;
  };
  // What goes backwards in the region but on in the guest's code closes the loop around the one that was entered.
  const isOuter = (from: number, to: number): boolean => addresses[order[from]!]! < addresses[order[to]!]!;
  const loopHeader = new Uint8Array(count);
  const nested = new Uint8Array(count);
  const merge = new Uint8Array(count);
  let hasIrreducible = false;
  for (let to = 0; to < count; to++) {
    let forward = 0;
    let outer = 0;
    let inner = 0;
    for (const from of previous[to]!) {
      if (from < to) forward++;
      else if (!dominates(to, from)) hasIrreducible = true;
      else if (isOuter(from, to)) outer++;
      else inner++;
    }
    if (inner + outer > 0) loopHeader[to] = 1;
    if (inner > 0 && outer > 0) nested[to] = 1;
    if (forward > 1) merge[to] = 1;
  }
  order.forEach((node, from) => {
    for (const target of switchTargets[node]!) if (position[target]! > from) merge[position[target]!] = 1;
  });
  const children: number[][] = order.map(() => []);
  for (let at = 1; at < count; at++) children[idom[at]!]!.push(at);
  return {
    order,
    position,
    children,
    loopHeader,
    nested,
    merge,
    hasIrreducible,
    isOuter: (from, to) => nested[to] === 1 && isOuter(from, to),
    irreducible: (from, to) => to <= from && !dominates(to, from),
  };
}

/** The nodes that can be reached from node 0, in reverse postorder. `successors[n]`: nodes that node n leads to. */
export function reversePostorder(successors: readonly (readonly number[])[]): number[] {
  const seen = new Uint8Array(successors.length);
  const postorder: number[] = [];
  const stack: { node: number; edge: number }[] = [{ node: 0, edge: 0 }];
  seen[0] = 1;
  while (stack.length > 0) {
    const top = stack.at(-1)!;
    const targets = successors[top.node]!;
    if (top.edge === targets.length) {
      postorder.push(top.node);
      stack.pop();
      continue;
    }
    const target = targets[top.edge++]!;
    if (seen[target]) continue;
    seen[target] = 1;
    stack.push({ node: target, edge: 0 });
  }
  return postorder.reverse();
}

/** Cooper, Harvey, Kennedy: "A Simple, Fast Dominance Algorithm". */
function immediateDominators(count: number, previous: readonly (readonly number[])[]): Int32Array {
  const idom = new Int32Array(count).fill(-1);
  idom[0] = 0;
  for (let changed = true; changed; ) {
    changed = false;
    for (let node = 1; node < count; node++) {
      let dominator = -1;
      for (const from of previous[node]!) {
        if (idom[from]! < 0) continue;
        if (dominator < 0) {
          dominator = from;
          continue;
        }
        let a = dominator;
        let b = from;
        while (a !== b) {
          while (a > b) a = idom[a]!;
          while (b > a) b = idom[b]!;
        }
        dominator = a;
      }
      if (dominator === idom[node]) continue;
      idom[node] = dominator;
      changed = true;
    }
  }
  return idom;
}
