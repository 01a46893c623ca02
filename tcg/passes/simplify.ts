import type { IrBlock } from '../ir.ts';
import { inverse, resultBits } from '../op-tables.ts';
import { Op, type OpDef, type OpName, opDefs, opNames } from '../ops.ts';
import type { Helper } from '../target.ts';
import { isRemovable, removed } from './dead-code.ts';

/** A rule's answer, unless it is the value that replaces the op: nothing fits, or the op was rewritten in place. */
const none = -1;
const again = -2;

type Rule = (s: Simplifier, i: number) => number;

// Op numbers as module constants: a look-up in `Op` costs more than a rule.
const { const_i32, load8_u, load8_s, load16_u, load16_s, jump, call } = Op;
const { add_i32, sub_i32, and_i32, xor_i32, shl_i32, shr_s_i32, shr_u_i32 } = Op;
const { eqz_i32, eq_i32, ne_i32, extend8_s_i32, extend16_s_i32, extend_s_i64, extend_u_i64 } = Op;

// ---- rules shared by several ops; s.a, s.b, s.c are the op's operands

/** (x op c1) op c2 = x op (c1 op c2), for the associative ops. */
const reassociate: Rule = (s, i) => {
  const a = s.a[i]!;
  const b = s.b[i]!;
  if (s.op[a] !== s.op[i] || !s.owned(a) || !s.ownedConst(b) || !s.isConst(s.b[a]!)) return none;
  s.x[b] = opDefs[s.op[i]!]!.fold!(s.constant(s.b[a]!), s.constant(b), 0)!;
  return s.rewrite(i, s.op[i]!, s.a[a]!, b);
};

/** (x shift c1) shift c2 = x shift (c1 + c2); shifted out: 0, or the sign everywhere. */
const addShifts: Rule = (s, i) => {
  const a = s.a[i]!;
  const b = s.b[i]!;
  if (s.op[a] !== s.op[i] || !s.owned(a) || !s.ownedConst(b) || !s.isConst(s.b[a]!)) return none;
  const sum = (s.constant(s.b[a]!) & 31) + (s.constant(b) & 31);
  if (sum > 31 && s.op[i] !== shr_s_i32) return s.become(i, 0);
  s.x[b] = Math.min(sum, 31);
  return s.rewrite(i, s.op[i]!, s.a[a]!, b);
};

/** x op x = x */
const same: Rule = (s, i) => (s.a[i] === s.b[i] ? s.a[i]! : none);

/** What a condition tests: c ≠ 0 and eqz(eqz c) are c. */
function condition(s: Simplifier, value: number): number {
  const inner = s.a[value]!;
  if (s.op[value] === ne_i32 && s.isConst(s.b[value]!) && s.constant(s.b[value]!) === 0) return inner;
  return s.op[value] === eqz_i32 && s.op[inner] === eqz_i32 ? s.a[inner]! : value;
}

const select: Rule = (s, i) => {
  const a = s.a[i]!;
  const b = s.b[i]!;
  const c = s.c[i]!;
  // c ? x : x = x
  if (a === b) return a;
  // constant ? x : y
  if (s.isConst(c)) return s.constant(c) ? a : b;
  // c == 0 ? x : y = c ? y : x
  if (s.op[c] === eqz_i32) return s.rewrite(i, s.op[i]!, b, a, s.a[c]!);
  // c ≠ 0 ? x : y = c ? x : y
  const tested = condition(s, c);
  return tested === c ? none : s.rewrite(i, s.op[i]!, a, b, tested);
};

/** [x + c1 + c2] = [x + (c1 + c2)] where the sum is an offset; guest addresses wrap at 2^32 either way. */
const address: Rule = (s, i) => {
  const a = s.a[i]!;
  if (s.op[a] !== add_i32 || !s.owned(a) || !s.isConst(s.b[a]!)) return none;
  const offset = s.x[i]! + s.constant(s.b[a]!);
  if (offset < 0 || offset > 4095) return none;
  s.x[i] = offset;
  return s.rewrite(i, s.op[i]!, s.a[a]!, s.b[i]!, s.c[i]!);
};

/** A store of the low bits of a value: masks and extensions that leave them alone go. */
const storeLow =
  (mask: number, extensions: readonly number[]): Rule =>
  (s, i) => {
    const value = s.b[i]!;
    const masked = s.op[value] === and_i32 && s.isConst(s.b[value]!) && (s.constant(s.b[value]!) & mask) === mask;
    if (!masked && !extensions.includes(s.op[value]!)) return address(s, i);
    return s.rewrite(i, s.op[i]!, s.a[i]!, s.a[value]!);
  };

/** sign-extension of what is sign-extended already; of an unsigned load: the signed load; of masked high bits. */
const extendSigned =
  (mask: number, extended: readonly number[], unsignedLoad: number, signedLoad: number): Rule =>
  (s, i) => {
    const a = s.a[i]!;
    if (extended.includes(s.op[a]!)) return a;
    if (s.op[a] === unsignedLoad && s.owned(a)) return s.replaceLoad(a, signedLoad);
    if (s.op[a] !== and_i32 || !s.isConst(s.b[a]!) || (s.constant(s.b[a]!) & mask) !== mask) return none;
    return s.rewrite(i, s.op[i]!, s.a[a]!);
  };

/** outer(inner x) = x */
const cancels =
  (...inner: readonly number[]): Rule =>
  (s, i) =>
    inner.includes(s.op[s.a[i]!]!) ? s.a[s.a[i]!]! : none;

// ---- the rules by op. Constants are the second operand (`Builder.bin`).

const rulesByName: Partial<Record<OpName, Rule>> = {
  add_i32: (s, i) => {
    // x + 0 = x
    if (s.isConst(s.b[i]!) && s.constant(s.b[i]!) === 0) return s.a[i]!;
    return reassociate(s, i);
  },
  sub_i32: (s, i) => {
    const b = s.b[i]!;
    // x - x = 0
    if (s.a[i] === b) return s.become(i, 0);
    // x - c = x + -c
    if (!s.ownedConst(b)) return none;
    s.x[b] = -s.constant(b) | 0;
    return s.rewrite(i, add_i32, s.a[i]!, b);
  },
  and_i32: (s, i) => {
    const a = s.a[i]!;
    const b = s.b[i]!;
    // x & x = x
    if (a === b) return a;
    if (!s.isConst(b)) return none;
    const mask = s.constant(b);
    // x & mask = x, where x has no other bits
    if ((s.bits(a) & ~mask) === 0) return a;
    // x & mask = 0, where x has none of its bits
    if ((s.bits(a) & mask) === 0) return s.become(i, 0);
    // load8_s & 0xff = load8_u
    if (mask === 0xff && s.op[a] === load8_s && s.owned(a)) return s.replaceLoad(a, load8_u);
    // load16_s & 0xffff = load16_u
    if (mask === 0xffff && s.op[a] === load16_s && s.owned(a)) return s.replaceLoad(a, load16_u);
    // extend8_s(x) & mask = x & mask, where the mask is in the low bits
    if (s.op[a] === extend8_s_i32 && (mask & ~0xff) === 0) return s.rewrite(i, and_i32, s.a[a]!, b);
    // extend16_s(x) & mask = x & mask
    if (s.op[a] === extend16_s_i32 && (mask & ~0xffff) === 0) return s.rewrite(i, and_i32, s.a[a]!, b);
    return reassociate(s, i);
  },
  // x | x = x
  or_i32: (s, i) => (s.a[i] === s.b[i] ? s.a[i]! : reassociate(s, i)),
  xor_i32: (s, i) => {
    // x ^ x = 0
    if (s.a[i] === s.b[i]) return s.become(i, 0);
    // x ^ 0 = x
    if (s.isConst(s.b[i]!) && s.constant(s.b[i]!) === 0) return s.a[i]!;
    return reassociate(s, i);
  },
  shl_i32: addShifts,
  shr_u_i32: (s, i) => {
    const a = s.a[i]!;
    const b = s.b[i]!;
    // (x << c) >>> c = x & (-1 >>> c)
    if (s.op[a] === shl_i32 && s.owned(a) && s.ownedConst(b) && s.isConst(s.b[a]!)) {
      const amount = s.constant(b) & 31;
      if (amount === (s.constant(s.b[a]!) & 31)) {
        s.x[b] = (-1 >>> amount) | 0;
        return s.rewrite(i, and_i32, s.a[a]!, b);
      }
    }
    return addShifts(s, i);
  },
  shr_s_i32: (s, i) => {
    const a = s.a[i]!;
    if (s.op[a] === shl_i32 && s.owned(a) && s.isConst(s.b[i]!) && s.isConst(s.b[a]!)) {
      const amount = s.constant(s.b[i]!) & 31;
      const same = amount === (s.constant(s.b[a]!) & 31);
      // (x << 24) >> 24 = extend8_s(x)
      if (same && amount === 24) return s.rewrite(i, extend8_s_i32, s.a[a]!);
      // (x << 16) >> 16 = extend16_s(x)
      if (same && amount === 16) return s.rewrite(i, extend16_s_i32, s.a[a]!);
    }
    return addShifts(s, i);
  },
  extend8_s_i32: extendSigned(0xff, [load8_s, extend8_s_i32], load8_u, load8_s),
  extend16_s_i32: extendSigned(0xffff, [load16_s, load8_s, load8_u, extend8_s_i32, extend16_s_i32], load16_u, load16_s),
  eqz_i32: (s, i) => {
    const a = s.a[i]!;
    const inner = s.op[a]!;
    // eqz(eqz x) = x, where x is 0 or 1
    if (inner === eqz_i32 && s.bits(s.a[a]!) === 1) return s.a[a]!;
    if (!s.owned(a)) return none;
    // eqz(x < y) = x >= y, and so on
    if (inverse[inner]) return s.rewrite(i, inverse[inner]!, s.a[a]!, s.b[a]!);
    // eqz(x - y) = eqz(x ^ y) = (x == y)
    if (inner === sub_i32 || inner === xor_i32) return s.rewrite(i, eq_i32, s.a[a]!, s.b[a]!);
    // eqz(x + c) = (x == -c)
    if (inner !== add_i32 || !s.ownedConst(s.b[a]!)) return none;
    s.x[s.b[a]!] = -s.constant(s.b[a]!) | 0;
    return s.rewrite(i, eq_i32, s.a[a]!, s.b[a]!);
  },
  // (x == 0) = eqz(x)
  eq_i32: (s, i) => (s.isConst(s.b[i]!) && s.constant(s.b[i]!) === 0 ? s.rewrite(i, eqz_i32, s.a[i]!) : none),
  // (x ≠ 0) = x, where x is 0 or 1
  ne_i32: (s, i) => (s.isConst(s.b[i]!) && s.constant(s.b[i]!) === 0 && s.bits(s.a[i]!) === 1 ? s.a[i]! : none),
  // x <u 1 = eqz(x)
  lt_u_i32: (s, i) => (s.isConst(s.b[i]!) && s.constant(s.b[i]!) === 1 ? s.rewrite(i, eqz_i32, s.a[i]!) : none),
  // x >u 0 = (x ≠ 0)
  gt_u_i32: (s, i) => (s.isConst(s.b[i]!) && s.constant(s.b[i]!) === 0 ? s.rewrite(i, ne_i32, s.a[i]!, s.b[i]!) : none),
  select_i32: (s, i) => {
    const a = s.a[i]!;
    const b = s.b[i]!;
    if (s.isConst(a) && s.isConst(b)) {
      // c ? 1 : 0 = (c ≠ 0)
      if (s.constant(a) === 1 && s.constant(b) === 0) return s.rewrite(i, ne_i32, s.c[i]!, b);
      // c ? 0 : 1 = eqz(c)
      if (s.constant(a) === 0 && s.constant(b) === 1) return s.rewrite(i, eqz_i32, s.c[i]!);
    }
    return select(s, i);
  },
  // x | x = x & x = x: a move
  or_v128: same,
  and_v128: same,
  select_i64: select,
  select_f32: select,
  select_f64: select,
  select_v128: select,
  wrap_i64: cancels(extend_s_i64, extend_u_i64),
  bits_f32: cancels(Op.from_bits_f32),
  bits_f64: cancels(Op.from_bits_f64),
  from_bits_f32: cancels(Op.bits_f32),
  from_bits_f64: cancels(Op.bits_f64),
  store8: storeLow(0xff, [extend8_s_i32, extend16_s_i32]),
  store16: storeLow(0xffff, [extend16_s_i32]),
  if: (s, i) => {
    // if (c ≠ 0) = if (c)
    const tested = condition(s, s.a[i]!);
    return tested === s.a[i] ? none : s.rewrite(i, s.op[i]!, tested);
  },
  branch: (s, i) => {
    const c = s.a[i]!;
    // branch(eqz c, p, q) = branch(c, q, p)
    if (s.op[c] === eqz_i32) {
      const taken = s.x[i]!;
      s.x[i] = s.y[i]!;
      s.y[i] = taken;
      return s.rewrite(i, s.op[i]!, s.a[c]!);
    }
    // branch(c ≠ 0, p, q) = branch(c, p, q)
    const tested = condition(s, c);
    return tested === c ? none : s.rewrite(i, s.op[i]!, tested);
  },
  // jump_indirect(constant) = jump
  jump_indirect: (s, i) => (s.isConst(s.a[i]!) ? s.redirect(i, jump, s.constant(s.a[i]!), 0) : none),
  // call_indirect(constant, r) = call(constant, r)
  call_indirect: (s, i) => (s.isConst(s.a[i]!) ? s.redirect(i, call, s.constant(s.a[i]!), s.x[i]!) : none),
};

const rules: readonly (Rule | undefined)[] = opNames.map((name) => {
  const { effect }: OpDef = opDefs[Op[name]]!;
  return rulesByName[name] ?? (effect === 'load' || effect === 'store' ? address : undefined);
});

/**
 * Rewrites ops to cheaper ones that mean the same, in one scan from the start. The builder has folded constants
 * already; here are the rules that need to see two ops and how often a value is used.
 */
export class Simplifier {
  private readonly helpers: readonly Helper[];
  private block!: IrBlock;
  private uses!: Int32Array;
  op!: Uint16Array;
  a!: Int32Array;
  b!: Int32Array;
  c!: Int32Array;
  x!: Int32Array;
  y!: Int32Array;

  constructor(helpers: readonly Helper[]) {
    this.helpers = helpers;
  }

  /** `uses` as `DeadCode` or `countUses` left it, and kept so. `alias` is scratch as long as the block. */
  run(block: IrBlock, uses: Int32Array, alias: Int32Array): void {
    const { length, op, a, b, c } = block;
    this.block = block;
    this.uses = uses;
    this.op = op;
    this.a = a;
    this.b = b;
    this.c = c;
    this.x = block.x;
    this.y = block.y;
    let replaced = false;
    for (let i = 0; i < length; i++) {
      if (uses[i] === removed) continue;
      if (replaced) {
        if (a[i]! >= 0 && uses[a[i]!] === removed) a[i] = alias[a[i]!]!;
        if (b[i]! >= 0 && uses[b[i]!] === removed) b[i] = alias[b[i]!]!;
        if (c[i]! >= 0 && uses[c[i]!] === removed) c[i] = alias[c[i]!]!;
      }
      let answer = again;
      while (answer === again) answer = rules[op[i]!]?.(this, i) ?? none;
      if (answer < 0) continue;
      alias[i] = answer;
      replaced = true;
      uses[answer]! += uses[i]!;
      this.remove(i);
    }
  }

  // ---- what rules ask and do

  isConst(value: number): boolean {
    return this.op[value] === const_i32;
  }

  constant(value: number): number {
    return this.x[value]!;
  }

  /** True if the op looked at is the only user of `value`. */
  owned(value: number): boolean {
    return this.uses[value] === 1;
  }

  /** True if `value` is a constant nobody else uses: it may be given another value. */
  ownedConst(value: number): boolean {
    return this.op[value] === const_i32 && this.uses[value] === 1;
  }

  /** The bits `value` (i32) can have set. */
  bits(value: number): number {
    const op = this.op[value]!;
    if (op === const_i32) return this.x[value]!;
    if (op === and_i32 && this.isConst(this.b[value]!)) return this.constant(this.b[value]!);
    if (op === shr_u_i32 && this.isConst(this.b[value]!)) return -1 >>> (this.constant(this.b[value]!) & 31);
    return resultBits[op]!;
  }

  /** Makes op i another op with the same immediates. */
  rewrite(i: number, op: number, a: number, b = -1, c = -1): number {
    const { uses } = this;
    uses[a]!++;
    if (b >= 0) uses[b]!++;
    if (c >= 0) uses[c]!++;
    this.releaseOperands(i);
    this.op[i] = op;
    this.a[i] = a;
    this.b[i] = b;
    this.c[i] = c;
    return again;
  }

  /** Makes op i a constant. */
  become(i: number, value: number): number {
    this.redirect(i, const_i32, value, 0);
    return none;
  }

  /** Makes op i one without operands. */
  redirect(i: number, op: number, x: number, y: number): number {
    this.releaseOperands(i);
    this.op[i] = op;
    this.a[i] = this.b[i] = this.c[i] = -1;
    this.x[i] = x;
    this.y[i] = y;
    return none;
  }

  /** Makes `load` another load; the answer is the load. */
  replaceLoad(load: number, op: number): number {
    this.op[load] = op;
    return load;
  }

  private remove(i: number): void {
    this.uses[i] = removed;
    this.releaseOperands(i);
  }

  private releaseOperands(i: number): void {
    if (this.a[i]! >= 0) this.release(this.a[i]!);
    if (this.b[i]! >= 0) this.release(this.b[i]!);
    if (this.c[i]! >= 0) this.release(this.c[i]!);
  }

  private release(value: number): void {
    if (--this.uses[value]! === 0 && isRemovable(this.block, value, this.helpers)) this.remove(value);
  }
}
