import { Builder } from '#tcg/builder.ts';
import { ExitReason } from '#tcg/cpu-page.ts';
import { copyBlock, type IrBlock } from '#tcg/ir.ts';
import { MemoryFlag, Op, type OpName, opDefs, opNames, type ValueType } from '#tcg/ops.ts';
import { type IrMachine, memoryBytes, memoryStart } from './ir-exec.ts';
import { irLayout, irRandomEnd } from './ir-state.ts';
import { valueBytes } from './ir-values.ts';

/** A repeatable random source (mulberry32). */
export class Random {
  private seed: number;

  constructor(seed: number) {
    this.seed = seed;
  }

  /** An integer in [0, n). */
  below(n: number): number {
    this.seed = (this.seed + 0x6d2b79f5) | 0;
    let t = Math.imul(this.seed ^ (this.seed >>> 15), 1 | this.seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * n);
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  word(): number {
    return this.below(2 ** 32) | 0;
  }
}

export function randomMachine(random: Random): IrMachine {
  const state = new Uint8Array(irLayout.end - irLayout.start);
  const memory = new Uint8Array(memoryBytes);
  const words = new Int32Array(state.buffer);
  for (let i = 0; i < words.length; i++) words[i] = random.pick([0, 1, -1, random.word(), random.below(256)]);
  for (let i = 0; i < 4096; i++) memory[i] = random.below(256);
  return { state, memory };
}

const ordinary = opNames.filter((name) => !['terminal', 'structure', 'marker'].includes(opDefs[Op[name]]!.effect));
const terminals = opNames.filter((name) => opDefs[Op[name]]!.effect === 'terminal');
/** Ops that the optimizer's rules are about, to be met often. */
const favourites = (
  'get_i32 set_i32 set_i32 get_i64 set_i64 set_v128 add_i32 sub_i32 and_i32 or_i32 xor_i32 shl_i32 shr_u_i32 ' +
  'shr_s_i32 eqz_i32 eqz_i32 eq_i32 ne_i32 lt_s_i32 ge_u_i32 lt_u_i32 gt_u_i32 extend8_s_i32 extend16_s_i32 ' +
  'select_i32 select_i64 load8_u load8_s load16_u load16_s load_i32 store8 store16 store_i32 wrap_i64 extend_u_i64'
).split(' ') as OpName[];
/** The ops of chains, where each uses the one before and nobody else does. */
const links = (
  'add_i32 add_i32 sub_i32 and_i32 and_i32 or_i32 xor_i32 shl_i32 shl_i32 shr_u_i32 shr_s_i32 eqz_i32 eqz_i32 eq_i32 ' +
  'ne_i32 lt_s_i32 gt_s_i32 ge_u_i32 lt_u_i32 gt_u_i32 extend8_s_i32 extend16_s_i32 clz_i32'
).split(' ') as OpName[];
const heads: readonly OpName[] = ['load8_u', 'load8_s', 'load16_u', 'load16_s', 'load_i32', 'get_i32', 'get_i32'];
const constants = [0, 1, -1, 2, 4, 8, 16, 24, 31, 0xff, 0xffff, 0x7f, 0x8000, 4095, -4, 0x7fffffff];
const busySlots = [irLayout.offset('r', 1), irLayout.offset('nf'), irLayout.offset('zf'), irLayout.offset('d') + 4];
/** Where the frame of a program begins. */
export const frameStart = memoryStart + 0x808;
/** Arithmetic whose NaN results have unspecified bits. */
const makesNan = /^(add|sub|mul|div|sqrt|ceil|floor|trunc|nearest)_f\d\d$|^demote_f64$|^promote_f32$/;
/** The same for vectors. */
const makesNanLanes =
  /^(add|sub|mul|div|min|max|sqrt|ceil|floor|trunc|nearest)_(f\d\dx\d)$|^(?:demote|promote)\w+_(f\d\dx\d)$/;

/**
 * A valid random block of about `size` ops with one defined meaning: divisions are guarded, NaN results replaced, most
 * addresses lie in memory and atomic ones are aligned.
 */
export function randomBlock(random: Random, size: number, place: BlockPlace = alone): IrBlock {
  return new Generator(random, place).block(size);
}

/** Where a block stands and where it may lead. */
export interface BlockPlace {
  readonly pc: number;
  /** The pool of direct targets. */
  target(random: Random): number;
  /** Fuel is counted, and indirect targets come from the pool too: blocks of a program. */
  readonly program: boolean;
  /** Most of what it does is saving registers in memory and giving them back. */
  readonly frames?: boolean;
}

const alone: BlockPlace = { pc: 0x10000, target: (random) => 0x10000 + 4 * random.below(64), program: false };

class Generator {
  private readonly random: Random;
  private readonly b = new Builder();
  /** Values visible now. */
  private visible: number[] = [];

  private readonly place: BlockPlace;

  constructor(random: Random, place: BlockPlace) {
    this.random = random;
    this.place = place;
  }

  block(size: number): IrBlock {
    const { b, place } = this;
    b.begin(place.pc);
    b.insn(place.pc);
    if (place.program) this.spendFuel();
    this.body(size, 0);
    b.insn(place.pc + 0xfff0);
    this.terminal();
    return copyBlock(b.block);
  }

  /** Leaves when the fuel is used up: every program ends. */
  private spendFuel(): void {
    const { b } = this;
    const fuel = b.get32(irLayout.offset('fuel'));
    b.if(b.eqz(fuel));
    b.exit(ExitReason.undefined, this.place.pc);
    b.endif();
    b.set32(irLayout.offset('fuel'), b.addImm(fuel, -1));
  }

  private body(size: number, depth: number): void {
    const { b, random } = this;
    for (let count = 0; count < size; ) {
      if (depth < 3 && random.below(12) === 0) {
        const inner = random.below(Math.min(12, size));
        this.conditional(inner, depth);
        count += inner + 2;
        continue;
      }
      // A guest instruction never begins inside a body: which instruction an op belongs to is known statically.
      if (depth === 0 && random.below(5) === 0) b.insn(this.place.pc + 4 * b.block.length);
      if (this.place.frames && random.below(4)) this.frame();
      else if (random.below(3) === 0) this.chain();
      else this.op(random.below(3) ? random.pick(favourites) : random.pick(ordinary));
      count++;
    }
  }

  private conditional(size: number, depth: number): void {
    const { b, random } = this;
    const { visible } = this;
    b.emit(Op.if, this.value('i32'));
    for (const last of random.below(2) ? [true] : [false, true]) {
      this.visible = [...visible];
      this.body(size, depth + 1);
      if (random.below(5) === 0) this.terminal();
      b.emit(last ? Op.endif : Op.else);
    }
    this.visible = visible;
  }

  private emit(name: OpName, a = -1, b = -1, c = -1, x = 0, y = 0, z = 0, w = 0): number {
    const value = this.b.emit(Op[name], a, b, c, x, y, z, w);
    if (opDefs[Op[name]]!.result) this.visible.push(value);
    return value;
  }

  private typeOf(value: number): ValueType | undefined {
    return opDefs[this.b.block.op[value]!]!.result;
  }

  private constant(type: ValueType): number {
    const { random } = this;
    const word = () => (random.below(4) ? random.pick(constants) : random.word());
    const nan = type === 'f32' || type === 'f64' ? random.pick([0x3f800000, 0x7fc00001, 0x40490fdb]) : word();
    if (type === 'i32') return this.emit('const_i32', -1, -1, -1, word());
    if (type === 'f32') return this.emit('const_f32', -1, -1, -1, nan);
    if (type === 'v128') return this.emit('const_v128', -1, -1, -1, word(), word(), word(), word());
    return this.emit(type === 'i64' ? 'const_i64' : 'const_f64', -1, -1, -1, word(), nan);
  }

  /** A visible value, most often a late one, or a new constant. */
  private value(type: ValueType): number {
    const { random } = this;
    if (random.below(5) === 0) return this.constant(type);
    const candidates = this.visible.filter((value) => this.typeOf(value) === type);
    if (candidates.length === 0) return this.constant(type);
    return random.below(3)
      ? candidates.at(-1 - random.below(Math.min(4, candidates.length)))!
      : random.pick(candidates);
  }

  private slot(type: ValueType): number {
    const bytes = valueBytes[type];
    // Few slots, so that they meet again.
    if (bytes === 4 && this.random.below(4)) return this.random.pick(busySlots);
    if (this.random.below(3)) return irLayout.offset('d');
    return irLayout.start + bytes * this.random.below(Math.floor((irRandomEnd - irLayout.start) / bytes));
  }

  private masked(value: number, mask: number, or: number): number {
    const low = this.emit('and_i32', value, this.emit('const_i32', -1, -1, -1, mask));
    return this.emit('or_i32', low, this.emit('const_i32', -1, -1, -1, or));
  }

  private address(aligned: boolean): number {
    if (!aligned && this.place.frames && this.random.below(3) === 0) return this.frameAddress();
    const inside = this.masked(this.value('i32'), aligned ? 0xff0 : 0xfff, memoryStart);
    if (aligned || this.random.below(3)) return inside;
    if (this.random.below(20) === 0) return this.value('i32');
    return this.emit(
      'add_i32',
      inside,
      this.emit('const_i32', -1, -1, -1, this.random.pick([4, 8, 12, -8, 32, 4090, -200])),
    );
  }

  /** An address in the frame, made from its base, or from something else that happens to lead there. */
  private frameAddress(): number {
    if (this.random.below(2)) return this.masked(this.value('i32'), 0x1f, frameStart - 8);
    const offset = this.emit('const_i32', -1, -1, -1, this.random.pick([0, 4, 8, 2, -4]));
    return this.emit('add_i32', this.word('sp'), offset);
  }

  private word(name: 'r' | 'sp', index = 0): number {
    return this.emit('get_i32', -1, -1, -1, irLayout.offset(name, index));
  }

  /** Saves a register in the frame, gives it back from there, or moves the frame: what functions do. */
  private frame(): void {
    const { random } = this;
    const saved = random.below(3);
    const set = (value: number, offset: number): number => this.emit('set_i32', value, -1, -1, offset);
    switch (random.below(8)) {
      case 6:
        this.op(random.pick(['store8', 'store_i32', 'load_i32', 'cmpxchg_i32']));
        break;
      case 0: {
        const by = this.emit('const_i32', -1, -1, -1, random.pick([-8, 8, 4]));
        set(this.emit('add_i32', this.word('sp'), by), irLayout.offset('sp'));
        break;
      }
      case 1:
      case 2:
        this.emit('store_i32', this.word('sp'), this.word('r', saved), -1, 4 * saved);
        break;
      case 3:
        set(this.value('i32'), irLayout.offset('r', saved));
        break;
      default:
        set(this.emit('load_i32', this.word('sp'), -1, -1, 4 * saved), irLayout.offset('r', saved));
    }
  }

  /** A load or get, ops each on the one before, and a use of the last. */
  private chain(): void {
    const { random } = this;
    this.op(random.pick(heads));
    let value = this.visible.pop()!;
    const amount = random.pick(constants);
    for (let length = 1 + random.below(4); length > 0; length--) {
      const name = random.pick(links);
      const second = random.below(3) ? amount : random.pick(constants);
      const b = opDefs[Op[name]]!.args.length < 2 ? -1 : this.b.i32(second);
      value = this.b.emit(Op[name], value, b);
    }
    switch (random.below(6)) {
      case 0:
        value = this.b.emit(Op.select_i32, this.value('i32'), this.value('i32'), value);
        break;
      case 1:
        this.b.emit(random.pick([Op.store8, Op.store16]), this.address(false), value);
        return;
      case 2: {
        const stored = this.value('i32');
        this.b.emit(Op.if, value);
        this.b.emit(Op.set_i32, stored, -1, -1, this.slot('i32'));
        this.b.emit(Op.endif);
        return;
      }
      case 3:
        this.visible.push(value);
        return;
      default:
        break;
    }
    this.b.emit(Op.set_i32, value, -1, -1, this.slot('i32'));
  }

  private op(name: OpName): void {
    const { random } = this;
    const { args, effect, result, immediates, bytes16 } = opDefs[Op[name]]!;
    const exchange = name.startsWith('cmpxchg');
    const operands = args.map((type, k) => {
      if (k === 0 && (effect === 'load' || effect === 'store' || effect === 'probe')) return this.address(exchange);
      return this.value(type);
    });
    if (/^(div|rem)_[su]_i32/.test(name)) operands[1] = this.masked(operands[1]!, 0xff, 1);
    if (/^(div|rem)_[su]_i64/.test(name)) operands[1] = this.emit('const_i64', -1, -1, -1, random.below(99) + 1, 0);
    // What memory held is zero-extended: so must be what it is compared with.
    if (name === 'cmpxchg8' || name === 'cmpxchg16') operands[1] = this.masked(operands[1]!, 0xff, 0);
    const words = (immediates ?? []).map((kind) => {
      switch (kind) {
        case 'slot':
          return this.slot(result ?? args[0]!);
        case 'offset':
          return exchange ? 0 : random.pick([0, 0, 0, 4, 8, 16, 4090]);
        case 'lane':
          return random.below(Number(/x(\d+)$/.exec(name)![1]));
        case 'helper':
          return random.below(2);
        case 'size':
          return random.pick([1, 4, 16]);
        case 'access':
          return 1 + random.below(3);
        case 'int':
        case 'high':
          return effect === 'pure' ? random.pick(constants) : 0;
        case 'pc':
        case 'reason':
        case 'table':
        case 'aux':
          throw new Error(`${name} is made elsewhere`);
      }
    });
    const bytes = () => random.word() & 0x1f1f1f1f;
    if (bytes16) words.push(bytes(), bytes(), bytes(), bytes());
    if ((effect === 'load' || effect === 'store') && !exchange && words[0]! < 200 && random.below(5) === 0) {
      this.emit('probe', operands[0], -1, -1, words[0]! + 16, effect === 'load' ? 1 : 2);
      words[1] = MemoryFlag.probed;
    }
    const value = this.emit(name, operands[0], operands[1], operands[2], words[0], words[1], words[2], words[3]);
    const lanes = makesNanLanes.exec(name);
    if (lanes) {
      const nan = this.emit(`ne_${(lanes[2] ?? lanes[3]) as 'f32x4' | 'f64x2'}`, value, value);
      this.visible = this.visible.filter((other) => other !== value);
      this.emit('bitselect_v128', this.constant('v128'), value, nan);
      return;
    }
    if (!makesNan.test(name)) return;
    const ordered = this.emit(`eq_${result as 'f32' | 'f64'}`, value, value);
    this.visible = this.visible.filter((other) => other !== value);
    this.emit(`select_${result as 'f32' | 'f64'}`, value, this.constant(result!), ordered);
  }

  private terminal(): void {
    const { b, random } = this;
    const name = random.pick(terminals);
    const pc = () => this.place.target(random);
    const indirect = name === 'return' || name === 'jump_indirect' || name === 'call_indirect';
    let a = opDefs[Op[name]]!.args.length ? this.value('i32') : -1;
    if (indirect && this.place.program) a = this.b.emit(Op.select_i32, this.b.i32(pc()), this.b.i32(pc()), a);
    if (name === 'switch') b.switch(a, [pc(), pc()], pc());
    else if (name === 'exit') b.emit(Op.exit, a, -1, -1, random.pick([ExitReason.syscall, ExitReason.undefined]), pc());
    else {
      const count = opDefs[Op[name]]!.immediates?.length ?? 0;
      b.emit(Op[name], a, -1, -1, count > 0 ? pc() : 0, count > 1 ? pc() : 0);
    }
  }
}
