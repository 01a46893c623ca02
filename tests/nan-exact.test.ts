import { describe, expect, it } from 'vitest';
import type { Tier } from '#accel/engine.ts';
import { parseBlock } from '#tcg/text.ts';
import { memoryStart } from './support/ir-exec.ts';
import { evaluateProgram, type IrProgram, programMachine, programStart, runProgram } from './support/ir-program.ts';
import { Random } from './support/ir-random.ts';
import { irLayout } from './support/ir-state.ts';

/**
 * Programs of floating-point blocks as translate functions make them, on data that are NaNs half of the time. Results
 * go everywhere a NaN can be seen: to memory, into integers, across edges and around loops, through arms of an `if`.
 */

const programs = Number(process.env.IR_PROGRAMS ?? 150);
const firstSeed = Number(process.env.IR_SEED ?? 1);
const blockSpacing = 0x10000;
const outside = 0x90000000;

type FloatType = 'f32' | 'f64';
const slots = {
  f64: ['d0', 'd0+8', 'd1', 'd1+8', 'd2', 'd2+8'],
  f32: ['r0', 'r1', 'r2', 'r3'],
} as const;

/** Quiet and signalling NaNs of both signs, infinities, zeros, numbers. */
const words64: readonly (readonly [high: number, low: number])[] = [
  [0x7ff80000, 0x11],
  [0xfff80000, 0],
  [0x7ff00000, 0x22],
  [0xfff40000, 0x33],
  [0x7ff00000, 0],
  [0xfff00000, 0],
  [0, 0],
  [0x80000000, 0],
  [0x3ff00000, 0],
  [0xc0080000, 1],
];
const words32 = [0x7fc00011, 0xffc00000, 0x7f800022, 0xffa00033, 0x7f800000, 0xff800000, 0, 0x80000000, 0x3f800000];

/** The text of a block while it is made. Values are numbered by op. */
class BlockText {
  private readonly lines: string[] = [];
  private readonly random: Random;
  private readonly known: Record<FloatType, string[]> = { f32: [], f64: [] };

  constructor(random: Random) {
    this.random = random;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.random.below(list.length)]!;
  }

  op(text: string): void {
    this.lines.push(text);
  }

  value(text: string): string {
    const name = `v${this.lines.length}`;
    this.lines.push(`${name} = ${text}`);
    return name;
  }

  float(type: FloatType): string {
    const known = this.known[type];
    if (known.length > 0 && this.random.below(4) > 0) return this.pick(known);
    if (this.random.below(3) > 0) return this.know(type, this.value(`get_${type} ${this.pick(slots[type])}`));
    const loaded = this.know(type, this.value(`load_${type} [${this.address()}]`));
    this.op(`set_${type} ${this.pick(slots[type])}, ${loaded}`);
    return loaded;
  }

  private address(): string {
    return this.value(`const_i32 ${memoryStart + 8 * this.random.below(16)}`);
  }

  private know(type: FloatType, value: string): string {
    this.known[type].push(value);
    return value;
  }

  arithmetic(type: FloatType): void {
    const n = this.float(type);
    if (this.random.below(5) === 0) {
      const op = this.pick(['neg', 'abs', 'sqrt', 'nearest']);
      const result = this.value(`${op}_${type} ${n}`);
      this.know(type, op === 'neg' || op === 'abs' ? result : this.value(`fpnan1_${type} ${result}, ${n}`));
      return;
    }
    const m = this.float(type);
    const op = this.pick(['add', 'sub', 'mul', 'div']);
    // VMLS: a difference whose NaNs are those of a sum.
    const source = op === 'sub' && this.random.below(2) ? this.value(`neg_${type} ${m}`) : m;
    this.know(type, this.value(`fpnan2_${type} ${this.value(`${op}_${type} ${n}, ${m}`)}, ${n}, ${source}`));
  }

  /** Makes a value visible, or leaves it in a slot. */
  use(type: FloatType): void {
    const integer = type === 'f64' ? 'i64' : 'i32';
    switch (this.random.below(6)) {
      case 0: {
        const at = this.address();
        this.op(`store_${type} [${at}], ${this.float(type)}`);
        return;
      }
      case 1: {
        const at = this.address();
        this.op(`store_${integer} [${at}], ${this.value(`bits_${type} ${this.float(type)}`)}`);
        return;
      }
      case 2:
        this.op(`set_i32 r4, ${this.value(`lt_${type} ${this.float(type)}, ${this.float(type)}`)}`);
        return;
      default:
        this.op(`set_${type} ${this.pick(slots[type])}, ${this.float(type)}`);
    }
  }

  steps(count: number): void {
    for (let i = 0; i < count; i++) {
      const type = this.random.below(3) ? 'f64' : 'f32';
      if (this.random.below(3)) this.arithmetic(type);
      else this.use(type);
    }
  }

  /** What is known within an arm is not known after it. */
  arm(make: () => void): void {
    const before = { f32: this.known.f32.length, f64: this.known.f64.length };
    make();
    this.known.f32.length = before.f32;
    this.known.f64.length = before.f64;
  }

  finish(pc: number): string {
    return [`block ${pc.toString(16).padStart(8, '0')}`, ...this.lines].join('\n');
  }
}

function randomFloatProgram(random: Random): { program: IrProgram; text: string } {
  const count = 1 + random.below(4);
  const texts = Array.from({ length: count }, (_, n) => {
    const pc = programStart + n * blockSpacing;
    const target = (): string => `0x${(programStart + random.below(count) * blockSpacing).toString(16)}`;
    const block = new BlockText(random);
    block.op(`insn 0x${pc.toString(16)}`);
    const fuel = block.value(`add_i32 ${block.value('get_i32 fuel0')}, ${block.value('const_i32 -1')}`);
    block.op(`set_i32 fuel0, ${fuel}`);
    block.op(`if ${block.value(`eqz_i32 ${fuel}`)}`);
    block.op(`jump 0x${outside.toString(16)}`);
    block.op('endif');
    block.steps(random.below(12));
    if (random.below(2)) {
      block.op(`if ${block.value(`ge_f64 ${block.float('f64')}, ${block.float('f64')}`)}`);
      block.arm(() => block.steps(1 + random.below(5)));
      if (random.below(3) === 0) block.op(`jump ${target()}`);
      else if (random.below(2)) {
        block.op('else');
        block.arm(() => block.steps(1 + random.below(5)));
      }
      block.op('endif');
      block.steps(random.below(8));
    }
    const way = random.below(8);
    // A system call, which makes the next back-edge one where the budget ends.
    if (way === 0) block.op(`exit ${fuel}, syscall, ${target()}`);
    else if (way < 3) block.op(`jump ${target()}`);
    else {
      const bit = block.value(`and_i32 ${fuel}, ${block.value(`const_i32 ${1 << random.below(3)}`)}`);
      block.op(`branch ${bit}, ${target()}, ${target()}`);
    }
    return block.finish(pc);
  });
  const blocks = texts.map((text) => parseBlock(text, irLayout));
  return { program: new Map(blocks.map((block) => [block.pc, block])), text: texts.join('\n') };
}

function nanMachine(random: Random, fuel: number) {
  const machine = programMachine(random, fuel);
  const state = new DataView(machine.state.buffer, machine.state.byteOffset);
  const d = irLayout.offset('d') - irLayout.start;
  for (let n = 0; n < 8; n++) {
    const [high, low] = words64[random.below(words64.length)]!;
    state.setUint32(d + 8 * n, low, true);
    state.setUint32(d + 8 * n + 4, high, true);
  }
  const r = irLayout.offset('r') - irLayout.start;
  for (let n = 0; n < 4; n++) state.setUint32(r + 4 * n, words32[random.below(words32.length)]!, true);
  const memory = new DataView(machine.memory.buffer, machine.memory.byteOffset);
  for (let n = 0; n < 16; n++) {
    const [high, low] = words64[random.below(words64.length)]!;
    memory.setUint32(8 * n, low, true);
    memory.setUint32(8 * n + 4, high, true);
  }
  return machine;
}

describe.each<Tier>(['interp', 'region'])('NaNs are those of the reference, tier %s', (tier) => {
  it.each([false, true])('exact state %s', (exactState) => {
    for (let seed = firstSeed; seed < firstSeed + programs; seed++) {
      const random = new Random(seed);
      const { program, text } = randomFloatProgram(random);
      const machine = nanMachine(random, 1 + random.below(12));
      const wanted = evaluateProgram(program, machine);
      const outcome = runProgram(program, machine, { tier, exactState, budget: seed % 7 });
      const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
      expect([outcome.reason, outcome.pc, hex(outcome.state)], `seed ${seed}\n${text}`).toEqual([
        wanted.reason,
        wanted.pc | 0,
        hex(wanted.state),
      ]);
      expect(Buffer.compare(outcome.memory, wanted.memory), `memory, seed ${seed}\n${text}`).toBe(0);
    }
  });
});

it('makes a NaN exact from what it was made of, though the block that sees it has set that anew', () => {
  const blocks = [
    `block 00100000
       insn 0x100000
       v1 = const_i32 ${memoryStart}
       v2 = load_f64 [v1]
       set_f64 d0, v2
       v4 = get_f64 d1
       v5 = add_f64 v2, v4
       v6 = fpnan2_f64 v5, v2, v4
       set_f64 d2, v6
       v8 = get_i32 r0
       branch v8, 0x110000, 0x120000`,
    `block 00110000
       insn 0x110000
       v1 = get_f64 d1+8
       set_f64 d0, v1
       jump 0x90000000`,
    `block 00120000
       insn 0x120000
       jump 0x90000000`,
  ].map((text) => parseBlock(text, irLayout));
  const program = new Map(blocks.map((block) => [block.pc, block]));
  const machine = programMachine(new Random(1), 1);
  new DataView(machine.memory.buffer, machine.memory.byteOffset).setBigUint64(0, 0xfff0000000000055n, true);
  const state = new DataView(machine.state.buffer, machine.state.byteOffset);
  const at = (name: 'd' | 'r', n: number): number => irLayout.offset(name, n) - irLayout.start;
  state.setInt32(at('r', 0), 1, true);
  state.setFloat64(at('d', 1), 1, true);
  state.setBigUint64(at('d', 1) + 8, 0x7ff8000000000066n, true);
  const outcome = runProgram(program, machine, { tier: 'region', exactState: false, budget: 9 });
  const result = new DataView(outcome.state.buffer, outcome.state.byteOffset);
  expect(result.getBigUint64(at('d', 2), true)).toBe(0xfff8000000000055n);
  expect(result.getBigUint64(at('d', 0), true)).toBe(0x7ff8000000000066n);
});

it('keeps the old value of a variable for the check of the new one', () => {
  // As long as what a NaN is traced back through gets, and longer.
  for (let length = 1; length < 40; length++) {
    const lines = ['block 00100000', 'insn 0x100000', 'v1 = get_f64 d1'];
    let last = 'v1';
    for (let n = 0; n < length; n++) {
      const [sum, exact] = [`v${2 + 2 * n}`, `v${3 + 2 * n}`];
      lines.push(`${sum} = ${n === 0 ? 'sub' : 'add'}_f64 ${last}, v1`, `${exact} = fpnan2_f64 ${sum}, ${last}, v1`);
      last = exact;
    }
    const block = parseBlock([...lines, `set_f64 d1, ${last}`, 'jump 0x90000000'].join('\n'), irLayout);
    const program = new Map([[block.pc, block]]);
    const machine = programMachine(new Random(1), 1);
    const state = new DataView(machine.state.buffer, machine.state.byteOffset);
    // ∞ − ∞ is ARM's positive default NaN, and x64's negative one.
    state.setFloat64(irLayout.offset('d', 1) - irLayout.start, Number.POSITIVE_INFINITY, true);
    const outcome = runProgram(program, machine, { tier: 'region', exactState: false, budget: 9 });
    expect(outcome.state, `${length} operations`).toEqual(evaluateProgram(program, machine).state);
  }
});

it('leaves alone what a helper wrote over an inexact value in an arm', () => {
  const block = parseBlock(
    `block 00100000
       insn 0x100000
       v1 = get_f32 r0
       v2 = sub_f32 v1, v1
       v3 = fpnan2_f32 v2, v1, v1
       set_f32 r7, v3
       v5 = get_i32 r1
       if v5
         v7 = const_i32 5
         v8 = helper1 v7, 1
         set_i32 r2, v8
       endif
       v11 = get_f32 r3
       set_f32 r4, v11
       jump 0x90000000`,
    irLayout,
  );
  const program = new Map([[block.pc, block]]);
  const machine = programMachine(new Random(1), 1);
  const state = new DataView(machine.state.buffer, machine.state.byteOffset);
  const at = (n: number): number => irLayout.offset('r', n) - irLayout.start;
  state.setFloat32(at(0), Number.POSITIVE_INFINITY, true);
  state.setInt32(at(1), 1, true);
  const outcome = runProgram(program, machine, { tier: 'region', exactState: false, budget: 9 });
  expect(outcome.state).toEqual(evaluateProgram(program, machine).state);
  // The helper adds 5 to r7.
  expect(new DataView(outcome.state.buffer, outcome.state.byteOffset).getUint32(at(7), true)).toBe(0x7fc00005);
});
