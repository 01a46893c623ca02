import { type Profiler, Session } from 'node:inspector';
import type { Frame } from './call-tree.ts';
import { Profile } from './call-tree.ts';
import { classify } from './classify.ts';

/** Microseconds between samples, at first. */
const interval = 1000;
/** Milliseconds after which V8's samples are taken over: it keeps all of them. */
const takeOver = 20_000;

/** What the sampler asks about the guest. */
export interface GuestNames {
  /** The frame of the region or block at `pc` (target's encoding). */
  region(pc: number): Frame;
  /** The function that the block at `pc` is in. */
  interpreted(pc: number): Frame;
  /** Guest instructions that the interpreter has run since the last call, by the PC of their block. */
  takeInterpreted(): Map<number, number>;
}

/** Samples this thread with V8's profiler. */
export class Sampler {
  readonly profile = new Profile();
  private readonly session = new Session();
  private readonly names: GuestNames;
  private readonly timer: NodeJS.Timeout;

  constructor(names: GuestNames) {
    this.names = names;
    this.session.connect();
    this.session.post('Profiler.enable');
    this.start();
    this.timer = setInterval(() => {
      this.take();
      this.start();
    }, takeOver);
    this.timer.unref();
  }

  /** Ends the sampling; `profile` is then whole. */
  stop(): void {
    clearInterval(this.timer);
    this.take();
    this.session.disconnect();
  }

  private start(): void {
    this.session.post('Profiler.setSamplingInterval', { interval: interval * 2 ** this.profile.halvings });
    this.session.post('Profiler.start');
  }

  /** Moves V8's samples into `profile`. Commands of a session to its own thread are served at once. */
  private take(): void {
    this.session.post('Profiler.stop', (error, result) => {
      if (error !== null) throw error;
      const { nodes, samples = [], timeDeltas = [], startTime, endTime } = result.profile;
      const { profile } = this;
      if (profile.start === 0) profile.start = profile.end = startTime;
      const ids = this.nodeIds(nodes);
      const inInterpreter = this.interpreterNodes(samples.filter((id) => ids.get(id) === null).length);
      let time = startTime;
      samples.forEach((id, i) => {
        time += timeDeltas[i];
        // V8's samples may be out of order by some microseconds.
        profile.add(Math.max(time, profile.end), ids.get(id) ?? inInterpreter());
      });
      const ours = profile.tree.node([{ name: '(profiler)', group: 'profiler', url: '' }]);
      profile.add(Math.max(endTime, profile.end), ours.id);
    });
  }

  /** Our node of each of V8's; null for the interpreter. */
  private nodeIds(nodes: readonly Profiler.ProfileNode[]): Map<number, number | null> {
    const byId = new Map(nodes.map((node) => [node.id, node]));
    const ids = new Map<number, number | null>();
    const visit = (id: number, stack: Parameters<typeof classify>[0]): void => {
      const { callFrame, children = [] } = byId.get(id)!;
      const here = id === nodes[0].id ? stack : [...stack, callFrame];
      const shown = classify(here, (pc) => this.names.region(pc));
      const interpreted = shown.length === 1 && shown[0].group === 'interpreter';
      ids.set(id, interpreted ? null : this.profile.tree.node(shown).id);
      for (const child of children) visit(child, here);
    };
    visit(nodes[0].id, []);
    return ids;
  }

  /**
   * Where the next of `count` samples of the interpreter goes. V8 does not see which guest function it was in: they are
   * shared out by the instructions it has run of each.
   */
  private interpreterNodes(count: number): () => number {
    const interpreter: Frame = { name: '(interpreter)', group: 'interpreter', url: '' };
    const work = new Map<number, number>();
    let total = 0;
    for (const [pc, instructions] of this.names.takeInterpreted()) {
      const { id } = this.profile.tree.node([interpreter, this.names.interpreted(pc)]);
      work.set(id, (work.get(id) ?? 0) + instructions);
      total += instructions;
    }
    const shares = [...work].sort((a, b) => b[1] - a[1]);
    if (shares.length === 0) return () => this.profile.tree.node([interpreter]).id;
    let taken = 0;
    let at = 0;
    let upTo = shares[0][1];
    return () => {
      const wanted = ((taken++ + 0.5) / count) * total;
      while (upTo < wanted && at < shares.length - 1) upTo += shares[++at][1];
      return shares[at][0];
    };
  }
}
