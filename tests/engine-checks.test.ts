import { expect, test } from 'vitest';
import { Engine, type Tier } from '#accel/engine.ts';
import { GuestMemory } from '#accel/guest-memory.ts';
import { buildInterpreter } from '#accel/interpreter.ts';
import { armState } from '#target/arm/state.ts';
import { armTarget } from '#target/arm/target.ts';
import { cpuHeader, ExitReason } from '#tcg/cpu-page.ts';

/*
 * Accesses off one base around the border of two pages: regions test some together, the interpreter each by itself. What
 * faults, where, and what has happened before must be the same.
 */

const code = 0x10000;
const border = 0x21000;
const interpreter = buildInterpreter();

const bodies: Record<string, readonly number[]> = {
  // ldr r2, [r1]; str r2, [r1, #8]; ldrb r3, [r1, #-5]; ldrh r4, [r1, #13]; str r4, [r1]; ldr r5, [r1, #8]
  'mixed sizes': [0xe5912000, 0xe5812008, 0xe5513005, 0xe1d140bd, 0xe5814000, 0xe5915008],
  // ldr r2, [r1], #4; ldr r3, [r1], #4; str r3, [r1, #-16]!; ldmib r1, {r4-r7}; stm r1, {r2-r5}
  'a base that moves': [0xe4912004, 0xe4913004, 0xe5213010, 0xe99100f0, 0xe881003c],
  // ldr r2, [r1]; cmp r0, #0; strne r2, [r1, #4]; ldrne r3, [r1, #12]; ldr r4, [r1, #4]; streq r4, [r1, #8]
  'under conditions': [0xe5912000, 0xe3500000, 0x15812004, 0x1591300c, 0xe5914004, 0x05814008],
  // ldrexb/strexb beside a load: ldrb r2, [r1, #1]; ldrexb r3, [r1]; strexb r4, r2, [r1]; strb r2, [r1, #2]
  'an atomic': [0xe5d12001, 0xe1d13f9f, 0xe1c14f92, 0xe5c12002],
};

function outcome(
  tier: Tier,
  words: readonly number[],
  base: number,
  permissions: readonly [number, number],
  r0: number,
) {
  const memory = new GuestMemory();
  const engine = new Engine(armTarget, memory, { interpreter, tier });
  memory.protect(code, code + 0x1000, 3);
  [...words, 0xef000000].forEach((word, i) => memory.store32(code + 4 * i, word));
  memory.protect(code, code + 0x1000, 5);
  const results: unknown[] = [];
  const { i32 } = memory.cpu;
  memory.protect(border - 0x1000, border + 0x1000, 3);
  for (let i = -64; i < 64; i += 4) memory.store32(border + i, 0x1010101 * (i + 64));
  memory.protect(border - 0x1000, border, permissions[0]);
  memory.protect(border, border + 0x1000, permissions[1]);
  armTarget.reset(memory.cpu, code, 0);
  i32[armState.offset('r', 0) >> 2] = r0;
  i32[armState.offset('r', 1) >> 2] = base;
  const reason = engine.run();
  results.push(reason, i32[cpuHeader.offset('pc') >> 2]);
  if (reason === ExitReason.fault)
    results.push(i32[cpuHeader.offset('faultAddress') >> 2], i32[cpuHeader.offset('exitArg') >> 2]);
  for (let n = 0; n < 14; n++) results.push(i32[armState.offset('r', n) >> 2]);
  results.push(Buffer.from(memory.u8.slice(border - 64, border + 64)).toString('hex'));
  return results;
}

test.each(Object.keys(bodies))('%s', (name) => {
  for (const permissions of [
    [3, 1],
    [1, 3],
    [3, 0],
    [0, 3],
  ] as const) {
    for (let base = border - 18; base <= border + 18; base += name === 'under conditions' ? 3 : 1) {
      for (const r0 of name === 'under conditions' ? [0, 1] : [0]) {
        const wanted = outcome('interp', bodies[name]!, base, permissions, r0);
        expect(outcome('region', bodies[name]!, base, permissions, r0), `${permissions.join()} ${base}`).toEqual(
          wanted,
        );
      }
    }
  }
});
