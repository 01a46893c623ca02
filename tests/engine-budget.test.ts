import { describe, expect, test } from 'vitest';
import { Engine, type Tier } from '#accel/engine.ts';
import { GuestMemory } from '#accel/guest-memory.ts';
import { buildInterpreter } from '#accel/interpreter.ts';
import { armTarget } from '#target/arm/target.ts';
import { ExitReason } from '#tcg/cpu-page.ts';

/** Loops without end, each of another shape: the engine must come back from all of them. */
const endless: Record<string, readonly number[]> = {
  // b .
  'a branch to itself': [0xeafffffe],
  // cmp r0, #0; beq 2f; 1: add r1, r1, #1; nop; 2: add r2, r2, #1; b 1b
  'entered in two places (irreducible)': [0xe3500000, 0x0a000001, 0xe2811001, 0xe320f000, 0xe2822001, 0xeafffffb],
  // 1: sub r0, pc, #8; bx r0
  'by indirect jumps': [0xe24f0008, 0xe12fff10],
  // 1: bl 2f; b 1b; 2: bx lr
  'by calls': [0xeb000000, 0xeafffffd, 0xe12fff1e],
  // 1: bl 1b: recursion that never returns
  'by recursion': [0xebfffffe],
};

describe.each<Tier>(['interp', 'region', 'auto'])('the budget ends every loop, tier %s', (tier) => {
  test.each(Object.keys(endless))('%s', (name) => {
    const memory = new GuestMemory();
    const engine = new Engine(armTarget, memory, { interpreter: buildInterpreter(), tier });
    memory.protect(0x10000, 0x11000, 3);
    endless[name]!.forEach((word, i) => memory.store32(0x10000 + 4 * i, word));
    memory.protect(0x10000, 0x11000, 5);
    armTarget.reset(memory.cpu, 0x10000, 0x40000);
    for (let turn = 0; turn < 3; turn++) expect(engine.run()).toBe(ExitReason.budget);
  });
});

test('a program whose calls leave generated code again and again is compiled in the end', () => {
  const memory = new GuestMemory();
  const engine = new Engine(armTarget, memory, { interpreter: buildInterpreter(), tier: 'auto' });
  memory.protect(0x10000, 0x11000, 3);
  // 1: add r1, r1, #1; subs r0, r0, #1; bne 1b; mov r0, #0x4000; svc #0; b 1b
  [0xe2811001, 0xe2500001, 0x1afffffc, 0xe3a00901, 0xef000000, 0xeafffff9].forEach((word, i) =>
    memory.store32(0x10000 + 4 * i, word),
  );
  memory.protect(0x10000, 0x11000, 5);
  armTarget.reset(memory.cpu, 0x1000c, 0x40000);
  engine.serveSyscall = () => false;
  for (let turn = 0; turn < 2000 && engine.stats.regions === 0; turn++) expect(engine.run()).not.toBe(ExitReason.fault);
  expect(engine.stats.regions).toBeGreaterThan(0);
});
