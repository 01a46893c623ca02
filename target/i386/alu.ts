import type { Value } from '#tcg/builder.ts';
import { Op, type X86Context } from './context.ts';

/** ADD dst, src */
export function add(c: X86Context): void {
  const { b, flags } = c;
  const right = c.load(1);
  c.update(
    0,
    (left) => b.add(left, right),
    (left, sum) => flags.setAdd(left, right, sum, c.signed(sum, c.size(0))),
  );
}

/** ADC dst, src */
export function adc(c: X86Context): void {
  const { b, flags } = c;
  const right = c.load(1);
  const carry = flags.getCf();
  c.update(
    0,
    (left) => b.add(b.add(left, right), carry),
    (left, sum) => flags.setAdc(left, right, carry, c.signed(sum, c.size(0))),
  );
}

/** SUB dst, src */
export function sub(c: X86Context): void {
  const { b, flags } = c;
  const right = c.load(1);
  c.update(
    0,
    (left) => (left === right ? b.i32(0) : b.sub(left, right)),
    (left, difference) => flags.setSub(left, right, difference, c.signed(difference, c.size(0))),
  );
}

/** SBB dst, src */
export function sbb(c: X86Context): void {
  const { b, flags } = c;
  const right = c.load(1);
  const borrow = flags.getCf();
  c.update(
    0,
    (left) => b.sub(left === right ? b.i32(0) : b.sub(left, right), borrow),
    (left, difference) => flags.setSbb(left, right, borrow, c.signed(difference, c.size(0))),
  );
}

/** CMP first, second */
export function cmp(c: X86Context): void {
  const { b, flags } = c;
  const right = c.load(1);
  const left = c.load(0);
  const difference = b.sub(left, right);
  flags.setSub(left, right, difference, c.signed(difference, c.size(0)));
}

const logic = (operation: (c: X86Context, left: Value, right: Value) => Value) => (c: X86Context) => {
  const right = c.load(1);
  c.update(
    0,
    (left) => operation(c, left, right),
    // The result of sign-extended operands is sign-extended.
    (_left, result) => c.flags.setLogic(result),
  );
};

/** AND dst, src */
export const and = logic((c, left, right) => c.b.and(left, right));
/** OR dst, src */
export const or = logic((c, left, right) => c.b.or(left, right));
/** XOR dst, src */
export const xor = logic((c, left, right) => (left === right ? c.b.i32(0) : c.b.xor(left, right)));

/** TEST first, second */
export function test(c: X86Context): void {
  const right = c.load(1);
  const left = c.load(0);
  c.flags.setLogic(left === right ? left : c.b.and(left, right));
}

/** INC dst */
export function inc(c: X86Context): void {
  c.update(
    0,
    (left) => c.b.addImm(left, 1),
    (left, sum) => c.flags.setInc(left, sum, c.signed(sum, c.size(0))),
  );
}

/** DEC dst */
export function dec(c: X86Context): void {
  c.update(
    0,
    (left) => c.b.addImm(left, -1),
    (left, difference) => c.flags.setDec(left, difference, c.signed(difference, c.size(0))),
  );
}

/** NOT dst */
export function not(c: X86Context): void {
  c.update(
    0,
    (old) => c.b.not(old),
    () => {},
  );
}

/** NEG dst */
export function neg(c: X86Context): void {
  const { b, flags } = c;
  const zero = b.i32(0);
  c.update(
    0,
    (old) => b.sub(zero, old),
    (old, difference) => flags.setSub(zero, old, difference, c.signed(difference, c.size(0))),
  );
}

/** XADD dst, src */
export function xadd(c: X86Context): void {
  const { b, flags } = c;
  const right = c.load(1);
  const register = c.register(0) >= 0;
  c.update(
    0,
    (left) => {
      if (register) c.store(1, left);
      return b.add(left, right);
    },
    (left, sum) => {
      if (!register) c.store(1, left);
      flags.setAdd(left, right, sum, c.signed(sum, c.size(0)));
    },
  );
}

/** CMPXCHG dst, src; the accumulator is what dst is compared with */
export function cmpxchg(c: X86Context): void {
  const { b, flags } = c;
  const bytes = c.size(0);
  const source = c.load(1);
  const accumulator = c.signed(c.getRegister(0, bytes), bytes);
  let equal: Value = -1;
  c.update(
    0,
    (old) => {
      equal = b.bin(Op.eq_i32, accumulator, old);
      return b.select(equal, source, old);
    },
    (old) => {
      c.setRegister(0, bytes, b.select(equal, c.getRegister(0, bytes), old));
      const difference = b.sub(accumulator, old);
      flags.setSub(accumulator, old, difference, c.signed(difference, bytes));
    },
  );
}

/** CMPXCHG8B m64: with EDX:EAX, replaced by ECX:EBX */
export function cmpxchg8b(c: X86Context): void {
  const { b } = c;
  const pair = (low: number, high: number): Value =>
    b.bin(
      Op.or_i64,
      b.un(Op.extend_u_i64, c.reg(low)),
      b.bin(Op.shl_i64, b.un(Op.extend_u_i64, c.reg(high)), b.i64(32, 0)),
    );
  const expected = pair(0, 2);
  const old = c.loadMemory(Op.load_i64);
  const equal = b.bin(Op.eq_i64, old, expected);
  const replacement = b.tri(Op.select_i64, pair(3, 1), old, equal);
  if (c.insn.lock) c.exchangeIf(8, old, replacement);
  else c.storeMemory(Op.store_i64, replacement);
  c.setReg(0, b.select(equal, c.reg(0), b.un(Op.wrap_i64, old)));
  c.setReg(2, b.select(equal, c.reg(2), b.un(Op.wrap_i64, b.bin(Op.shr_u_i64, old, b.i64(32, 0)))));
  c.flags.setZf(b.eqz(equal));
}
