import type { Value } from '#tcg/builder.ts';
import { Op, type X86Context } from './context.ts';

/*
 * Shifts and rotates. The count is taken modulo 32; a count of 0 leaves the flags alone. OF is defined for a count of 1;
 * for others the same formula is used. AF is left open by the manual, CF where the count exceeds the operand.
 */

/** The count, operand n, modulo 32. */
function countOf(c: X86Context, n: number): Value {
  return c.b.andImm(c.loadAny(n), 31);
}

/** Runs `set` where the count is not 0. */
function unlessZero(c: X86Context, count: Value, set: () => void): void {
  const { b } = c;
  if (b.isConst(count)) {
    if (b.constOf(count) !== 0) set();
    return;
  }
  b.if(count);
  set();
  b.endif();
}

/** Sets all flags of a shift from its sign-extended result, CF and OF. */
function setShiftFlags(c: X86Context, result: Value, carry: Value, overflow: Value): void {
  const { flags } = c;
  flags.setResult(result);
  flags.clearAf(result);
  flags.setCf(carry);
  flags.setOf(overflow);
}

/** Bit `n` (a value, modulo 32) of `value`, as 0 or 1. */
const bit = (c: X86Context, value: Value, n: Value): Value => c.b.andImm(c.b.shrU(value, n), 1);

/** The lowest bit as bit 31. */
const top = (c: X86Context, value: Value): Value => c.b.shlImm(value, 31);

/** SHL dst, count */
export function shl(c: X86Context): void {
  const { b } = c;
  const bits = 8 * c.size(0);
  const count = countOf(c, 1);
  c.update(
    0,
    (old) => b.shl(c.unsigned(old, bits / 8), count),
    (old, shifted) => {
      unlessZero(c, count, () => {
        const carry = bits === 32 ? bit(c, old, b.sub(b.i32(32), count)) : bit(c, shifted, b.i32(bits));
        const result = c.signed(shifted, bits / 8);
        setShiftFlags(c, result, carry, b.xor(result, top(c, carry)));
      });
    },
  );
}

/** SHR dst, count */
export function shr(c: X86Context): void {
  const { b } = c;
  const bytes = c.size(0);
  const count = countOf(c, 1);
  c.update(
    0,
    (old) => b.shrU(c.unsigned(old, bytes), count),
    (old, shifted) => {
      unlessZero(c, count, () => {
        const carry = bit(c, c.unsigned(old, bytes), b.addImm(count, -1));
        setShiftFlags(c, c.signed(shifted, bytes), carry, old);
      });
    },
  );
}

/** SAR dst, count */
export function sar(c: X86Context): void {
  const { b } = c;
  const count = countOf(c, 1);
  c.update(
    0,
    (old) => b.shrS(old, count),
    (old, shifted) => {
      unlessZero(c, count, () => setShiftFlags(c, shifted, bit(c, old, b.addImm(count, -1)), b.i32(0)));
    },
  );
}

/** The operand repeated through 32 bits, so that a 32-bit rotate rotates it. */
function repeated(c: X86Context, value: Value, bytes: number): Value {
  const { b } = c;
  if (bytes === 4) return value;
  return b.mul(c.unsigned(value, bytes), b.i32(bytes === 1 ? 0x01010101 : 0x00010001));
}

/** ROL dst, count */
export function rol(c: X86Context): void {
  const { b, flags } = c;
  const bytes = c.size(0);
  const count = countOf(c, 1);
  c.update(
    0,
    (old) => b.bin(Op.rotl_i32, repeated(c, old, bytes), count),
    (_old, rotated) => {
      unlessZero(c, count, () => {
        const carry = b.andImm(rotated, 1);
        flags.setCf(carry);
        flags.setOf(b.xor(c.signed(rotated, bytes), top(c, carry)));
      });
    },
  );
}

/** ROR dst, count */
export function ror(c: X86Context): void {
  const { b, flags } = c;
  const bytes = c.size(0);
  const count = countOf(c, 1);
  c.update(
    0,
    (old) => b.rotr(repeated(c, old, bytes), count),
    (_old, rotated) => {
      unlessZero(c, count, () => {
        const result = c.signed(rotated, bytes);
        flags.setCf(b.shrUImm(result, 31));
        flags.setOf(b.xor(result, b.shlImm(rotated, 33 - 8 * bytes)));
      });
    },
  );
}

/** Operand and carry turned as one number: the operand, and the carry after it. */
interface Turned {
  readonly value: Value;
  readonly carry: Value;
}

/** RCL, RCR: `overflow` gives OF from the operand afterwards and the carry. */
const rotateThroughCarry =
  (
    turn32: (c: X86Context, old: Value, carryIn: Value, count: Value) => Turned,
    turn: (c: X86Context, old: Value, carryIn: Value, count: Value, bits: number) => Turned,
    overflow: (c: X86Context, rotated: Value, carry: Value, bits: number) => Value,
  ) =>
  (c: X86Context): void => {
    const { flags } = c;
    const bits = 8 * c.size(0);
    const count = countOf(c, 1);
    const carryIn = flags.getCf();
    let carry: Value = -1;
    c.update(
      0,
      (old) => {
        const turned = bits === 32 ? turn32(c, old, carryIn, count) : turn(c, old, carryIn, count, bits);
        carry = turned.carry;
        return turned.value;
      },
      (_old, rotated) => {
        unlessZero(c, count, () => {
          flags.setCf(carry);
          flags.setOf(c.b.xor(c.signed(rotated, bits / 8), overflow(c, rotated, carry, bits)));
        });
      },
    );
  };

/** RCL dst, count */
export const rcl = rotateThroughCarry(rotateLeft33, rotateLeft, (c, _rotated, carry) => top(c, carry));

/** RCR dst, count */
export const rcr = rotateThroughCarry(rotateRight33, rotateRight, ({ b }, rotated, _carry, bits) =>
  b.shlImm(rotated, 33 - bits),
);

interface Turned {
  readonly value: Value;
  readonly carry: Value;
}

/** The operand of 32 bits and CF turned left by 0…31. */
function rotateLeft33(c: X86Context, old: Value, carry: Value, count: Value): Turned {
  const { b } = c;
  const back = b.sub(b.i32(32), count);
  const value = b.or(b.or(b.shl(old, count), b.shl(carry, b.addImm(count, -1))), b.shrU(b.shrUImm(old, 1), back));
  return { value: b.select(count, value, old), carry: bit(c, old, back) };
}

/** The same to the right. */
function rotateRight33(c: X86Context, old: Value, carry: Value, count: Value): Turned {
  const { b } = c;
  const back = b.sub(b.i32(32), count);
  const value = b.or(b.or(b.shrU(old, count), b.shl(carry, back)), b.shl(b.shlImm(old, 1), back));
  return { value: b.select(count, value, old), carry: bit(c, old, b.addImm(count, -1)) };
}

/** The operand of 8 or 16 bits and CF above it turned left by count modulo its bits + 1. */
function rotateLeft(c: X86Context, old: Value, carry: Value, count: Value, bits: number): Turned {
  const { b } = c;
  return turn(c, old, carry, b.bin(Op.rem_u_i32, count, b.i32(bits + 1)), bits);
}

function rotateRight(c: X86Context, old: Value, carry: Value, count: Value, bits: number): Turned {
  const { b } = c;
  return turn(c, old, carry, b.sub(b.i32(bits + 1), b.bin(Op.rem_u_i32, count, b.i32(bits + 1))), bits);
}

/** Turned left by 0 to bits + 1. */
function turn(c: X86Context, old: Value, carry: Value, count: Value, bits: number): Turned {
  const { b } = c;
  const whole = b.or(c.unsigned(old, bits / 8), b.shlImm(carry, bits));
  const value = b.or(b.shl(whole, count), b.shrU(whole, b.sub(b.i32(bits + 1), count)));
  return { value, carry: bit(c, value, b.i32(bits)) };
}

/** SHLD dst, src, count */
export function shld(c: X86Context): void {
  const { b } = c;
  const bytes = c.size(0);
  const source = c.loadUnsigned(1);
  const count = countOf(c, 2);
  const back = b.sub(b.i32(32), count);
  c.update(
    0,
    (old) => {
      if (bytes === 2) return b.shrUImm(b.bin(Op.rotl_i32, b.or(b.shlImm(old, 16), source), count), 16);
      return b.select(count, b.or(b.shl(old, count), b.shrU(source, back)), old);
    },
    (old, shifted) => {
      unlessZero(c, count, () => {
        const carry = bytes === 2 ? bit(c, b.shlImm(old, 16), back) : bit(c, old, back);
        const result = c.signed(shifted, bytes);
        setShiftFlags(c, result, carry, b.xor(result, old));
      });
    },
  );
}

/** SHRD dst, src, count */
export function shrd(c: X86Context): void {
  const { b } = c;
  const bytes = c.size(0);
  const source = c.loadUnsigned(1);
  const count = countOf(c, 2);
  c.update(
    0,
    (old) => {
      if (bytes === 2) return b.rotr(b.or(c.unsigned(old, 2), b.shlImm(source, 16)), count);
      const back = b.sub(b.i32(32), count);
      return b.select(count, b.or(b.shrU(old, count), b.shl(source, back)), old);
    },
    (old, shifted) => {
      unlessZero(c, count, () => {
        const result = c.signed(shifted, bytes);
        setShiftFlags(c, result, bit(c, c.unsigned(old, bytes), b.addImm(count, -1)), b.xor(result, old));
      });
    },
  );
}
