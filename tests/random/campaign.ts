import { constants } from 'node:os';
import { type Brief, type Report, type Request, type Result, type Rig, runBrief, runWhole, slots } from './runner.ts';

/** Instructions that can be left out together: bytes with names. */
export interface NamedCode {
  name: string;
  bytes: readonly number[];
}

/** A random sequence and the states it is run from: made from its seed alone. */
export interface Trial<R> {
  seed: number;
  thumb?: boolean;
  /** Pieces that can be dropped one by one. */
  pieces: readonly (readonly NamedCode[])[];
  scratchSeed: number;
  states: readonly R[];
}

/** One value that differs: its name, the oracle's and ours. */
export type Difference = [what: string, oracle: string, tsemu: string];

/** Two sides and how their reports are compared. */
export interface Contest<R, T extends Trial<R>> {
  rig: Rig<R>;
  /** Ours, where it shall not handle faults. */
  withoutHandlers?: Rig<R>;
  /** Command lines before the rig's own: empty where the host runs it itself. */
  oracle: readonly string[];
  ours: readonly string[];
  /** Whether ours ended, by what it wrote, at an address where the oracle may have something mapped. */
  isElsewhere?: (reason: string) => boolean;
  /** How two reports differ; empty also where the oracle's does not bind us. */
  compare: (trial: T, oracle: Report<R>, ours: Report<R>) => Difference[];
}

export interface Finding<T> {
  trial: T;
  /** Which of its states. */
  state: number;
  differences: Difference[];
}

export interface Tally<T> {
  sequences: number;
  /** Runs: one for each sequence and state. */
  runs: number;
  /** Instructions run and compared: up to a fault, but with those that a condition or a branch left out. */
  instructions: number;
  faults: number;
  /** Sequences that ended the oracle's rig: not compared. */
  deaths: number;
  /** Sequences that did not do the same twice on the oracle's side: not compared. */
  unsteady: number;
  /** Seeds of sequences whose differences were gone when they were run again. */
  unrepeated: number[];
  findings: Finding<T>[];
  /** Instructions tried, by row name. */
  byName: Map<string, number>;
}

/** A tally in a line. */
export const summary = (tally: Tally<unknown>): string =>
  [
    `${tally.sequences} sequences`,
    `${tally.runs} runs`,
    `${tally.instructions} instructions of ${tally.byName.size} names`,
    `${tally.faults} faults`,
    `${tally.deaths + tally.unsteady} not compared`,
    `${tally.unrepeated.length} not repeated${tally.unrepeated.length > 0 ? ` (${tally.unrepeated.join(' ')})` : ''}`,
    `${tally.findings.length} differ`,
  ].join(', ');

export const emptyTally = <T>(): Tally<T> => ({
  sequences: 0,
  runs: 0,
  instructions: 0,
  faults: 0,
  deaths: 0,
  unsteady: 0,
  unrepeated: [],
  findings: [],
  byName: new Map(),
});

const toRequest = <R>({ pieces, seed, scratchSeed, states, thumb }: Trial<R>): Request<R> => ({
  code: Uint8Array.from(pieces.flat().flatMap(({ bytes }) => bytes)),
  slot: seed % slots,
  scratchSeed,
  states,
  thumb: thumb ?? false,
});

const seedsOf = (trials: readonly { seed: number }[]): number[] => trials.map(({ seed }) => seed);

const isSame = (a: Result<Brief>, b: Result<Brief>): boolean =>
  a.kind === 'answer' &&
  b.kind === 'answer' &&
  a.reports.every(({ digest, signal, pcOffset }, i) => {
    const other = b.reports[i]!;
    return digest === other.digest && signal === other.signal && pcOffset === other.pcOffset;
  });

/** Counts what was run. */
function count<R, T extends Trial<R>>(tally: Tally<T>, trial: T, result: Result<Brief>): void {
  tally.sequences++;
  if (result.kind === 'death') {
    tally.deaths++;
    return;
  }
  const insns = trial.pieces.flat();
  const starts: number[] = [];
  let at = 0;
  for (const { bytes } of insns) {
    starts.push(at);
    at += bytes.length;
  }
  for (const { signal, pcOffset } of result.reports) {
    tally.runs++;
    const ran = signal === 0 ? insns : insns.filter((_, i) => starts[i]! <= pcOffset);
    tally.instructions += ran.length;
    if (signal !== 0) tally.faults++;
    for (const { name } of ran) tally.byName.set(name, (tally.byName.get(name) ?? 0) + 1);
  }
}

/** Reports of a trial on both sides, compared state by state. */
function findingsOf<R, T extends Trial<R>>(
  contest: Contest<R, T>,
  trial: T,
  oracle: Result<Report<R>>,
  ours: Result<Report<R>>,
): Finding<T>[] {
  // A store gone astray may hit the oracle's own parts, where ours are elsewhere.
  if (oracle.kind === 'death') return [];
  if (ours.kind === 'death' && contest.isElsewhere?.(ours.reason)) return [];
  if (ours.kind === 'death') return [{ trial, state: 0, differences: [['end', 'none', ours.reason]] }];
  return oracle.reports.flatMap((report, state) => {
    const differences = contest.compare(trial, report, ours.reports[state]!);
    return differences.length > 0 ? [{ trial, state, differences }] : [];
  });
}

/**
 * Runs trials on both sides: briefly first, and in detail what differs then.
 */
export async function compareAll<R, T extends Trial<R>>(
  contest: Contest<R, T>,
  trials: readonly T[],
  tally: Tally<T> = emptyTally(),
): Promise<Finding<T>[]> {
  if (contest.withoutHandlers) return compareHarmless(contest, contest.withoutHandlers, trials, tally);
  const { rig, oracle, ours } = contest;
  const requests = trials.map(toRequest);
  const [expected, got] = await Promise.all([runBrief(rig, oracle, requests), runBrief(rig, ours, requests)]);
  trials.forEach((trial, i) => count(tally, trial, expected[i]!));
  const differ = trials.map((_, i) => !isSame(expected[i]!, got[i]!));
  if (!differ.includes(true)) return [];
  // Code that runs astray may find the host's stack, which is elsewhere each time.
  const again = await runBrief(rig, oracle, requests);
  const suspects = trials.filter((_, i) => differ[i] && isSame(expected[i]!, again[i]!));
  tally.unsteady += trials.filter((_, i) => !isSame(expected[i]!, again[i]!)).length;
  return explain(contest, suspects, tally);
}

/** What differs of trials whose brief reports did. */
async function explain<R, T extends Trial<R>>(
  { rig, ...contest }: Contest<R, T>,
  suspects: readonly T[],
  tally: Tally<T>,
): Promise<Finding<T>[]> {
  if (suspects.length === 0) return [];
  const requests = suspects.map(toRequest);
  const [expected, got] = await Promise.all([
    runWhole(rig, contest.oracle, requests),
    runWhole(rig, contest.ours, requests),
  ]);
  tally.unrepeated.push(...seedsOf(suspects.filter((_, i) => isSame(expected[i]!, got[i]!))));
  return suspects.flatMap((trial, i) => findingsOf({ rig, ...contest }, trial, expected[i]!, got[i]!));
}

const signalNames = new Map(Object.entries(constants.signals).map(([name, signal]) => [signal as number, name]));
const SIGBUS = 7;
/** Faulting sequences of a batch that are tried where each is the end of a process. */
const deadlyTrials = 5;

/**
 * The same where our rig handles no faults: states that fault on the oracle's side are left out, and some of them tried
 * apart, where the signal is all there is to compare.
 */
async function compareHarmless<R, T extends Trial<R>>(
  contest: Contest<R, T>,
  rig: Rig<R>,
  trials: readonly T[],
  tally: Tally<T>,
): Promise<Finding<T>[]> {
  const first = await runBrief(contest.rig, contest.oracle, trials.map(toRequest));
  const harmless: T[] = [];
  const deadly: T[] = [];
  const signals: number[] = [];
  for (const [i, trial] of trials.entries()) {
    const result = first[i]!;
    if (result.kind === 'death') continue;
    const states = trial.states.filter((_, n) => result.reports[n]!.signal === 0);
    if (states.length > 0) harmless.push({ ...trial, states });
    const fault = result.reports.findIndex(({ signal }) => signal !== 0 && signal !== SIGBUS);
    if (fault < 0 || deadly.length >= deadlyTrials) continue;
    deadly.push({ ...trial, states: [trial.states[fault]!] });
    signals.push(result.reports[fault]!.signal);
  }
  const requests = harmless.map(toRequest);
  const [expected, got, ends] = await Promise.all([
    runBrief(contest.rig, contest.oracle, requests),
    runBrief(rig, contest.ours, requests),
    Promise.all(deadly.map((trial) => runBrief(rig, contest.ours, [toRequest(trial)]))),
  ]);
  harmless.forEach((trial, i) => count(tally, trial, expected[i]!));
  const suspects = harmless.filter((_, i) => !isSame(expected[i]!, got[i]!));
  const wrongEnds = deadly.flatMap((trial, i): Finding<T>[] => {
    const [end] = ends[i]!;
    const name = signalNames.get(signals[i]!) ?? `signal ${signals[i]}`;
    if (end!.kind === 'death' && end!.reason.startsWith(name)) return [];
    return [{ trial, state: 0, differences: [['end', name, end!.kind === 'death' ? end!.reason : 'none']] }];
  });
  // In detail with the same rig on our side: one that handles faults would run other code.
  const [wholeExpected, wholeGot] = await Promise.all([
    runWhole(contest.rig, contest.oracle, suspects.map(toRequest)),
    runWhole(rig, contest.ours, suspects.map(toRequest)),
  ]);
  tally.faults += deadly.length;
  tally.unrepeated.push(...seedsOf(suspects.filter((_, i) => isSame(wholeExpected[i]!, wholeGot[i]!))));
  const found = suspects.flatMap((trial, i) => findingsOf(contest, trial, wholeExpected[i]!, wholeGot[i]!));
  return [...found, ...wrongEnds];
}

export interface CampaignOptions {
  /** Sequences to try, seeds `seed`, `seed + 1` … */
  seed: number;
  count: number;
  /** Ends early once this many sequences differ. */
  limit: number;
  onProgress?: (tally: { sequences: number; findings: readonly unknown[] }) => void;
}

/** Runs in one process: enough that its start does not count, few enough to keep in memory. */
const batchRuns = 32_000;

/** Tries the sequences of `generate` on both sides. */
export async function campaign<R, T extends Trial<R>>(
  contest: Contest<R, T>,
  generate: (seed: number) => T,
  { seed, count: total, limit, onProgress }: CampaignOptions,
): Promise<Tally<T>> {
  const tally = emptyTally<T>();
  let next = 0;
  while (next < total && tally.findings.length < limit) {
    const trials: T[] = [];
    for (let runs = 0; runs < batchRuns && next < total; next++) {
      const trial = generate(seed + next);
      trials.push(trial);
      runs += trial.states.length;
    }
    const found = await compareAll(contest, trials, tally);
    // Of a sequence, the first state that differs will do.
    tally.findings.push(...found.filter(({ trial }, i) => i === 0 || found[i - 1]!.trial !== trial));
    onProgress?.({ sequences: next, findings: tally.findings });
  }
  return tally;
}

/** The finding with as few states and instructions as still differ. */
export async function minimise<R, T extends Trial<R>>(
  contest: Contest<R, T>,
  finding: Finding<T>,
): Promise<Finding<T>> {
  let best = finding;
  for (;;) {
    const { trial, state } = best;
    const smaller: T[] = trial.states.length > 1 ? [{ ...trial, states: [trial.states[state]!] }] : [];
    if (trial.pieces.length > 1)
      for (const piece of trial.pieces)
        smaller.push({ ...trial, pieces: trial.pieces.filter((other) => other !== piece) });
    if (smaller.length === 0) return best;
    const [found] = await compareAll(contest, smaller);
    if (found === undefined) return best;
    best = found;
  }
}
