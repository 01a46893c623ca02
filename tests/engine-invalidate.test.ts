import { describe, expect, test } from 'vitest';
import { Engine, type Tier } from '#accel/engine.ts';
import { GuestMemory } from '#accel/guest-memory.ts';
import { buildInterpreter } from '#accel/interpreter.ts';
import type { CodeStore } from '#accel/stored/stored-code.ts';
import { armState } from '#target/arm/state.ts';
import { armTarget } from '#target/arm/target.ts';
import { cpuHeader, ExitReason } from '#tcg/cpu-page.ts';
import { Prng } from './random/prng.ts';

/** A guest that rewrites its functions by a system call in the midst of them, against a plain reading of its memory. */

const mainStart = 0x10000;
const functionsStart = 0x20000;
/** Two functions to a page; the last words of each are in the next one's way, if at all. */
const functionBytes = 0x800;
const functions = 12;
const stackTop = 0x40000;
const finish = 0xff;

const addressOf = (index: number): number => functionsStart + index * functionBytes;
const branch = (link: boolean, from: number, to: number): number =>
  ((link ? 0xeb000000 : 0xea000000) | (((to - from - 8) >> 2) & 0xffffff)) >>> 0;
const addR0 = (value: number): number => 0xe2800000 | value;
const [bxLr, pushLr, popPc, subsR4] = [0xe12fff1e, 0xe52de004, 0xe49df004, 0xe2544001];
const svc = (number: number): number => (0xef000000 | number) >>> 0;

type Words = [address: number, words: number[]];

/** A new body of a function: calls only later ones. Its system call stands in the same place in every body. */
function newBody(rng: Prng, index: number): Words {
  const start = addressOf(index);
  const words = [pushLr, addR0(rng.below(256)), rng.chance(30) ? svc(rng.below(functions)) : addR0(1)];
  const later = functions - 1 - index;
  const at = (): number => start + 4 * words.length;
  if (later > 0 && rng.chance(70)) words.push(branch(true, at(), addressOf(index + 1 + rng.below(later))));
  words.push(addR0(rng.below(256)), popPc);
  if (rng.chance(30)) words.splice(words.length - 1, 1, 0xe49de004, bxLr);
  return [start, words];
}

function mainProgram(): Words {
  const words: number[] = [];
  for (let i = 0; i < functions; i += 3) words.push(branch(true, mainStart + 4 * words.length, addressOf(i)));
  words.push(subsR4, (0x1a000000 | ((-words.length - 3) & 0xffffff)) >>> 0, svc(finish));
  return [mainStart, words];
}

/** What the guest's system call does: now and then, a function gets a new body. */
class Rewriter {
  private readonly rng: Prng;
  private readonly every: number;
  private readonly write: (words: Words) => void;
  private calls = 0;

  constructor(seed: number, every: number, write: (words: Words) => void) {
    this.rng = new Prng(seed);
    this.every = every;
    this.write = write;
    write(mainProgram());
    for (let i = 0; i < functions; i++) write(newBody(this.rng, i));
  }

  call(index: number): void {
    if (++this.calls % this.every === 0) this.write(newBody(this.rng, index));
  }
}

function expected(seed: number, every: number, iterations: number): number {
  const memory = new Map<number, number>();
  const rewriter = new Rewriter(seed, every, ([start, words]) =>
    words.forEach((word, i) => memory.set(start + 4 * i, word)),
  );
  const stack: number[] = [];
  let [r0, r4, lr] = [0, iterations, 0];
  for (let pc = mainStart; ; ) {
    const word = memory.get(pc)!;
    const target = pc + 8 + ((word << 8) >> 6);
    pc += 4;
    if (word === pushLr) stack.push(lr);
    else if (word === popPc) pc = stack.pop()!;
    else if (word === 0xe49de004) lr = stack.pop()!;
    else if (word === bxLr) pc = lr;
    else if (word === subsR4) r4--;
    else if (word >>> 8 === 0xe28000) r0 = (r0 + (word & 255)) | 0;
    else if (word >>> 24 === 0xeb) [lr, pc] = [pc, target];
    else if (word >>> 24 === 0x1a) pc = r4 === 0 ? pc : target;
    else if (word === svc(finish)) return r0;
    else rewriter.call(word & 255);
  }
}

const interpreter = buildInterpreter();

function run(tier: Tier, seed: number, every: number, iterations: number, store?: CodeStore) {
  const memory = new GuestMemory();
  memory.protect(mainStart, stackTop, 7);
  const engine = new Engine(armTarget, memory, { interpreter, tier, ...(store && { store }) });
  engine.textAt = () => ({ name: `seed ${seed}`, start: mainStart, end: stackTop });
  const rewriter = new Rewriter(seed, every, ([start, words]) => {
    words.forEach((word, i) => memory.store32(start + 4 * i, word));
    engine.invalidate(start, start + 4 * words.length);
  });
  const { i32 } = memory.cpu;
  armTarget.reset(memory.cpu, mainStart, stackTop);
  i32[armState.offset('r', 4) >> 2] = iterations;
  engine.serveSyscall = () => {
    const index = i32[cpuHeader.offset('exitArg') >> 2];
    if (index === finish) return false;
    rewriter.call(index);
    return true;
  };
  let reason = engine.run();
  while (reason === ExitReason.budget) reason = engine.run();
  expect(reason).toBe(ExitReason.syscall);
  engine.keepCode();
  return { r0: i32[armState.offset('r', 0) >> 2], stats: engine.stats };
}

describe.each<Tier>(['interp', 'region', 'auto'])('a guest that rewrites itself, tier %s', (tier) => {
  test('often', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { r0, stats } = run(tier, seed, 3, 100);
      expect([seed, r0]).toEqual([seed, expected(seed, 3, 100)]);
      expect(stats.flushes).toBe(0);
    }
  });

  test('rarely, between long runs', () => {
    const { r0, stats } = run(tier, 7, 5000, 60_000);
    expect(r0).toBe(expected(7, 5000, 60_000));
    expect(stats.invalidations).toBeGreaterThan(1);
    if (tier !== 'interp') expect(stats.modules).toBeGreaterThan(1);
  });
});

describe.each<Tier>(['interp', 'auto'])(
  'a guest that rewrites itself, with code of an earlier run, tier %s',
  (tier) => {
    test.each([
      ['often', 3, 100],
      ['after it has run long', 20_000, 60_000],
    ])('%s', (_, every, iterations) => {
      let invalidations = 0;
      for (let seed = 1; seed <= 4; seed++) {
        const store = new Map<string, Int32Array>();
        const kept: CodeStore = {
          load: (name) => store.get(name) ?? null,
          save: (name, units) => store.set(name, units),
        };
        const first = run(tier, seed, Infinity, 3, kept);
        expect([seed, first.r0]).toEqual([seed, expected(seed, Infinity, 3)]);
        expect(first.stats.blocks).toBeGreaterThan(0);
        const second = run(tier, seed, Infinity, 3, kept);
        expect([seed, second.r0, second.stats.blocks]).toEqual([seed, first.r0, 0]);
        const third = run(tier, seed, every, iterations, kept);
        expect([seed, third.r0]).toEqual([seed, expected(seed, every, iterations)]);
        invalidations += third.stats.invalidations;
      }
      expect(invalidations).toBeGreaterThan(0);
    });
  },
);

describe.each<Tier>(['interp', 'region'])(
  'what a translation rests on besides its own instructions, tier %s',
  (tier) => {
    const dataPage = mainStart + 0x1000;

    /** A guest with one page of code, run until its system call; the engine is kept. */
    function start(words: number[]): { memory: GuestMemory; engine: Engine; go: () => ExitReason } {
      const memory = new GuestMemory();
      const engine = new Engine(armTarget, memory, { interpreter: buildInterpreter(), tier });
      memory.protect(mainStart, mainStart + 0x1000, 3);
      words.forEach((word, i) => memory.store32(mainStart + 4 * i, word));
      memory.protect(mainStart, mainStart + 0x1000, 5);
      const go = (): ExitReason => {
        armTarget.reset(memory.cpu, mainStart, stackTop);
        return engine.run();
      };
      return { memory, engine, go };
    }

    test('a literal in another page', () => {
      // ldr r0, [pc, #0xff8]; svc #0xff: the literal is the first word of the next page.
      const { memory, engine, go } = start([0xe59f0ff8, svc(finish)]);
      for (const value of [17, 18]) {
        memory.protect(dataPage, dataPage + 0x1000, 3);
        memory.store32(dataPage, value);
        memory.protect(dataPage, dataPage + 0x1000, 5);
        engine.invalidate(dataPage, dataPage + 0x1000);
        expect(go()).toBe(ExitReason.syscall);
        expect(memory.cpu.i32[armState.offset('r', 0) >> 2]).toBe(value);
      }
    });

    test('there being nothing to fetch', () => {
      // b to the next page, which is not there at first.
      const { memory, engine, go } = start([branch(false, mainStart, dataPage)]);
      expect(go()).toBe(ExitReason.fetchFault);
      memory.protect(dataPage, dataPage + 0x1000, 3);
      memory.store32(dataPage, svc(finish));
      memory.protect(dataPage, dataPage + 0x1000, 5);
      engine.invalidate(dataPage, dataPage + 0x1000);
      expect(go()).toBe(ExitReason.syscall);
    });

    test('that a function sets the flags before it reads them', () => {
      // movs r2, #0; bl to the next page; svc
      const { memory, engine, go } = start([0xe3b02000, branch(true, mainStart + 4, dataPage), svc(finish)]);
      const { i32 } = memory.cpu;
      // Too long to be inlined: cmp r0, #1; nop, often; moveq r1, #1; bx lr. Then the same without the comparison.
      const filler = new Array<number>(80).fill(0xe320f000);
      for (const [first, wanted] of [
        [0xe3500001, 0],
        [0xe320f000, 1],
      ]) {
        memory.protect(dataPage, dataPage + 0x1000, 3);
        [first, ...filler, 0x03a01001, bxLr].forEach((word, i) => memory.store32(dataPage + 4 * i, word));
        memory.protect(dataPage, dataPage + 0x1000, 5);
        engine.invalidate(dataPage, dataPage + 0x1000);
        for (let turn = 0; turn < 2; turn++) {
          expect(go()).toBe(ExitReason.syscall);
          expect(i32[armState.offset('r', 1) >> 2]).toBe(wanted);
        }
      }
    });
  },
);
