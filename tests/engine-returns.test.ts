import { expect, test } from 'vitest';
import { Engine, type Tier } from '#accel/engine.ts';
import { GuestMemory } from '#accel/guest-memory.ts';
import { buildInterpreter } from '#accel/interpreter.ts';
import { armState } from '#target/arm/state.ts';
import { armTarget } from '#target/arm/target.ts';
import { ExitReason } from '#tcg/cpu-page.ts';

/*
 * Small functions that regions inline: most return to their callers, some elsewhere. Flags they leave behind count, too.
 */

const code = 0x10000;
const functionAt = 0x10040;
const interpreter = buildInterpreter();

// mov r4, #0; bl function; add r4, r4, #1; add r4, r4, #2; moveq r5, #7; movcs r6, #7; svc #0
const caller = [0xe3a04000, 0xeb00000d, 0xe2844001, 0xe2844002, 0x03a05007, 0x23a06007, 0xef000000];

const bodies: Record<string, readonly number[]> = {
  // cmp r0, #1; bx lr
  'a comparison': [0xe3500001, 0xe12fff1e],
  // cmp r0, #1; bxeq lr; cmp r0, #2; bx lr
  'two returns': [0xe3500001, 0x012fff1e, 0xe3500002, 0xe12fff1e],
  // cmp r0, #1; addeq lr, lr, #4; bx lr
  'a return that skips an instruction, by a condition': [0xe3500001, 0x028ee004, 0xe12fff1e],
  // cmp r0, #1; bne 1f; add lr, lr, #4; 1: cmp r0, #2; bx lr
  'the same by a branch': [0xe3500001, 0x1a000000, 0xe28ee004, 0xe3500002, 0xe12fff1e],
  // mov r7, lr; cmp r0, #1; bl 2f; mov lr, r7; bx lr; 2: cmp r0, #2; bx lr
  'a call of its own': [0xe1a0700e, 0xe3500001, 0xeb000001, 0xe1a0e007, 0xe12fff1e, 0xe3500002, 0xe12fff1e],
  // mov r7, #3; 1: subs r7, r7, #1; bne 1b; cmp r0, #1; bx lr
  'a loop': [0xe3a07003, 0xe2577001, 0x1afffffd, 0xe3500001, 0xe12fff1e],
  // mov r7, #2; 1: cmp r0, #1; addeq lr, lr, #4; subs r7, r7, #1; bne 1b; bx lr
  'a loop that moves the return address': [0xe3a07002, 0xe3500001, 0x028ee004, 0xe2577001, 0x1afffffb, 0xe12fff1e],
};

function outcome(tier: Tier, body: readonly number[], r0: number) {
  const memory = new GuestMemory();
  const engine = new Engine(armTarget, memory, { interpreter, tier });
  memory.protect(code, code + 0x1000, 3);
  caller.forEach((word, i) => memory.store32(code + 4 * i, word));
  body.forEach((word, i) => memory.store32(functionAt + 4 * i, word));
  memory.protect(code, code + 0x1000, 5);
  const { i32 } = memory.cpu;
  armTarget.reset(memory.cpu, code, 0);
  i32[armState.offset('r', 0) >> 2] = r0;
  expect(engine.run()).toBe(ExitReason.syscall);
  return Buffer.from(memory.cpu.u8.slice(armState.start, armState.end)).toString('hex');
}

test.each(Object.keys(bodies))('%s', (name) => {
  for (const r0 of [0, 1, 2, 3]) {
    expect(outcome('region', bodies[name]!, r0), `r0 = ${r0}`).toBe(outcome('interp', bodies[name]!, r0));
  }
});
