import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Script } from 'node:vm';
import { afterAll, describe, expect, test } from 'vitest';
import { CallTree, type Frame, Profile } from '#src/profile/call-tree.ts';
import { flameGraph } from '#src/profile/flame-graph.ts';
import type { Stats } from '#src/stats.ts';
import { repoRoot } from './support/cache.ts';
import { type Outcome, plainEnvironment, runTsemu, type Tier, tsemuCommand } from './support/run.ts';

const folder = mkdtempSync(join(tmpdir(), 'tsemu-profile-'));
afterAll(() => rmSync(folder, { recursive: true }));
const fixture = (name: string): string => join(repoRoot, 'fixtures/arm', name);
let outputs = 0;
const output = (ending: string): string => join(folder, `${++outputs}${ending}`);

async function statsOf(program: string, tier: Tier): Promise<Stats> {
  const file = output('.json');
  expect(await runTsemu(['--stats-json', file, fixture(program)], { tier })).toMatchObject({ status: 0 });
  return JSON.parse(readFileSync(file, 'utf8')) as Stats;
}

describe('statistics', () => {
  // qemu-arm -d exec with one instruction a block shows as many of arith and arith-t32; the rest is in hotspots.S.
  const loop = (count: number): number => 2 + 3 * count;
  test.each([
    ['arith', ['interp', 'region', 'auto'], 405],
    ['arith-t32', ['interp', 'region', 'auto'], 443],
    ['hotspots', ['interp', 'region', 'auto'], 9 + 20 * (loop(400_000) + loop(20_000) + 6) + 3],
  ] as const)('%s: the instructions of each tier add up to all that ran', async (program, tiers, expected) => {
    for (const tier of tiers) {
      const { instructions } = await statsOf(program, tier);
      expect({ tier, all: instructions.interpreter + instructions.regions }).toEqual({ tier, all: expected });
      if (tier === 'interp') expect(instructions.regions).toBe(0);
      if (tier === 'region') expect(instructions.interpreter).toBe(0);
    }
  });

  test('what the engine did is counted', async () => {
    const { engine, exits } = await statsOf('hotspots', 'region');
    expect(engine).toMatchObject({ syscalls: 2, served: 1, flushes: 0 });
    expect(engine.modules).toBeGreaterThan(0);
    expect(exits).toMatchObject({ syscall: 1, hot: engine.modules });
    expect(exits.miss).toBeGreaterThan(0);
  });

  test('the text goes to stderr and the exit code stays', async () => {
    const { status, stdout, stderr } = await runTsemu(['--stats', fixture('exit42')]);
    expect({ status, stdout: stdout.toString() }).toEqual({ status: 42, stdout: '' });
    expect(stderr.toString()).toMatch(/^tsemu: guest instructions\n {2}all +3\n {2}interpreter +3 +100\.0 %\n/);
    expect(stderr.toString()).toMatch(/^ {2}system calls +1 {2}0 of them served without leaving\n/m);
  });
});

/** A .cpuprofile file. */
interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
    readonly hitCount: number;
    readonly children: readonly number[];
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
  readonly startTime: number;
  readonly endTime: number;
}

const readProfile = (file: string): CpuProfile => JSON.parse(readFileSync(file, 'utf8')) as CpuProfile;

/** Samples in functions of this name, calls to others left out. */
const hitsOf = ({ nodes }: CpuProfile, name: RegExp): number =>
  nodes.reduce((sum, { callFrame, hitCount }) => sum + (name.test(callFrame.functionName) ? hitCount : 0), 0);

describe('profiles', () => {
  test.each(['interp', 'region', 'auto'] as const)('the hot function has most samples: %s', async (tier) => {
    const file = output('.cpuprofile');
    const more = tier === 'interp' ? [] : ['longer'];
    const { status, stdout, stderr } = await runTsemu(['--profile', file, fixture('hotspots'), ...more], { tier });
    expect([status, stdout.toString(), stderr.toString()]).toEqual([0, 'ready\n', '']);
    const profile = readProfile(file);
    const hot = hitsOf(profile, /^hot\b/);
    // It runs twenty times as long; how many samples that makes depends on the machine.
    expect(hot).toBeGreaterThan(2 * hitsOf(profile, /^cool\b/));
    const node = profile.nodes.find(({ callFrame }) => /^hot\b/.test(callFrame.functionName))!;
    expect(node.callFrame).toMatchObject({ url: fixture('hotspots'), lineNumber: -1 });
    const above = profile.nodes.find(({ children }) => children.includes(node.id))!.callFrame.functionName;
    expect(above).toMatch(tier === 'interp' ? /^\(interpreter\)$/ : /^(_start.*|\(interpreter\)|\(root\))$/);
  });

  test('a .cpuprofile is consistent in itself', async () => {
    const file = output('.cpuprofile');
    await runTsemu(['--profile', file, fixture('warmup')]);
    const { nodes, samples, timeDeltas, startTime, endTime } = readProfile(file);
    const ids = nodes.map(({ id }) => id);
    expect(new Set(ids).size).toBe(nodes.length);
    const children = nodes.flatMap((node) => node.children);
    expect(children.toSorted((a, b) => a - b)).toEqual(ids.slice(1));
    expect(nodes[0].callFrame.functionName).toBe('(root)');
    expect(samples.length).toBe(timeDeltas.length);
    expect(samples.filter((id) => !ids.includes(id))).toEqual([]);
    for (const { id, hitCount } of nodes) expect(samples.filter((sample) => sample === id).length).toBe(hitCount);
    expect(Math.min(...timeDeltas)).toBeGreaterThanOrEqual(0);
    const sum = timeDeltas.reduce((all, delta) => all + delta, 0);
    expect(startTime + sum).toBe(endTime);
    // What tsemu itself does shows under its own names.
    const names = nodes.map(({ callFrame }) => callFrame.functionName);
    expect(names).toContain('(translate)');
    expect(names.filter((name) => name.startsWith('(syscall '))).not.toEqual([]);
  });

  test('a flame graph names the functions', async () => {
    const file = output('.svg');
    const { status } = await runTsemu(['--profile', file, fixture('hotspots'), 'longer'], { tier: 'region' });
    expect(status).toBe(0);
    const text = readFileSync(file, 'utf8');
    expect(malformed(text)).toBe(null);
    expect(text).toMatch(/<title>hot(\+0x\w+)?: [\d.]+ m?s, [\d.]+ %; in itself [\d.]+ %\n/);
  });

  test('a fatal signal writes it too, and is still one', async () => {
    const file = output('.svg');
    const { signal, stderr } = await runTsemu(['--profile', file, fixture('null-deref')]);
    expect(signal).toBe('SIGSEGV');
    expect(stderr.toString()).toContain('SIGSEGV');
    expect(malformed(readFileSync(file, 'utf8'))).toBe(null);
  });

  test.skipIf(process.platform === 'win32')('so does Ctrl-C', async () => {
    const file = output('.cpuprofile');
    const [command, args] = tsemuCommand(['--profile', file, fixture('hotspots'), 'for', 'ever']);
    const child = spawn(command, args, { env: plainEnvironment, stdio: ['ignore', 'pipe', 'inherit'] });
    child.stdout.on('data', () => child.kill('SIGINT'));
    const signal = await new Promise((resolve) => child.on('exit', (_, name) => resolve(name)));
    expect(signal).toBe('SIGINT');
    expect(readProfile(file).samples.length).toBeGreaterThan(0);
  });

  test.each([
    ['--profile', '.svg'],
    ['--stats-json', '.json'],
  ])('a file for %s that cannot be written is a mistake of the user’s', async (option, ending) => {
    const file = join(folder, 'nowhere', `x${ending}`);
    const { status, stdout, stderr }: Outcome = await runTsemu([option, file, fixture('hello')]);
    expect({ status, stdout: stdout.toString() }).toEqual({ status: 1, stdout: '' });
    expect(stderr.toString()).toMatch(/^tsemu-arm: --\S+ \S+: ENOENT.*\n$/);
    expect(existsSync(file)).toBe(false);
  });
});

const frame = (name: string): Frame => ({ name, group: 'regions', url: '' });

test('samples are thinned out in long runs, and their time stays', () => {
  const profile = new Profile();
  const a = profile.tree.node([frame('a')]).id;
  const b = profile.tree.node([frame('a'), frame('b')]).id;
  const count = 3_000_000;
  for (let i = 0; i < count; i++) profile.add(1000 + i, i % 3_000 < 1_000 ? a : b);
  expect(profile.samples.length).toBeLessThan(1 << 20);
  expect(profile.halvings).toBeGreaterThan(1);
  const self = profile.selfTimes();
  expect(Math.abs(self[a - 1] / count - 1 / 3)).toBeLessThan(0.01);
  expect(Math.abs(self[b - 1] / count - 2 / 3)).toBeLessThan(0.01);
});

test('calls deeper than a tree may have nodes count for their callers', () => {
  const tree = new CallTree();
  for (let i = 0; i < 300_000; i++) tree.node([frame('a'), frame(`callee ${i}`)]);
  expect(tree.nodes.length).toBe(200_000);
  expect(tree.node([frame('a'), frame('another')]).frame.name).toBe('a');
});

test('names with special characters make a well-formed flame graph', () => {
  const profile = new Profile();
  profile.add(0, profile.tree.node([frame('operator<< <"&\u0001\u{10ffff}">')]).id);
  profile.add(5, 1);
  const text = flameGraph(profile, '<&"]]>');
  expect(malformed(text)).toBe(null);
  expect(text).toContain('operator&#60;&#60; &#60;&#34;&#38;?');
});

/** What is wrong with an XML file, or null. */
function malformed(text: string): string | null {
  const script = /<script><!\[CDATA\[([^]*?)\]\]>/.exec(text);
  if (script === null) return 'no script';
  new Script(script[1]);
  const open: string[] = [];
  const plain = text.replace(/^<\?xml [^?]*\?>/, '').replace(/<!\[CDATA\[[^]*?\]\]>/g, '');
  for (const [tag, close, name, attributes, empty, words] of plain.matchAll(
    /<(\/?)([a-z]+)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>|([^<]+)/g,
  )) {
    if (/&(?!#\d+;)|[^\P{Cc}\n]/u.test(tag)) return `bad character: ${tag}`;
    if (words !== undefined) continue;
    if (close === '') {
      if (/(\s[\w-]+=).*\1/.test(attributes)) return `attribute twice: ${tag}`;
      if (empty === '') open.push(name);
    } else if (open.pop() !== name) return `closes what is not open: ${tag}`;
  }
  const rest = plain.replace(/<(\/?)([a-z]+)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>|[^<]+/g, '');
  return open.length > 0 || rest !== '' ? `left over: ${open.join()} ${rest}` : null;
}
