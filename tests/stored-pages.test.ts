import { expect, test } from 'vitest';
import type { CodeStore } from '#accel/stored/stored-code.ts';
import { bareStart, cp15, move, powerOff, runBare } from './support/bare-machine.ts';

/* Machine mode: interpreter code of earlier runs (`accel/stored/stored-pages.ts`). */

class Store implements CodeStore {
  readonly saved = new Map<string, Int32Array>();

  load(name: string): Int32Array | null {
    return this.saved.get(name) ?? null;
  }

  save(name: string, units: Int32Array): void {
    this.saved.set(name, units.slice());
  }
}

const fn = 0x40002000;
/** Sums 1 to 100 in r4, then calls `fn`, which sets r0; then stores another `fn` over it and calls that. */
const program = [
  ...move(2, 0x40800000),
  0xe3a01064, // mov r1, #100
  0xe3a04000, // mov r4, #0
  0xe0844001, // add r4, r4, r1
  0xe5824000, // str r4, [r2]
  0xe2511001, // subs r1, r1, #1
  0x1afffffb, // bne -3
  ...move(2, fn),
  0xe12fff32, // blx r2
  0xe1a05000, // mov r5, r0
  ...move(3, 0xe3a00002), // mov r0, #2
  0xe5823000, // str r3, [r2]
  cp15(3, 7, 5, 0), // ICIALLU
  0xe12fff32, // blx r2
  0xe1a06000, // mov r6, r0
  ...powerOff,
];
const first = { [fn]: [0xe3a00001, 0xe12fff1e] };

async function run(store: Store, code = program, data: Readonly<Record<number, number[]>> = first) {
  const { registers, machine } = await runBare(code, 'interp', data, { store, storeName: 'bare' });
  machine.engine.keepCode();
  return { results: [registers[4], registers[5], registers[6]], translated: machine.engine.stats.blocks };
}

test('what a run has translated is used by the next, and is the same', async () => {
  const store = new Store();
  const before = await run(store);
  expect(before.results).toEqual([5050, 1, 2]);
  expect(before.translated).toBeGreaterThan(5);
  expect(await run(store)).toEqual({ results: [5050, 1, 2], translated: 0 });
});

test('code that is not what it was is translated', async () => {
  const store = new Store();
  await run(store);
  const other = program.map((word) => (word === 0xe3a01064 ? 0xe3a0100a : word)); // mov r1, #10
  expect((await run(store, other)).results).toEqual([55, 1, 2]);
  expect((await run(store, program, { [fn]: [0xe3a00007, 0xe12fff1e] })).results).toEqual([5050, 7, 2]);
  expect((await run(store)).translated).toBe(0);
});

test('a fault in code of an earlier run names its instruction', async () => {
  const store = new Store();
  const vectors = 0x40001000;
  // Loads from where there is no page, with tables that map RAM alone: r4 becomes LR of the abort.
  const sections = Array.from({ length: 4096 }, (_, i) => (i >= 0x400 && i < 0x410 ? ((i << 20) | 0xc02) >>> 0 : 0));
  const data = {
    0x40004000: sections,
    [vectors]: [...[0xeafffffe, 0xeafffffe, 0xeafffffe, 0xeafffffe], 0xe1a0400e, ...powerOff], // mov r4, lr
  };
  const faulting = [
    ...move(1, 0x40004000),
    cp15(1, 2, 0, 0),
    ...move(1, 1),
    cp15(1, 3, 0, 0),
    ...move(1, vectors),
    cp15(1, 12, 0, 0),
    cp15(1, 1, 0, 0, 0, true),
    0xe3811001, // orr r1, r1, #1
    cp15(1, 1, 0, 0),
    ...move(2, 0x60000000),
    0xe3a05001, // mov r5, #1
    0xe5923000, // ldr r3, [r2]
  ];
  const lr = bareStart + 4 * (faulting.length - 1) + 8;
  expect((await run(store, faulting, data)).results[0]).toBe(lr);
  expect(await run(store, faulting, data)).toMatchObject({ results: [lr, 1, 0], translated: 0 });
});

test('what is in a store need not be true', async () => {
  const store = new Store();
  await run(store);
  const words = store.saved.get('bare')!;
  for (let at = 16; at < words.length; at += 41) {
    const damaged = new Store();
    damaged.saved.set(
      'bare',
      words.map((word, i) => (i === at ? word ^ 0x10 : word)),
    );
    expect((await run(damaged)).results).toEqual([5050, 1, 2]);
  }
  const cut = new Store();
  cut.saved.set('bare', words.slice(0, words.length - 5));
  expect((await run(cut)).results).toEqual([5050, 1, 2]);
});
