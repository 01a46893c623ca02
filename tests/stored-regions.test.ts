import { describe, expect, test } from 'vitest';
import { Engine } from '#accel/engine.ts';
import { GuestMemory } from '#accel/guest-memory.ts';
import { buildInterpreter } from '#accel/interpreter.ts';
import type { CodeStore } from '#accel/stored/stored-code.ts';
import { armState } from '#target/arm/state.ts';
import { armTarget } from '#target/arm/target.ts';
import { cpuHeader, ExitReason } from '#tcg/cpu-page.ts';
import { Prng } from './random/prng.ts';
import { cp15, move, powerOff, runBare } from './support/bare-machine.ts';

/* Compiled regions of earlier runs (`accel/stored/stored-regions.ts`). */

class Store implements CodeStore {
  readonly saved = new Map<string, Int32Array>();

  load(name: string): Int32Array | null {
    return this.saved.get(name) ?? null;
  }

  save(name: string, units: Int32Array): void {
    this.saved.set(name, units.slice());
  }

  /** A copy with the regions changed. */
  with(change: (words: Int32Array) => Int32Array): Store {
    const copy = new Store();
    for (const [name, words] of this.saved)
      copy.saved.set(name, name.endsWith(':regions') ? change(words.slice()) : words);
    return copy;
  }

  get regions(): Int32Array {
    const [words] = [...this.saved].filter(([name]) => name.endsWith(':regions')).map(([, saved]) => saved);
    if (!words) throw new Error('no regions were kept');
    return words;
  }
}

describe('a program', () => {
  const interpreter = buildInterpreter();
  const textStart = 0x10000;
  const text = { name: 'text', start: textStart, end: textStart + 0x1000 };
  const dataPage = 0x20000;
  const rounds = 20_000;
  /** r0: sum of f(r3) = 2 × r3 + 1 for r3 from `rounds` down to 1, f's 1 by a literal; then a load from r2; svc. */
  const program = [
    0xe59f3030, // ldr r3, =rounds
    0xe3a00000, // mov r0, #0
    0xe1a01003, // loop: mov r1, r3
    0xeb000004, // bl f
    0xe0800001, // add r0, r0, r1
    0xe2533001, // subs r3, r3, #1
    0x1afffffa, // bne loop
    0xe5924000, // ldr r4, [r2]
    0xef000000, // svc
    0xe59f4014, // f: ldr r4, =1
    0xe0844081, // add r4, r4, r1, lsl #1
    0xe5824004, // str r4, [r2, #4]
    0xe5921004, // ldr r1, [r2, #4]
    0xe12fff1e, // bx lr
    rounds,
    0,
    1,
  ];

  /** Runs it, patched, in a new engine; `exact`: with exact state, so that its accesses are checked. */
  function go(store: Store, { r2 = dataPage, patch = {} as Record<number, number>, exact = false } = {}) {
    const memory = new GuestMemory();
    memory.protect(textStart, text.end, 3);
    program.forEach((word, i) => memory.store32(textStart + 4 * i, patch[i] ?? word));
    memory.protect(textStart, text.end, 5);
    memory.protect(dataPage, dataPage + 0x1000, 3);
    const engine = new Engine(armTarget, memory, { interpreter, tier: 'auto', store });
    engine.textAt = () => text;
    if (exact) engine.setExactState(true);
    engine.warmUp();
    armTarget.reset(memory.cpu, textStart, 0);
    memory.cpu.i32[(armState.offset('r') >> 2) + 2] = r2;
    let reason = engine.run();
    while (reason === ExitReason.budget) reason = engine.run();
    engine.keepCode();
    const pc = memory.cpu.i32[cpuHeader.offset('pc') >> 2]!;
    const { regions, moduleBytes } = engine.stats;
    return { r0: memory.cpu.i32[armState.offset('r') >> 2]!, reason, pc, regions, compiled: moduleBytes > 0 };
  }

  const sum = rounds * (rounds + 1) + rounds;
  const usual = { r0: sum, reason: ExitReason.syscall, pc: textStart + 36 };

  test.each([false, true])('is not compiled again, exact state %s', (exact) => {
    const store = new Store();
    const cold = go(store, { exact });
    expect(cold).toMatchObject({ ...usual, compiled: true });
    expect(cold.regions).toBeGreaterThan(0);
    expect(go(store, { exact })).toMatchObject({ ...usual, compiled: false });
    // What was made for other conditions is of no use.
    expect(go(store, { exact: !exact })).toMatchObject({ ...usual, compiled: true });
    expect(go(store, { exact })).toMatchObject({ ...usual, compiled: false });
    expect(go(store, { exact: !exact })).toMatchObject({ ...usual, compiled: false });
  });

  test('a fault in a region of an earlier run names its instruction and address', () => {
    const store = new Store();
    go(store, { exact: true });
    const fault = { r0: 0, reason: ExitReason.fault, pc: textStart + 44 };
    expect(go(store, { exact: true, r2: 0x30000 })).toMatchObject(fault);
  });

  test.each([
    ['an instruction', 10, 0xe0844001, rounds * (rounds + 1) * 0.5 + rounds], // add r4, r4, r1
    ['a literal', 16, 3, sum + 2 * rounds],
  ])('is compiled again where %s is another', (_, index, word, r0) => {
    const store = new Store();
    go(store);
    const patch = { [index]: word };
    expect(go(store, { patch })).toMatchObject({ ...usual, r0, compiled: true });
    expect(go(store, { patch })).toMatchObject({ ...usual, r0, compiled: false });
    expect(go(store)).toMatchObject({ ...usual, compiled: false });
  });

  test('nothing that a store has is trusted', () => {
    const store = new Store();
    go(store);
    const { length } = store.regions;
    const rng = new Prng(1);
    for (let i = 0; i < 60; i++) {
      const at = i < 16 ? i : rng.below(length);
      const flipped = store.with((words) => words.fill(words[at]! ^ (1 << rng.below(32)), at, at + 1));
      expect([at, go(flipped)]).toMatchObject([at, usual]);
    }
    for (let i = 0; i < 12; i++) {
      const cut = store.with((words) => words.slice(0, Math.floor((length * i) / 12)));
      expect(go(cut)).toMatchObject({ ...usual, compiled: true });
    }
  });
});

describe('a machine', () => {
  const fn = 0x40002000;
  /** r4: calls of `fn` (r0 = 1) with sums, 300,000 rounds; then the same with another `fn` stored over it. */
  const rounds = 300_000;
  const loop = [
    ...move(2, fn),
    ...move(1, rounds),
    0xe12fff32, // blx r2
    0xe0844000, // add r4, r4, r0
    0xe2511001, // subs r1, r1, #1
    0x1afffffb, // bne -3
  ];
  const program = [
    0xe3a04000, // mov r4, #0
    ...loop,
    0xe1a05004, // mov r5, r4
    ...move(3, 0xe3a00002), // mov r0, #2
    0xe5823000, // str r3, [r2]
    cp15(3, 7, 5, 0), // ICIALLU
    ...loop,
    ...powerOff,
  ];

  async function run(store: Store, first = 0xe3a00001) {
    const data = { [fn]: [first, 0xe12fff1e] };
    const { registers, machine } = await runBare(program, 'auto', data, { store, storeName: 'bare' });
    machine.engine.keepCode();
    return { r5: registers[5], r4: registers[4], compiled: machine.engine.stats.moduleBytes > 0 };
  }

  test('is not compiled again, and code that has changed is', async () => {
    const store = new Store();
    const usual = { r5: rounds, r4: 3 * rounds };
    expect(await run(store)).toEqual({ ...usual, compiled: true });
    await run(store);
    expect(await run(store)).toEqual({ ...usual, compiled: false });
    expect(await run(store, 0xe3a00005)).toMatchObject({ r5: 5 * rounds, r4: 7 * rounds });
    const damaged = store.with((words) => words.map((word, i) => (i % 50 === 40 ? ~word : word)));
    expect(await run(damaged)).toMatchObject(usual);
  });
});
