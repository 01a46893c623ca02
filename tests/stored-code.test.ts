import { describe, expect, test } from 'vitest';
import { Engine } from '#accel/engine.ts';
import { GuestMemory } from '#accel/guest-memory.ts';
import { buildInterpreter } from '#accel/interpreter.ts';
import type { CodeStore } from '#accel/stored/stored-code.ts';
import { makeUnit, type StoredBlock, splitUnits } from '#accel/stored/unit.ts';
import { maxUnits } from '#accel/tunables.ts';
import { armState } from '#target/arm/state.ts';
import { armTarget } from '#target/arm/target.ts';
import { cpuHeader, ExitReason } from '#tcg/cpu-page.ts';
import { Prng } from './random/prng.ts';

const interpreter = buildInterpreter();
const textStart = 0x10000;
const text = { name: 'text', start: textStart, end: textStart + 0x1000 };
const dataPage = 0x20000;

/**
 * r0 = 10 + 9 + … + 1 by a conditional loop and a literal, then by the function that r1 chooses; a load from r2, which
 * faults if it is 0; svc.
 */
const program = [
  0xe59f3030, // ldr r3, [pc, #48]: the literal
  0xe3a00000, // mov r0, #0
  0xe0800003, // add r0, r0, r3
  0xe2533001, // subs r3, r3, #1
  0x1afffffc, // bne -4 instructions
  0xe3510000, // cmp r1, #0
  0x0a000001, // beq a
  0xe2800064, // add r0, r0, #100
  0xea000000, // b over
  0xe2800f7d, // a: add r0, r0, #500
  0xe5924000, // over: ldr r4, [r2]
  0xef000000, // svc
  0, // unused, and what comes before the literal at 56
  0,
  10,
];

class Store implements CodeStore {
  readonly units = new Map<string, Int32Array>();
  saves = 0;
  load(name: string): Int32Array | null {
    return this.units.get(name) ?? null;
  }
  save(name: string, units: Int32Array): void {
    this.units.set(name, units);
    this.saves++;
  }
}

interface Run {
  r0: number;
  reason: ExitReason;
  pc: number;
  /** Blocks that were translated. */
  blocks: number;
}

/** Runs the program, patched, in a new engine. */
function go(store: Store, r1 = 0, r2 = dataPage, patch: Record<number, number> = {}, words = program): Run {
  const memory = new GuestMemory();
  memory.protect(textStart, text.end, 3);
  words.forEach((word, i) => memory.store32(textStart + 4 * i, patch[i] ?? word));
  memory.protect(textStart, text.end, 5);
  memory.protect(dataPage, dataPage + 0x1000, 3);
  memory.store32(dataPage, 1);
  const engine = new Engine(armTarget, memory, { interpreter, tier: 'auto', store });
  engine.textAt = () => text;
  armTarget.reset(memory.cpu, textStart, 0);
  const register = (n: number): number => armState.offset('r', n) >> 2;
  memory.cpu.i32[register(1)] = r1;
  memory.cpu.i32[register(2)] = r2;
  const reason = engine.run();
  engine.keepCode();
  const pc = memory.cpu.i32[cpuHeader.offset('pc') >> 2];
  return { r0: memory.cpu.i32[register(0)], reason, pc, blocks: engine.stats.blocks };
}

const { syscall, fault } = ExitReason;
const svcPc = textStart + 48;

describe('code of earlier runs', () => {
  test('a second run translates nothing, and other ways through the program only what is new', () => {
    const store = new Store();
    const cold = go(store);
    expect(cold).toEqual({ r0: 555, reason: syscall, pc: svcPc, blocks: cold.blocks });
    expect(cold.blocks).toBeGreaterThan(3);
    expect(go(store)).toEqual({ ...cold, blocks: 0 });
    expect(store.saves).toBe(1);
    const other = go(store, 1);
    expect(other).toEqual({ ...cold, r0: 155, blocks: other.blocks });
    expect(other.blocks).toBeGreaterThan(0);
    expect(other.blocks).toBeLessThan(cold.blocks);
    expect(go(store, 1).blocks + go(store).blocks).toBe(0);
  });

  test('a fault in it is told of like any other', () => {
    const store = new Store();
    const cold = go(store, 0, 0);
    expect(cold).toMatchObject({ r0: 555, reason: fault, pc: textStart + 40 });
    expect(go(store, 0, 0)).toEqual({ ...cold, blocks: 0 });
  });

  test.each([
    ['an instruction', 9, 0xe2800001, 56],
    ['a literal', 14, 3, 506],
  ])('it is not used where %s is another', (_, index, word, r0) => {
    const store = new Store();
    const { blocks } = go(store);
    expect(go(store, 0, dataPage, { [index]: word })).toMatchObject({ r0, reason: syscall, blocks });
    // What is not true any more has been replaced.
    expect(go(store, 0, dataPage, { [index]: word })).toMatchObject({ r0, blocks: 0 });
    expect(go(store)).toMatchObject({ r0: 555, blocks });
  });

  test('nothing that a store has is trusted', () => {
    const whole = new Store();
    const { blocks } = go(whole);
    const good = whole.units.get(text.name)!;
    const rng = new Prng(1);
    const damaged = (change: (words: Int32Array) => Int32Array): Run => {
      const store = new Store();
      store.units.set(text.name, change(good.slice()));
      return go(store);
    };
    const expected = { r0: 555, reason: syscall, pc: svcPc, blocks };
    for (let i = 0; i < 200; i++) {
      const at = rng.below(good.length);
      const flip = (words: Int32Array): Int32Array => words.fill(words[at] ^ (1 << rng.below(32)), at, at + 1);
      expect([at, damaged(flip)]).toEqual([at, expected]);
    }
    for (let at = 0; at < 20; at++) expect(damaged((words) => words.fill(-1, at, at + 1))).toEqual(expected);
    for (let length = 0; length < good.length; length += 7) {
      expect(damaged((words) => words.slice(0, length))).toEqual(expected);
    }
    expect(damaged((words) => words)).toEqual({ ...expected, blocks: 0 });
  });

  test('it is of one mode, and code of another does not lead to it', () => {
    const bothEnds = [
      0xe3a00000, // mov r0, #0
      0xeb000003, // bl add
      0xf1010200, // setend be
      0xeb000001, // bl add
      0xf1010000, // setend le
      0xef000000, // svc
      0xe5924000, // add: ldr r4, [r2]
      0xe0800004, // add r0, r0, r4
      0xe12fff1e, // bx lr
    ];
    const store = new Store();
    const cold = go(store, 0, dataPage, {}, bothEnds);
    expect(cold).toMatchObject({ r0: 0x0100_0001, reason: syscall });
    const warm = go(store, 0, dataPage, {}, bothEnds);
    expect(warm).toMatchObject({ r0: 0x0100_0001, reason: syscall });
    expect(warm.blocks).toBeGreaterThan(0);
    expect(warm.blocks).toBeLessThan(cold.blocks);
  });

  test('with exact state there is code of its own', () => {
    const store = new Store();
    const { blocks } = go(store);
    const memory = new GuestMemory();
    const engine = new Engine(armTarget, memory, { interpreter, tier: 'auto', store });
    engine.textAt = () => text;
    engine.setExactState(true);
    memory.protect(textStart, text.end, 3);
    program.forEach((word, i) => memory.store32(textStart + 4 * i, word));
    memory.protect(textStart, text.end, 5);
    armTarget.reset(memory.cpu, textStart, 0);
    expect(engine.run()).toBe(fault);
    engine.keepCode();
    expect(engine.stats.blocks).toBe(blocks);
    expect(store.units.size).toBe(2);
  });

  test('units are made one when there are many', () => {
    const store = new Store();
    const code = (function_: number): number[] => [0xe2800000 | function_, 0xef000000];
    const memory = new GuestMemory();
    memory.protect(textStart, text.end, 3);
    for (let i = 0; i < 20; i++) code(i).forEach((word, k) => memory.store32(textStart + 64 * i + 4 * k, word));
    memory.protect(textStart, text.end, 5);
    const counts: number[] = [];
    for (let i = 0; i < 20; i++) {
      const engine = new Engine(armTarget, memory, { interpreter, tier: 'auto', store });
      engine.textAt = () => text;
      for (let k = 0; k <= i; k++) {
        armTarget.reset(memory.cpu, textStart + 64 * k, 0);
        expect(engine.run()).toBe(syscall);
        expect(memory.cpu.i32[armState.offset('r', 0) >> 2]).toBe(k);
      }
      expect(engine.stats.blocks).toBe(1);
      engine.keepCode();
      counts.push(splitUnits(store.units.get(text.name)!).length);
    }
    expect(Math.max(...counts)).toBe(maxUnits);
    expect(counts).toContain(1);
    expect(splitUnits(store.units.get(text.name)!).reduce((sum, { blocks }) => sum + blocks, 0)).toBe(20);
  });
});

test('a unit gives its blocks back', () => {
  const block = (pc: number, links: number[]): StoredBlock => ({
    pc,
    start: (pc & ~1) >>> 0,
    end: ((pc & ~1) >>> 0) + 6,
    seen: ((pc & ~1) >>> 0) + 20,
    instructions: 3,
    runsOn: pc === 0x10001,
    narrowed: pc !== 0x10001,
    successors: links,
    calls: [0x10020],
    lazy: { read: 5, ways: [{ pc: 0x10031, set: 3 }] },
    words: Int32Array.from({ length: 8 }, (_, i) => (i >= 4 && i < 4 + links.length ? 0 : 100 + i)),
    marks: [0, pc, 0, 8, pc + 2, 5],
    links: links.map((to, i) => ({ address: 16 + 4 * i, pc: to })),
    indirectCalls: [{ address: 24, pc: 0x10003 }],
    targets: [8],
    constants: [[0x10100, 0x10103]],
  });
  const blocks = [block(0x10001, [0x10009, 0x10011]), block(0x10009, [0x10001]), block(0x8000_0000 | 0, [0x10009])];
  const [unit, ...others] = splitUnits(makeUnit(blocks, (address) => address));
  expect(others).toEqual([]);
  expect(unit.blocks).toBe(3);
  for (const each of blocks) expect(unit.block(unit.indexOf(each.pc))).toEqual(each);
  expect(unit.indexOf(0x1000b)).toBe(-1);
  expect([unit.overlaps(0, 0x10000), unit.overlaps(0x10004, 0x10005), unit.overlaps(0x20000, 0x30000)]).toEqual([
    false,
    true,
    false,
  ]);
});
