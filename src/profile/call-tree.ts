/** What a frame's time was spent on. The order is that of reports. */
export const groups = {
  regions: 'guest code in compiled regions',
  interpreter: 'guest code in the interpreter',
  translation: 'translating blocks for the interpreter',
  compilation: 'compiling regions',
  dispatcher: 'going from one to another',
  'system calls': 'system calls within generated code',
  kernel: 'the rest of the kernel layer, and loading the program',
  'garbage collection': 'V8’s garbage collector',
  native: 'native code outside of all functions',
  idle: 'waiting',
  profiler: 'moving samples out of V8',
} as const;
export type Group = keyof typeof groups;

/** A function as a profile shows it. */
export interface Frame {
  readonly name: string;
  readonly group: Group;
  /** The guest file a guest function is from, or ''. */
  readonly url: string;
}

/** A function as called by its parent's. */
export interface CallNode {
  /** 1 for the root, then in order of appearance. */
  readonly id: number;
  readonly frame: Frame;
  readonly children: Map<string, CallNode>;
}

/** Nodes kept: deep recursion makes a node for each depth. Deeper calls then count for their caller. */
const maxNodes = 200_000;

/** Call stacks merged from their root. */
export class CallTree {
  readonly root: CallNode = { id: 1, frame: { name: '(root)', group: 'native', url: '' }, children: new Map() };
  /** By id − 1. */
  readonly nodes: CallNode[] = [this.root];

  /** The node of a stack, outermost frame first. */
  node(stack: readonly Frame[]): CallNode {
    let node = this.root;
    for (const frame of stack) {
      const key = `${frame.group} ${frame.name} ${frame.url}`;
      let next = node.children.get(key);
      if (next === undefined) {
        if (this.nodes.length >= maxNodes) return node;
        next = { id: this.nodes.length + 1, frame, children: new Map() };
        this.nodes.push(next);
        node.children.set(key, next);
      }
      node = next;
    }
    return node;
  }
}

/** Samples kept before every other one is dropped. */
const maxSamples = 1 << 20;

/** A call tree with samples: from each one's time to the next the program was in that node. */
export class Profile {
  readonly tree = new CallTree();
  /** Microseconds, ascending. */
  times: number[] = [];
  /** Node ids. */
  samples: number[] = [];
  start = 0;
  end = 0;
  /** How often the samples were thinned out: each time halves the rate at which new ones are worth taking. */
  halvings = 0;

  add(time: number, id: number): void {
    this.times.push(time);
    this.samples.push(id);
    this.end = time;
    if (this.samples.length < maxSamples) return;
    this.times = this.times.filter((_, i) => i % 2 === 0);
    this.samples = this.samples.filter((_, i) => i % 2 === 0);
    this.halvings++;
  }

  /** Microseconds spent in each node itself, by id − 1. */
  selfTimes(): Float64Array {
    const self = new Float64Array(this.tree.nodes.length);
    this.samples.forEach((id, i) => {
      self[id - 1] += (this.times[i + 1] ?? this.end) - this.times[i];
    });
    return self;
  }

  /** Microseconds by group; groups without any left out. */
  byGroup(): Partial<Record<Group, number>> {
    const self = this.selfTimes();
    const sums = new Map<Group, number>();
    for (const { id, frame } of this.tree.nodes) sums.set(frame.group, (sums.get(frame.group) ?? 0) + self[id - 1]);
    const named = (Object.keys(groups) as Group[]).map((group) => [group, sums.get(group) ?? 0] as const);
    return Object.fromEntries(named.filter(([, time]) => time > 0));
  }
}
