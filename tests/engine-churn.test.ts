import { expect, test } from 'vitest';
import { Engine, type EngineHoldings, type Tier } from '#accel/engine.ts';
import { GuestMemory } from '#accel/guest-memory.ts';
import { buildInterpreter } from '#accel/interpreter.ts';
import { maxDeadCode } from '#accel/tunables.ts';
import { armState } from '#target/arm/state.ts';
import { armTarget } from '#target/arm/target.ts';
import { ExitReason } from '#tcg/cpu-page.ts';

/*
 * A guest that has its function written anew, in another place, and calls it, over and over, as a JIT compiler does.
 * What the engine keeps must not grow with the number of functions.
 */

const mainStart = 0x10000;
const helperStart = 0x11000;
const literal = 0x12000;
const functionsStart = 0x20000;
const places = 32;
const placeBytes = 0x2000;
const stackTop = 0x80000;
/** Additions of the code that runs once: it is there to fill the interpreter's code. */
const onceOf: Record<Tier, number> = { interp: 400, region: 0, auto: 400 };
/** Calls of each function: a function that is not compiled at once has to become hot. */
const callsOf: Record<Tier, number> = { interp: 5, region: 5, auto: 5000 };
const roundsOf: Record<Tier, number> = { interp: 300, region: 120, auto: 300 };

const interpreter = buildInterpreter();
const branchLink = (from: number, to: number): number => (0xeb000000 | (((to - from - 8) >> 2) & 0xffffff)) >>> 0;

/** bl once; bl function; subs r4, r4, #1; bne to the second bl; svc #0 */
const mainWords = (place: number, once: number): number[] => [
  branchLink(mainStart, once),
  branchLink(mainStart + 4, place),
  0xe2544001,
  0x1afffffc,
  0xef000000,
];

/** Adds and stores, again and again. */
function onceWords(additions: number, value: number): number[] {
  const words: number[] = [];
  for (let i = 0; i < additions; i++) words.push(0xe2800000 | (value & 255), 0xe50d0008); // add r0, #; str r0, [sp, #-8]
  return [...words, 0xe12fff1e]; // bx lr
}

/** A function that adds and stores, calls the helper, and reads a literal out of a page of constants. */
function functionWords(place: number, value: number): number[] {
  const words = [0xe52de004, 0xe2800000 | (value & 255), 0xe50d0008]; // push {lr}; add r0, r0, #; str r0, [sp, #-8]
  words.push(branchLink(place + 4 * words.length, helperStart));
  words.push(0xe3021000, 0xe3401001, 0xe5911000, 0xe0800001); // movw, movt r1, #0x12000; ldr r1, [r1]; add r0, r0, r1
  words.push(0xe49df004); // pop {pc}
  return words;
}

/** Runs the guest; gives the largest number of each holding at the end of a round. */
function churn(tier: Tier): { engine: Engine; most: EngineHoldings } {
  const memory = new GuestMemory();
  memory.protect(mainStart, literal, 7);
  memory.protect(literal, literal + 0x1000, 3);
  memory.store32(literal, 7);
  memory.protect(literal, literal + 0x1000, 1);
  memory.protect(functionsStart, stackTop, 7);
  const write = (start: number, words: readonly number[]): void =>
    words.forEach((word, i) => memory.store32(start + 4 * i, word));
  write(helperStart, [0xe2800003, 0xe12fff1e]); // add r0, r0, #3; bx lr
  const engine = new Engine(armTarget, memory, { interpreter, tier });
  const { i32 } = memory.cpu;
  const r0 = armState.offset('r', 0) >> 2;
  const most = engine.holdings;
  let expected = 0;
  for (let round = 0; round < roundsOf[tier]; round++) {
    const place = functionsStart + (round % places) * placeBytes;
    const once = place + 0x100;
    for (const [start, words] of [
      [mainStart, mainWords(place, once)],
      [place, functionWords(place, round)],
      [once, onceWords(onceOf[tier], round)],
    ] as const) {
      write(start, words);
      engine.invalidate(start, start + 4 * words.length);
    }
    armTarget.reset(memory.cpu, mainStart, stackTop);
    // The first one is long enough for the engine to begin to compile.
    const calls = (round === 0 ? 100 : 1) * callsOf[tier];
    i32[r0] = expected;
    i32[armState.offset('r', 4) >> 2] = calls;
    let reason = engine.run();
    while (reason === ExitReason.budget) reason = engine.run();
    expect(reason).toBe(ExitReason.syscall);
    expected = (expected + onceOf[tier] * (round & 255) + calls * ((round & 255) + 3 + 7)) | 0;
    expect(i32[r0]).toBe(expected);
    const { holdings } = engine;
    for (const name of Object.keys(most) as (keyof EngineHoldings)[]) most[name] = Math.max(most[name], holdings[name]);
  }
  return { engine, most };
}

test.each<Tier>(['interp', 'region', 'auto'])('what is kept of code that is gone, tier %s', (tier) => {
  const { engine, most } = churn(tier);
  expect(engine.stats.invalidations).toBeGreaterThan(roundsOf[tier]);
  expect(engine.stats.flushes).toBe(0);
  // A round's dead code comes on top of what may be dead.
  expect(most.deadBytes).toBeLessThan(maxDeadCode + (1 << 20));
  expect(most.codeBytes).toBeLessThan(maxDeadCode + (2 << 20));
  expect(most.outlines).toBeLessThan(40 * places);
  expect(most.listed).toBeLessThan(3 * most.outlines + 4 * most.modules);
  expect(most.functions).toBeLessThan(3 * places);
  expect(most.slots).toBeLessThan(4 * places);
  expect(most.modules).toBeLessThan(3 * places);
  expect(most.trapSites).toBeLessThan(3 * places);
  expect(most.sites).toBeLessThan(10 * places);
  if (tier !== 'interp') expect(engine.stats.modules).toBeGreaterThanOrEqual(roundsOf[tier]);
});
