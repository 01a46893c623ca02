import { ExitReason } from '#tcg/cpu-page.ts';
import { type IrBlock, irError } from '#tcg/ir.ts';
import { Op, type OpName, opDefs, opNames, type ValueType } from '#tcg/ops.ts';
import { type IrExecutor, type IrMachine, type IrOutcome, irHelpers, memoryStart, pageAccess } from './ir-exec.ts';
import { irLayout } from './ir-state.ts';
import { type IrValue, pureOps, readValue, valueBytes, writeValue } from './ir-values.ts';

interface Access {
  readonly bytes: number;
  readonly type: ValueType;
  readonly signed: boolean;
}

/** What a load, store or cmpxchg accesses, from its name. */
function accessOf(name: OpName): Access {
  const [, size, type, sign] = /^(?:load|store|cmpxchg)(?:(8|16)|_([a-z]\d+))(_s|_u)?$/.exec(name)!;
  if (size !== undefined) return { bytes: Number(size) / 8, type: 'i32', signed: sign === '_s' };
  return { bytes: valueBytes[type as ValueType], type: type as ValueType, signed: false };
}

/** Thrown by an access outside guest memory. */
class Fault {
  readonly address: number;

  constructor(address: number) {
    this.address = address;
  }
}

/** The straightforward evaluator the others are compared with. */
export const reference: IrExecutor = {
  name: 'reference',
  run: (block, initial) => evaluate(block, { state: initial.state, memory: initial.memory.slice() }),
};

/** The same, but writes to the memory it is given. */
export const evaluate = (block: IrBlock, machine: IrMachine, access = pageAccess): IrOutcome =>
  new Evaluator(block, machine, access).run();

class Evaluator {
  private readonly block: IrBlock;
  private readonly page = new Uint8Array(irLayout.end);
  private readonly state = new DataView(this.page.buffer);
  private readonly memory: Uint8Array;
  private readonly values: IrValue[] = [];
  private readonly pageAccessOf: typeof pageAccess;
  private insnPc = 0;

  constructor(block: IrBlock, initial: IrMachine, pageAccessOf: typeof pageAccess) {
    this.block = block;
    this.pageAccessOf = pageAccessOf;
    this.page.set(initial.state, irLayout.start);
    this.memory = initial.memory;
  }

  run(): IrOutcome {
    const { block } = this;
    try {
      for (let i = 0; i < block.length; i++) {
        const { effect } = opDefs[block.op[i]!]!;
        if (effect === 'terminal') return this.leave(i);
        if (effect === 'structure') i = this.structure(i);
        else this.values[i] = this.op(i, opNames[block.op[i]!]!);
      }
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      return this.outcome(ExitReason.fault, this.insnPc, error.address);
    }
    return irError(block, block.length - 1, 'ran off the end');
  }

  private outcome(reason: ExitReason, pc: number, argument = 0): IrOutcome {
    return { reason, pc, argument, state: this.page.slice(irLayout.start), memory: this.memory };
  }

  private operand(index: number): number {
    return this.values[index] as number;
  }

  private leave(i: number): IrOutcome {
    const { op, a, x, y, tables } = this.block;
    const target = this.operand(a[i]!);
    switch (op[i]) {
      case Op.jump:
      case Op.call:
        return this.outcome(ExitReason.none, x[i]!);
      case Op.branch:
        return this.outcome(ExitReason.none, target ? x[i]! : y[i]!);
      case Op.switch: {
        const table = tables[x[i]!]!;
        return this.outcome(ExitReason.none, table[Math.min(target >>> 0, table.length - 1)]!);
      }
      case Op.exit:
        return this.outcome(x[i] as ExitReason, y[i]!, target);
      default:
        return this.outcome(ExitReason.none, target);
    }
  }

  /** The index before the op to go on with. */
  private structure(i: number): number {
    const { op, a } = this.block;
    if (op[i] === Op.endif || (op[i] === Op.if && this.operand(a[i]!) !== 0)) return i;
    let depth = 0;
    for (let next = i + 1; ; next++) {
      if (op[next] === Op.if) depth++;
      if (depth === 0 && (op[next] === Op.endif || (op[next] === Op.else && op[i] === Op.if))) return next;
      if (op[next] === Op.endif) depth--;
    }
  }

  private op(i: number, name: OpName): IrValue {
    const { a, b, c, x, y, z, w } = this.block;
    const { effect, result, args } = opDefs[Op[name]]!;
    const [first, second, third] = [this.values[a[i]!]!, this.values[b[i]!]!, this.values[c[i]!]!];
    switch (effect) {
      case 'pure': {
        const words = Int32Array.of(z[i]!, x[i]!, y[i]!, w[i]!);
        if (name === 'const_v128') return new Uint8Array(words.buffer);
        if (name === 'const_i32' || name === 'const_f32') return x[i]!;
        if (name === 'const_i64' || name === 'const_f64') return (BigInt(y[i]!) << 32n) | BigInt(x[i]! >>> 0);
        return pureOps[name]!(first as never, second as never, third as never, x[i]!, new Uint8Array(words.buffer));
      }
      case 'get':
        return readValue(this.state, x[i]!, result!);
      case 'set':
        writeValue(this.state, x[i]!, args[0]!, first);
        return 0;
      case 'load':
        return this.load(this.access((first as number) + x[i]!, accessOf(name).bytes, 1), accessOf(name));
      case 'store':
        return this.store(name, (first as number) + x[i]!, second, third);
      case 'probe':
        this.access(first as number, x[i]!, y[i]!);
        return 0;
      case 'helper':
        return this.helper(x[i]!, first as number, second as number, third as number);
      case 'marker':
        this.insnPc = x[i]!;
        return 0;
      case 'fence':
        return 0;
      case 'structure':
      case 'terminal':
        return irError(this.block, i, 'is not executed here');
    }
  }

  private helper(index: number, a = 0, b = 0, c = 0): number {
    const { buffer } = this.page;
    const cpu = {
      u8: this.page,
      i32: new Int32Array(buffer),
      f32: new Float32Array(buffer),
      f64: new Float64Array(buffer),
      i64: new BigInt64Array(buffer),
    };
    return irHelpers[index]!.call(cpu, a, b, c) | 0;
  }

  /** Index into memory of a guest access; `kind`: 1 read, 2 write, 3 both. */
  private access(address: number, bytes: number, kind: number): number {
    const ends = [address >>> 0, (address + bytes - 1) >>> 0];
    if (ends.some((end) => (this.pageAccessOf(end) & kind) !== kind)) throw new Fault(address | 0);
    return (address - memoryStart) >>> 0;
  }

  private load(index: number, { bytes, type, signed }: Access): IrValue {
    const padded = new Uint8Array(16);
    padded.set(this.memory.subarray(index, index + bytes));
    if (signed && padded[bytes - 1]! & 0x80) padded.fill(0xff, bytes);
    return readValue(new DataView(padded.buffer), 0, type);
  }

  private store(name: OpName, address: number, second: IrValue, third: IrValue): IrValue {
    const access = accessOf(name);
    const exchange = name.startsWith('cmpxchg');
    const index = this.access(address, access.bytes, exchange ? 3 : 2);
    const before = this.load(index, access);
    if (exchange && before !== second) return before;
    const padded = new Uint8Array(16);
    writeValue(new DataView(padded.buffer), 0, access.type, exchange ? third : second);
    this.memory.set(padded.subarray(0, access.bytes), index);
    return before;
  }
}
