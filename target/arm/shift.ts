import type { Value } from '#tcg/builder.ts';
import { Op } from '#tcg/ops.ts';
import type { ArmContext } from './context.ts';

/** Shift types as encoded (DDI 0406C A8.4). ROR by immediate 0 is RRX. */
export const Shift = { lsl: 0, lsr: 1, asr: 2, ror: 3 } as const;

/** A shifter's result, and its carry out: -1 where C stays as it is or was not asked for. One reused record. */
export interface Shifted {
  value: Value;
  carry: Value;
}

const shifted: Shifted = { value: -1, carry: -1 };

function give(value: Value, carry: Value): Shifted {
  shifted.value = value;
  shifted.carry = carry;
  return shifted;
}

/** A constant operand; `rotated`: its bit 31 is the carry out. */
export function shiftedConstant(c: ArmContext, value: number, rotated: boolean, wantCarry: boolean): Shifted {
  return give(c.b.i32(value), rotated && wantCarry ? c.b.i32(value >>> 31) : -1);
}

const bit = (c: ArmContext, value: Value, number: number): Value => c.b.andImm(c.b.shrUImm(value, number), 1);

/** Shift_C with the amount of an encoding: `imm5` as it stands there (LSR, ASR 0: 32; ROR 0: RRX). */
export function shiftImmediate(c: ArmContext, value: Value, type: number, imm5: number, wantCarry: boolean): Shifted {
  const { b } = c;
  switch (type) {
    case Shift.lsl:
      if (imm5 === 0) return give(value, -1);
      return give(b.shlImm(value, imm5), wantCarry ? bit(c, value, 32 - imm5) : -1);
    case Shift.lsr:
      if (imm5 === 0) return give(b.i32(0), wantCarry ? b.shrUImm(value, 31) : -1);
      return give(b.shrUImm(value, imm5), wantCarry ? bit(c, value, imm5 - 1) : -1);
    case Shift.asr:
      if (imm5 === 0) return give(b.shrSImm(value, 31), wantCarry ? b.shrUImm(value, 31) : -1);
      return give(b.shrSImm(value, imm5), wantCarry ? bit(c, value, imm5 - 1) : -1);
    default: {
      if (imm5 === 0) {
        const top = b.shlImm(c.flags.getC(), 31);
        return give(b.or(top, b.shrUImm(value, 1)), wantCarry ? b.andImm(value, 1) : -1);
      }
      return give(b.rotrImm(value, imm5), wantCarry ? bit(c, value, imm5 - 1) : -1);
    }
  }
}

/** Shift_C by the low byte of `by`: amounts 0…255. */
export function shiftRegister(c: ArmContext, value: Value, type: number, by: Value, wantCarry: boolean): Shifted {
  const { b } = c;
  const amount = b.andImm(by, 255);
  const zero = b.i32(0);
  switch (type) {
    case Shift.lsl: {
      const result = b.select(b.bin(Op.lt_u_i32, amount, b.i32(32)), b.shl(value, amount), zero);
      if (!wantCarry) return give(result, -1);
      const out = b.andImm(b.shrU(value, b.sub(b.i32(32), amount)), 1);
      return give(result, carryIfShifted(c, amount, b.select(b.bin(Op.le_u_i32, amount, b.i32(32)), out, zero)));
    }
    case Shift.lsr: {
      const result = b.select(b.bin(Op.lt_u_i32, amount, b.i32(32)), b.shrU(value, amount), zero);
      if (!wantCarry) return give(result, -1);
      const out = b.andImm(b.shrU(value, b.addImm(amount, -1)), 1);
      return give(result, carryIfShifted(c, amount, b.select(b.bin(Op.le_u_i32, amount, b.i32(32)), out, zero)));
    }
    case Shift.asr: {
      const short = b.bin(Op.lt_u_i32, amount, b.i32(32));
      const result = b.shrS(value, b.select(short, amount, b.i32(31)));
      if (!wantCarry) return give(result, -1);
      const out = b.shrS(value, b.select(short, b.addImm(amount, -1), b.i32(31)));
      return give(result, carryIfShifted(c, amount, b.andImm(out, 1)));
    }
    default: {
      const result = b.rotr(value, amount);
      return give(result, wantCarry ? carryIfShifted(c, amount, b.shrUImm(result, 31)) : -1);
    }
  }
}

function carryIfShifted(c: ArmContext, amount: Value, out: Value): Value {
  return c.b.select(amount, out, c.flags.getC());
}

/** ARMExpandImm of a 12-bit immediate (A5.2.4); the carry is bit 31 of the value if it is rotated. */
export function expandA32(imm12: number): number {
  const rotation = (imm12 >>> 8) * 2;
  const value = imm12 & 255;
  return (value >>> rotation) | (value << ((32 - rotation) & 31));
}

export const rotatedA32 = (imm12: number): boolean => imm12 >>> 8 !== 0;

/** ThumbExpandImm of i:imm3:imm8 (A6.3.2). */
export function expandT32(imm12: number): number {
  const byte = imm12 & 255;
  if (rotatedT32(imm12)) {
    const rotation = imm12 >>> 7;
    const value = 0x80 | (imm12 & 127);
    return (value >>> rotation) | (value << (32 - rotation));
  }
  switch (imm12 >>> 8) {
    case 0:
      return byte;
    case 1:
      return (byte << 16) | byte;
    case 2:
      return (byte << 24) | (byte << 8);
    default:
      return (byte << 24) | (byte << 16) | (byte << 8) | byte;
  }
}

export const rotatedT32 = (imm12: number): boolean => imm12 >>> 10 !== 0;
