/**
 * The arithmetic of `x87-arithmetic.ts` for helpers: a WebAssembly module made of the same IR that regions have in line.
 * Operands and results are words of a memory of its own. Only round to nearest with 64 bits.
 */
import { Builder, type Value } from '#tcg/builder.ts';
import { Op, opDefs, opNames } from '#tcg/ops.ts';
import { Code, W, type WasmType, wasmTypes } from '#tcg/wasm/code.ts';
import { encodeModule } from '#tcg/wasm/module.ts';
import { Arithmetic, type Extended, type Rounded } from './x87-arithmetic.ts';

/** Byte offsets in the kernel's memory: two numbers, a raw operand or result of 8 bytes, and what the operation tells. */
const place = { x: 0, y: 16, result: 32, raw: 48, inexact: 56, up: 60, equal: 64, less: 68 } as const;

const operations = [
  'add',
  'mul',
  'sub',
  'div',
  'sqrt',
  'fromSingle',
  'fromDouble',
  'fromInteger',
  'toSingle',
  'toDouble',
  'toInt16',
  'toInt32',
  'toInt64',
  'truncInt16',
  'truncInt32',
  'truncInt64',
  'compare',
] as const;
export type KernelOperation = (typeof operations)[number];

/** Emits the operation into the builder's block; the value is not 0 if the result is not to be used. */
function build(b: Builder, operation: KernelOperation): Value {
  const a = new Arithmetic(b);
  const number = (at: number): Extended => ({ significand: b.get('i64', at), head: b.get32(at + 8) });
  const x = number(place.x);
  const y = number(place.y);
  const strange = a.strange(x);
  const setNumber = ({ significand, head }: Extended): void => {
    b.set('i64', place.result, significand);
    b.set32(place.result + 8, head);
  };
  const setRounding = ({ rest, up }: { rest: Value; up: Value }): void => {
    b.set32(place.inexact, b.bin(Op.ne_i64, rest, b.i64(0, 0)));
    b.set32(place.up, up);
  };
  const binary = (result: Rounded): Value => {
    setNumber(result);
    setRounding(result);
    return b.or(b.or(strange, a.strange(y)), result.bad);
  };
  const toInteger = (bytes: number, nearest: number): Value => {
    const result = a.toInteger(x, bytes, b.i32(nearest));
    b.set('i64', place.raw, result.value);
    setRounding(result);
    return b.or(strange, result.bad);
  };
  switch (operation) {
    case 'add':
      return binary(a.sum(x, y, false, 64));
    case 'sub':
      return binary(a.sum(x, y, true, 64));
    case 'mul':
      return binary(a.product(x, y, 64));
    case 'div':
      return binary(a.quotient(x, y, 64));
    case 'sqrt': {
      const result = a.root(x, 64);
      setNumber(result);
      setRounding(result);
      return b.or(strange, result.bad);
    }
    case 'fromSingle': {
      const result = a.fromSingle(b.get32(place.raw));
      setNumber(result);
      return result.bad;
    }
    case 'fromDouble': {
      const result = a.fromDouble(b.get('i64', place.raw));
      setNumber(result);
      return result.bad;
    }
    case 'fromInteger':
      setNumber(a.fromInteger(b.get('i64', place.raw)));
      return b.i32(0);
    case 'toSingle': {
      const result = a.toSingle(x);
      b.set32(place.raw, result.bits);
      setRounding(result);
      return b.or(strange, result.bad);
    }
    case 'toDouble': {
      const result = a.toDouble(x);
      b.set('i64', place.raw, result.bits);
      setRounding(result);
      return b.or(strange, result.bad);
    }
    case 'toInt16':
      return toInteger(2, 1);
    case 'toInt32':
      return toInteger(4, 1);
    case 'toInt64':
      return toInteger(8, 1);
    case 'truncInt16':
      return toInteger(2, 0);
    case 'truncInt32':
      return toInteger(4, 0);
    case 'truncInt64':
      return toInteger(8, 0);
    case 'compare': {
      const { equal, less } = a.compare(x, y);
      b.set32(place.equal, equal);
      b.set32(place.less, less);
      return b.or(strange, a.strange(y));
    }
  }
}

/** A straight line of IR as a function: slots are words of memory, values are locals. */
function compile(b: Builder, result: Value): { locals: WasmType[]; code: Code } {
  const { block } = b;
  const code = new Code(4096);
  const locals: WasmType[] = [];
  const localOf: number[] = [];
  for (let i = 0; i < block.length; i++) {
    const op = block.op[i]!;
    const def = opDefs[op]!;
    const type = def.result ?? def.args[0]!;
    const memoryOps = type === 'i64' ? [W.i64_load, W.i64_store] : [W.i32_load, W.i32_store];
    const align = type === 'i64' ? 3 : 2;
    if (def.effect === 'set') code.i32(0);
    for (const operand of [block.a[i]!, block.b[i]!, block.c[i]!].slice(0, def.args.length)) {
      code.get(localOf[operand]!);
    }
    if (def.wasm) code.append(def.wasm);
    else if (op === Op.const_i32) code.i32(block.x[i]!);
    else if (op === Op.const_i64) {
      code.u8(W.i64_const);
      code.sleb64(block.x[i]!, block.y[i]!);
    } else if (op === Op.const_f64) {
      code.u8(W.f64_const);
      code.u32(block.x[i]!);
      code.u32(block.y[i]!);
    } else if (def.effect === 'get') {
      code.i32(0);
      code.mem(memoryOps[0]!, align, block.x[i]!);
    } else if (def.effect === 'set') code.mem(memoryOps[1]!, align, block.x[i]!);
    else throw new Error(`the x87 kernel has no case for ${opNames[op]}`);
    if (def.result === undefined) continue;
    localOf[i] = locals.length;
    code.set(locals.length);
    locals.push(wasmTypes[def.result]);
  }
  code.get(localOf[result]!);
  return { locals, code };
}

/** The kernel's functions, and the views of what they read and write. */
export class X87Kernel {
  private readonly words: Int32Array;
  private readonly functions: Readonly<Record<KernelOperation, () => number>>;

  constructor() {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    this.words = new Int32Array(memory.buffer);
    const b = new Builder();
    const functions = operations.map((exportName) => {
      b.begin(0);
      const result = build(b, exportName);
      return { type: 0, ...compile(b, result), exportName };
    });
    const imports = [{ kind: 'memory', name: 'm', maximum: 1, shared: true }] as const;
    const bytes = encodeModule({ types: [{ params: [], results: [wasmTypes.i32] }], imports, functions });
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { e: { m: memory } });
    this.functions = exports as Record<KernelOperation, () => number>;
  }

  /** Takes an operand from the three words of a register at byte offset `slot`. */
  takeX(state: Int32Array, slot: number): void {
    this.take(state, slot, place.x >> 2);
  }

  takeY(state: Int32Array, slot: number): void {
    this.take(state, slot, place.y >> 2);
  }

  private take(state: Int32Array, slot: number, to: number): void {
    const { words } = this;
    const from = slot >> 2;
    words[to] = state[from]!;
    words[to + 1] = state[from + 1]!;
    words[to + 2] = state[from + 2]! & 0xffff;
  }

  /** The last result becomes the second operand. */
  resultToY(): void {
    const { words } = this;
    for (let i = 0; i < 3; i++) words[(place.y >> 2) + i] = words[(place.result >> 2) + i]!;
  }

  exchangeOperands(): void {
    const { words } = this;
    for (let i = 0; i < 3; i++) {
      const x = words[i]!;
      words[i] = words[(place.y >> 2) + i]!;
      words[(place.y >> 2) + i] = x;
    }
  }

  zeroY(): void {
    this.words.fill(0, place.y >> 2, (place.y >> 2) + 3);
  }

  setRaw(low: number, high: number): void {
    this.words[place.raw >> 2] = low;
    this.words[(place.raw >> 2) + 1] = high;
  }

  /** True if the operation is done. */
  run(operation: KernelOperation): boolean {
    return this.functions[operation]() === 0;
  }

  /** Writes the result to the register at byte offset `slot`. */
  putResult(state: Int32Array, slot: number): void {
    const { words } = this;
    const to = slot >> 2;
    const from = place.result >> 2;
    state[to] = words[from]!;
    state[to + 1] = words[from + 1]!;
    state[to + 2] = words[from + 2]!;
  }

  rawLow(): number {
    return this.words[place.raw >> 2]!;
  }

  rawHigh(): number {
    return this.words[(place.raw >> 2) + 1]!;
  }

  inexact(): boolean {
    return this.words[place.inexact >> 2] !== 0;
  }

  up(): boolean {
    return this.words[place.up >> 2] !== 0;
  }

  equal(): boolean {
    return this.words[place.equal >> 2] !== 0;
  }

  less(): boolean {
    return this.words[place.less >> 2] !== 0;
  }
}
