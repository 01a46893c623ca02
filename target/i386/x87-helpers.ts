import type { CpuView } from '#tcg/target.ts';
import * as x87 from './extended.ts';
import { X87Order, X87Rounding } from './extended.ts';
import * as functions from './extended-functions.ts';
import { defineHelper } from './helpers.ts';
import { i386State, slotSt } from './state.ts';
import * as fast from './x87-fast.ts';
import * as state from './x87-state.ts';
import { X87Status } from './x87-state.ts';

/** How a memory operand is encoded. */
export const X87Format = { single: 0, double: 1, int16: 2, int32: 3, int64: 4, extended: 5, bcd: 6 } as const;
export type X87Format = (typeof X87Format)[keyof typeof X87Format];

/** Two-operand arithmetic, numbered as the opcodes do. `reverse` ones take the source first. */
export const X87Binary = { add: 0, mul: 1, sub: 4, subReverse: 5, div: 6, divReverse: 7 } as const;

function binary(operation: number, a: bigint, b: bigint, env: x87.X87Env): bigint {
  switch (operation) {
    case X87Binary.add:
      return x87.add(a, b, env);
    case X87Binary.mul:
      return x87.mul(a, b, env);
    case X87Binary.sub:
      return x87.sub(a, b, env);
    case X87Binary.subReverse:
      return x87.sub(b, a, env);
    case X87Binary.div:
      return x87.div(a, b, env);
    default:
      return x87.div(b, a, env);
  }
}

/**
 * A memory operand as a register has it: `low` and `high` are its first words, more of it is in `operand`. `quiet`:
 * a signalling NaN is raised and made quiet (FLD); else it is left to the operation.
 */
function decode(cpu: CpuView, format: number, low: number, high: number, env: x87.X87Env, quiet: boolean): bigint {
  const wide = (): bigint => (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
  switch (format) {
    case X87Format.single:
      return x87.fromSingle(BigInt(low >>> 0), env, quiet);
    case X87Format.double:
      return x87.fromDouble(wide(), env, quiet);
    case X87Format.int16:
    case X87Format.int32:
      return x87.fromInteger(BigInt(low));
    case X87Format.int64:
      return x87.fromInteger(BigInt.asIntN(64, wide()));
    case X87Format.extended:
      return state.read80(cpu, state.operandSlot);
    default:
      return x87.fromBcd(state.read80(cpu, state.operandSlot));
  }
}

/** What was raised so far; the environment begins anew. A denormal in memory counts only if no NaN comes before it. */
function takeFlags(env: x87.X87Env): number {
  const { flags } = env;
  env.flags = 0;
  return flags;
}

/** ST(destination) = ST(destination) operation source. Where an operand is empty, the indefinite. */
function arithmetic(
  cpu: CpuView,
  operation: number,
  destination: number,
  source: bigint,
  empty: boolean,
  env: x87.X87Env,
) {
  if (empty || state.isEmpty(cpu, destination)) {
    if (state.stackUnderflow(cpu)) return false;
    state.writeSt(cpu, destination, x87.indefinite);
    return true;
  }
  const denormal = takeFlags(env);
  const result = binary(operation, state.readSt(cpu, destination), source, env);
  if (!x87.isNanExtended(result) && (env.flags & x87.X87Flag.divideByZero) === 0) env.flags |= denormal;
  if (!state.endX87(cpu, env)) return false;
  state.writeSt(cpu, destination, result);
  return true;
}

/** a: operation, then destination, source and 1 to pop, four bits each. */
export const arithmeticHelper = defineHelper({
  name: 'x87_arithmetic',
  call(cpu, a) {
    const source = (a >> 8) & 15;
    if (fast.arithmetic(cpu, a & 15, (a >> 4) & 15, source, a >> 12 !== 0)) return 0;
    const done = arithmetic(
      cpu,
      a & 15,
      (a >> 4) & 15,
      state.readSt(cpu, source),
      state.isEmpty(cpu, source),
      state.beginX87(cpu),
    );
    if (done && a >> 12) state.pop(cpu);
    return 0;
  },
});

/** ST(0) and a memory operand. a: operation, then the format; b, c: its words. */
export const arithmeticMemoryHelper = defineHelper({
  name: 'x87_arithmetic_memory',
  call(cpu, a, b, c) {
    if (fast.arithmeticMemory(cpu, a & 15, a >> 4, b, c)) return 0;
    const env = state.beginX87(cpu);
    arithmetic(cpu, a & 15, 0, decode(cpu, a >> 4, b, c, env, false), false, env);
    return 0;
  },
});

const orderConditions: Readonly<Record<X87Order, number>> = {
  [X87Order.greater]: 0,
  [X87Order.less]: X87Status.c0,
  [X87Order.equal]: X87Status.c3,
  [X87Order.unordered]: X87Status.c0 | X87Status.c2 | X87Status.c3,
};

/** ZF PF CF in EFLAGS. */
const orderFlags: Readonly<Record<X87Order, number>> = {
  [X87Order.greater]: 0,
  [X87Order.less]: 0x01,
  [X87Order.equal]: 0x40,
  [X87Order.unordered]: 0x45,
};

/** Whether an unmasked exception of the last comparison keeps registers from being popped. */
const comparison = { prevented: false };

/** How ST(0) compares with `source`. */
function order(cpu: CpuView, source: bigint, empty: boolean, quiet: boolean, env: x87.X87Env): X87Order {
  if (empty || state.isEmpty(cpu, 0)) {
    comparison.prevented = state.stackUnderflow(cpu);
    return X87Order.unordered;
  }
  const denormal = takeFlags(env);
  const result = x87.compare(state.readSt(cpu, 0), source, quiet, env);
  if (result !== X87Order.unordered) env.flags |= denormal;
  comparison.prevented = state.raiseFlags(cpu, env.flags);
  return result;
}

function popTimes(cpu: CpuView, times: number): void {
  if (comparison.prevented) return;
  for (let left = times; left > 0; left--) state.pop(cpu);
}

/** a: the register compared with, then bits 4 (quiet) and 5…6 (pops), 7: the result goes to EFLAGS and is returned. */
export const compareHelper = defineHelper({
  name: 'x87_compare',
  call(cpu, a) {
    const source = a & 7;
    const flags = fast.compare(cpu, source, (a >> 5) & 3, (a & 128) === 0);
    if (flags >= 0) return flags;
    const empty = state.isEmpty(cpu, source);
    const result = order(cpu, state.readSt(cpu, source), empty, (a & 16) !== 0, state.beginX87(cpu));
    if ((a & 128) === 0) state.setConditions(cpu, orderConditions[result]);
    popTimes(cpu, (a >> 5) & 3);
    return orderFlags[result];
  },
});

/** a: 1 to pop, then the format from bit 4; b, c: the operand's words. */
export const compareMemoryHelper = defineHelper({
  name: 'x87_compare_memory',
  call(cpu, a, b, c) {
    if (fast.compareMemory(cpu, a >> 4, b, c, (a & 15) !== 0)) return 0;
    const env = state.beginX87(cpu);
    const result = order(cpu, decode(cpu, a >> 4, b, c, env, false), false, false, env);
    state.setConditions(cpu, orderConditions[result]);
    popTimes(cpu, a & 15);
    return 0;
  },
});

/** FTST. */
export const testHelper = defineHelper({
  name: 'x87_test',
  call(cpu) {
    if (fast.test(cpu)) return 0;
    const result = order(cpu, 0n, false, false, state.beginX87(cpu));
    state.setConditions(cpu, orderConditions[result]);
    return 0;
  },
});

/** Pushes a memory operand. a: its format; b, c: its words. */
export const loadHelper = defineHelper({
  name: 'x87_load',
  call(cpu, a, b, c) {
    if (fast.load(cpu, a, b, c)) return 0;
    const env = state.beginX87(cpu);
    const bits = decode(cpu, a, b, c, env, true);
    // A full stack comes before what the operand would raise.
    if (!state.isEmpty(cpu, -1)) state.push(cpu, bits);
    else if (!state.raiseFlags(cpu, env.flags)) state.push(cpu, bits);
    return 0;
  },
});

/** A register's number in a memory format; `truncate`: FISTTP. */
function encode(bits: bigint, format: number, truncate: boolean, env: x87.X87Env): bigint {
  const rounding = truncate ? X87Rounding.zero : env.rounding;
  switch (format) {
    case X87Format.single:
      return x87.toSingle(bits, env);
    case X87Format.double:
      return x87.toDouble(bits, env);
    case X87Format.int16:
      return x87.toInteger(bits, 16, rounding, env);
    case X87Format.int32:
      return x87.toInteger(bits, 32, rounding, env);
    case X87Format.int64:
      return x87.toInteger(bits, 64, rounding, env);
    case X87Format.extended:
      return bits;
    default:
      return x87.toBcd(bits, env);
  }
}

/**
 * Puts ST(0) into `operand` as it is to be stored. a: the format, bit 4: truncated. Returns 0 if nothing is stored,
 * because of an exception that is not masked.
 */
export const storeHelper = defineHelper({
  name: 'x87_store',
  call(cpu, a) {
    const format = a & 15;
    if (fast.store(cpu, format, (a & 16) !== 0)) return 1;
    const env = state.beginX87(cpu);
    const empty = state.isEmpty(cpu, 0);
    if (empty && state.stackUnderflow(cpu)) return 0;
    const bits = encode(empty ? x87.indefinite : state.readSt(cpu, 0), format, (a & 16) !== 0, env);
    state.write80(cpu, state.operandSlot, BigInt.asUintN(80, bits));
    if (empty) return 1;
    // With an overflow or underflow that is not masked, a store does not tell that it is inexact (SDM vol. 1, 8.5.6).
    if (env.flags & ~env.masks & (x87.X87Flag.overflow | x87.X87Flag.underflow)) {
      env.flags &= ~x87.X87Flag.precision;
      env.roundedUp = false;
    }
    state.endX87(cpu, env);
    // No unmasked exception but an inexact result lets the store happen.
    return env.flags & ~env.masks & ~x87.X87Flag.precision ? 0 : 1;
  },
});

export const popHelper = defineHelper({
  name: 'x87_pop',
  call(cpu) {
    state.pop(cpu);
    return 0;
  },
});

/** What works on registers as they are. a: `X87Register`, then the register from bit 8. */
export const X87Register = {
  /** FLD ST(i). */
  load: 0,
  /** FST ST(i), FSTP ST(i). */
  store: 1,
  storePop: 2,
  exchange: 3,
  changeSign: 4,
  absolute: 5,
  free: 6,
  /** FFREEP. */
  freePop: 7,
  increment: 8,
  decrement: 9,
  examine: 10,
  /** FSTP1: an empty ST(0) is just popped. */
  storePopQuiet: 11,
} as const;

/** After a stack underflow, whatever there is room for. */
function pushIndefinite(cpu: CpuView): void {
  state.rotate(cpu, -1);
  state.writeSt(cpu, 0, x87.indefinite);
}

/** FCMOVcc. a: the register; b: whether the condition holds. Both registers must not be empty, whether or not it does. */
export const conditionalMoveHelper = defineHelper({
  name: 'x87_conditional_move',
  call(cpu, a, b) {
    if (state.isEmpty(cpu, 0) || state.isEmpty(cpu, a)) {
      if (!state.stackUnderflow(cpu)) state.writeSt(cpu, 0, x87.indefinite);
    } else if (b !== 0) state.writeSt(cpu, 0, state.readSt(cpu, a));
    return 0;
  },
});

/** The value of a register, or undefined and what is due if it is empty and that is not masked. */
function operand(cpu: CpuView, i: number): bigint | undefined {
  if (!state.isEmpty(cpu, i)) return state.readSt(cpu, i);
  return state.stackUnderflow(cpu) ? undefined : x87.indefinite;
}

function exchange(cpu: CpuView, i: number): void {
  const a = operand(cpu, 0);
  const b = operand(cpu, i);
  if (a === undefined || b === undefined) return;
  state.writeSt(cpu, 0, b);
  state.writeSt(cpu, i, a);
}

function examine(cpu: CpuView): void {
  const bits = state.readSt(cpu, 0);
  const kind = state.isEmpty(cpu, 0) ? 0b101 : x87.classify(bits);
  const { c0, c1, c2, c3 } = X87Status;
  state.setConditions(
    cpu,
    (kind & 1 ? c0 : 0) | (kind & 2 ? c2 : 0) | (kind & 4 ? c3 : 0) | (bits >> 79n !== 0n ? c1 : 0),
  );
}

/** Reads ST(from), changes it and writes ST(to). True if that came about. */
function transfer(cpu: CpuView, from: number, to: number, change?: (bits: bigint) => bigint): boolean {
  const empty = state.isEmpty(cpu, from);
  const bits = operand(cpu, from);
  if (bits === undefined) return false;
  state.writeSt(cpu, to, change && !empty ? change(bits) : bits);
  if (!empty) state.setC1(cpu, false);
  return true;
}

export const registerHelper = defineHelper({
  name: 'x87_register',
  call(cpu, a) {
    const i = a >> 8;
    switch (a & 255) {
      case X87Register.load:
        if (fast.loadRegister(cpu, i)) break;
        if (!state.isEmpty(cpu, i)) state.push(cpu, state.readSt(cpu, i));
        else if (!state.stackUnderflow(cpu)) pushIndefinite(cpu);
        break;
      case X87Register.store:
        if (fast.storeRegister(cpu, i, false)) break;
        transfer(cpu, 0, i);
        break;
      case X87Register.storePop:
        if (fast.storeRegister(cpu, i, true)) break;
        if (transfer(cpu, 0, i)) state.pop(cpu);
        break;
      case X87Register.storePopQuiet:
        state.setC1(cpu, false);
        if (state.isEmpty(cpu, 0)) state.pop(cpu);
        else if (transfer(cpu, 0, i)) state.pop(cpu);
        break;
      case X87Register.exchange:
        if (fast.exchange(cpu, i)) break;
        state.setC1(cpu, false);
        exchange(cpu, i);
        break;
      case X87Register.changeSign:
        if (!fast.changeSign(cpu, false)) transfer(cpu, 0, 0, x87.negateExtended);
        break;
      case X87Register.absolute:
        if (!fast.changeSign(cpu, true)) transfer(cpu, 0, 0, x87.absoluteExtended);
        break;
      case X87Register.free:
        state.setC1(cpu, false);
        state.setEmpty(cpu, i, true);
        break;
      case X87Register.freePop:
        state.setC1(cpu, false);
        state.setEmpty(cpu, i, true);
        state.pop(cpu);
        break;
      case X87Register.increment:
      case X87Register.decrement:
        state.setC1(cpu, false);
        state.rotate(cpu, (a & 255) === X87Register.increment ? 1 : -1);
        break;
      default:
        examine(cpu);
    }
    return 0;
  },
});

/** The constants of FLD1 … FLDZ in the order of their opcodes, cut off after 64 bits; and whether the next bit is 1. */
const constants: readonly (readonly [bits: bigint, next: boolean])[] = [
  [(0x3fffn << 64n) | 0x8000000000000000n, false],
  [(0x4000n << 64n) | 0xd49a784bcd1b8afen, false],
  [(0x3fffn << 64n) | 0xb8aa3b295c17f0bbn, true],
  [(0x4000n << 64n) | 0xc90fdaa22168c234n, true],
  [(0x3ffdn << 64n) | 0x9a209a84fbcff798n, true],
  [(0x3ffen << 64n) | 0xb17217f7d1cf79abn, true],
  [0n, false],
];

/** a: the constant. */
export const constantHelper = defineHelper({
  name: 'x87_constant',
  call(cpu, a) {
    const [bits, next] = constants[a]!;
    const exact = a === 0 || a === 6;
    const { rounding } = state.beginX87(cpu);
    const up = !exact && (rounding === X87Rounding.up || (rounding === X87Rounding.nearest && next));
    state.push(cpu, up ? bits + 1n : bits);
    return 0;
  },
});

/** Functions of ST(0), and of ST(0) and ST(1). */
export const X87Function = {
  sqrt: 0,
  roundToInteger: 1,
  exp2MinusOne: 2,
  sine: 3,
  cosine: 4,
  scale: 5,
  remainder: 6,
  remainder1: 7,
  yLog2: 8,
  yLog2OnePlus: 9,
  arcTangent: 10,
  tangent: 11,
  sineCosine: 12,
  extract: 13,
} as const;

type Unary = (a: bigint, env: x87.X87Env) => bigint;
type Dyadic = (a: bigint, b: bigint, env: x87.X87Env) => bigint;

const unaries: Readonly<Record<number, Unary>> = {
  [X87Function.sqrt]: x87.sqrt,
  [X87Function.roundToInteger]: x87.roundToInteger,
  [X87Function.exp2MinusOne]: functions.exp2MinusOne,
  [X87Function.sine]: functions.sine,
  [X87Function.cosine]: functions.cosine,
};
/** These replace ST(1) and pop. */
const popping: Readonly<Record<number, Dyadic>> = {
  [X87Function.yLog2]: functions.yLog2,
  [X87Function.yLog2OnePlus]: functions.yLog2OnePlus,
  [X87Function.arcTangent]: functions.arcTangent2,
};

/** Writes the result in ST(i) unless an exception forbids it: then false. */
function finish(cpu: CpuView, i: number, result: bigint, env: x87.X87Env): boolean {
  if (!state.endX87(cpu, env)) return false;
  state.writeSt(cpu, i, result);
  return true;
}

/** Replaces ST(0) and pushes a second result. */
function pushSecond(cpu: CpuView, first: bigint, second: bigint, env: x87.X87Env): void {
  if (!state.isEmpty(cpu, -1)) {
    state.setC1(cpu, true);
    if (state.raiseFlags(cpu, x87.X87Flag.invalid | X87Status.stackFault)) return;
    state.writeSt(cpu, 0, x87.indefinite);
    state.rotate(cpu, -1);
    state.writeSt(cpu, 0, x87.indefinite);
    return;
  }
  if (!finish(cpu, 0, first, env)) return;
  state.rotate(cpu, -1);
  state.writeSt(cpu, 0, second);
}

/** Sets or clears C2: is there more to be done? */
function setC2(cpu: CpuView, on: boolean): void {
  const word = i386State.offset('fstat') >> 2;
  cpu.i32[word] = on ? cpu.i32[word]! | X87Status.c2 : cpu.i32[word]! & ~X87Status.c2;
}

function angle(cpu: CpuView, operation: number, a: bigint, env: x87.X87Env): void {
  const isOne = operation === X87Function.sine || operation === X87Function.cosine;
  // What there is no room for is not looked at.
  const far = functions.outOfRange(a) && (isOne || state.isEmpty(cpu, -1));
  setC2(cpu, far);
  if (far) return;
  if (isOne) {
    finish(cpu, 0, unaries[operation]!(a, env), env);
    return;
  }
  const first = operation === X87Function.tangent ? functions.tangent(a, env) : functions.sine(a, env);
  const isNan = ((first >> 64n) & 0x7fffn) === 0x7fffn;
  const one = isNan ? first : functions.oneExtended;
  pushSecond(cpu, first, operation === X87Function.tangent ? one : functions.cosine(a, env), env);
}

function remainder(cpu: CpuView, nearest: boolean, a: bigint, b: bigint, env: x87.X87Env): void {
  const { value, partial, quotient } = x87.remainder(a, b, nearest, env);
  const done = finish(cpu, 0, value, env);
  // Without a number as its result it clears C2, also where an exception is not masked.
  if (!done || x87.isNanExtended(value)) {
    setC2(cpu, false);
    return;
  }
  const { c0, c1, c2, c3 } = X87Status;
  state.setConditions(
    cpu,
    (quotient & 4 ? c0 : 0) | (quotient & 1 ? c1 : 0) | (partial ? c2 : 0) | (quotient & 2 ? c3 : 0),
  );
}

function apply(cpu: CpuView, operation: number, env: x87.X87Env): void {
  const a = state.readSt(cpu, 0);
  const b = state.readSt(cpu, 1);
  switch (operation) {
    case X87Function.sine:
    case X87Function.cosine:
    case X87Function.tangent:
    case X87Function.sineCosine:
      angle(cpu, operation, a, env);
      return;
    case X87Function.remainder:
    case X87Function.remainder1:
      remainder(cpu, operation === X87Function.remainder1, a, b, env);
      return;
    case X87Function.scale:
      finish(cpu, 0, x87.scale(a, b, env), env);
      return;
    case X87Function.extract: {
      const { exponent, significand } = x87.extract(a, env);
      pushSecond(cpu, exponent, significand, env);
      return;
    }
    default: {
      const dyadic = popping[operation];
      if (dyadic === undefined) finish(cpu, 0, unaries[operation]!(a, env), env);
      else if (finish(cpu, 1, dyadic(a, b, env), env)) state.pop(cpu);
    }
  }
}

/** Operations that tell in C2 whether there is more to be done. */
const setsC2 = (operation: number): boolean =>
  operation === X87Function.remainder ||
  operation === X87Function.remainder1 ||
  operation === X87Function.sine ||
  operation === X87Function.cosine ||
  operation === X87Function.tangent ||
  operation === X87Function.sineCosine;

/** Operations that read ST(1) too. */
const readsTwo = (operation: number): boolean =>
  popping[operation] !== undefined ||
  operation === X87Function.scale ||
  operation === X87Function.remainder ||
  operation === X87Function.remainder1;

/** An operand is missing: the indefinite in the place of each result. */
function underflow(cpu: CpuView, operation: number): void {
  if (setsC2(operation)) setC2(cpu, false);
  if (state.stackUnderflow(cpu)) return;
  if (popping[operation] !== undefined) {
    state.writeSt(cpu, 1, x87.indefinite);
    state.pop(cpu);
    return;
  }
  state.writeSt(cpu, 0, x87.indefinite);
  const two =
    operation === X87Function.tangent || operation === X87Function.sineCosine || operation === X87Function.extract;
  if (two) pushIndefinite(cpu);
}

/** a: one of `X87Function`. */
export const functionHelper = defineHelper({
  name: 'x87_function',
  call(cpu, a) {
    if (a === X87Function.sqrt && fast.root(cpu)) return 0;
    if (state.isEmpty(cpu, 0) || (readsTwo(a) && state.isEmpty(cpu, 1))) underflow(cpu, a);
    else apply(cpu, a, state.beginX87(cpu));
    return 0;
  },
});

/** What concerns the control registers. a: `X87Control`; b: the value. Returns the value asked for. */
export const X87Control = {
  initialize: 0,
  clear: 1,
  loadControl: 2,
  statusWord: 3,
  tagWord: 4,
  loadStatus: 5,
  loadTags: 6,
  /** The 16-bit word b of ST(0)…ST(7), five to each. */
  registerWord: 7,
  /** Puts `operand` into ST(b), whose tag stays. */
  loadRegister: 8,
} as const;

function registerWord(cpu: CpuView, n: number): number {
  const bits = state.readSt(cpu, Math.floor(n / 5));
  return Number((bits >> BigInt(16 * (n % 5))) & 0xffffn);
}

export const controlHelper = defineHelper({
  name: 'x87_control',
  call(cpu, a, b) {
    switch (a) {
      case X87Control.initialize:
        state.initialize(cpu);
        return 0;
      case X87Control.clear:
        state.clearExceptions(cpu);
        return 0;
      case X87Control.loadControl:
        state.loadControlWord(cpu, b);
        return 0;
      case X87Control.statusWord:
        return state.statusWord(cpu);
      case X87Control.tagWord:
        return state.tagWord(cpu);
      case X87Control.loadStatus:
        state.loadStatusWord(cpu, b);
        return 0;
      case X87Control.loadTags:
        state.loadTagWord(cpu, b);
        return 0;
      case X87Control.registerWord:
        return registerWord(cpu, b);
      default:
        state.write80(cpu, slotSt(state.physical(cpu, b)), state.read80(cpu, state.operandSlot));
        return 0;
    }
  },
});
