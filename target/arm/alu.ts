import type { Value } from '#tcg/builder.ts';
import type { ArmContext } from './context.ts';
import type { Shifted } from './shift.ts';
import { slotR } from './state.ts';

/** Value of an `s` field for 16-bit encodings: the flags are set outside IT blocks. */
export const outsideIt = 2;

export const setsFlags = (c: ArmContext, s: number): boolean => s === 1 || (s === outsideIt && !c.inIt);

/** A data-processing operation of Rn and the shifter operand. */
export interface Alu {
  /** Logical operations take C from the shifter. */
  readonly logical: boolean;
  /** Reads Rn. */
  readonly readsRn: boolean;
  /** Writes Rd; comparisons do not. */
  readonly writesRd: boolean;
  readonly result: (c: ArmContext, rn: Value, operand: Value) => Value;
  /** Sets N, Z and, if arithmetic, C and V. */
  readonly flags: (c: ArmContext, rn: Value, operand: Value, result: Value) => void;
}

const nz = (c: ArmContext, _rn: Value, _operand: Value, result: Value): void => c.flags.setNz(result);
const logical = (result: Alu['result']): Alu => ({ logical: true, readsRn: true, writesRd: true, result, flags: nz });
const unary = (result: Alu['result']): Alu => ({ logical: true, readsRn: false, writesRd: true, result, flags: nz });
const arithmetic = (result: Alu['result'], flags: Alu['flags']): Alu => ({
  logical: false,
  readsRn: true,
  writesRd: true,
  result,
  flags,
});
const compare = (alu: Alu): Alu => ({ ...alu, writesRd: false });

/** left − right − 1 + C as an addition. */
const sbc = (c: ArmContext, left: Value, right: Value): Value => c.b.sub(c.b.sub(left, right), c.b.eqz(c.flags.getC()));

export const and = logical((c, rn, operand) => c.b.and(rn, operand));
export const eor = logical((c, rn, operand) => c.b.xor(rn, operand));
export const orr = logical((c, rn, operand) => c.b.or(rn, operand));
export const bic = logical((c, rn, operand) => c.b.and(rn, c.b.not(operand)));
export const orn = logical((c, rn, operand) => c.b.or(rn, c.b.not(operand)));
export const mov = unary((_c, _rn, operand) => operand);
export const mvn = unary((c, _rn, operand) => c.b.not(operand));
export const add = arithmetic(
  (c, rn, operand) => c.b.add(rn, operand),
  (c, rn, operand, result) => c.flags.setAdd(rn, operand, result),
);
export const sub = arithmetic(
  (c, rn, operand) => c.b.sub(rn, operand),
  (c, rn, operand, result) => c.flags.setSub(rn, operand, result),
);
export const rsb = arithmetic(
  (c, rn, operand) => c.b.sub(operand, rn),
  (c, rn, operand, result) => c.flags.setSub(operand, rn, result),
);
export const adc = arithmetic(
  (c, rn, operand) => c.b.add(c.b.add(rn, operand), c.flags.getC()),
  (c, rn, operand, result) => c.flags.setAdc(rn, operand, result),
);
export const sbcOp = arithmetic(
  (c, rn, operand) => sbc(c, rn, operand),
  (c, rn, operand, result) => c.flags.setAdc(rn, c.b.not(operand), result),
);
export const rsc = arithmetic(
  (c, rn, operand) => sbc(c, operand, rn),
  (c, rn, operand, result) => c.flags.setAdc(operand, c.b.not(rn), result),
);
export const tst = compare(and);
export const teq = compare(eor);
export const cmp = compare(sub);
export const cmn = compare(add);

/**
 * Computes `alu` of Rn and the shifted operand, sets the flags if `s`, writes Rd. `rn` is the value of Rn, -1 if the
 * operation has none. Writing R15 and the flags would be an exception return: undefined in user mode.
 */
export function execute(c: ArmContext, alu: Alu, rd: number, rn: Value, operand: Shifted, s: boolean): void {
  const { value, carry } = operand;
  if (alu.writesRd && rd === 15 && s) {
    if (c.system?.privileged) c.system.exceptionReturn(c, alu.result(c, rn, value));
    else c.unpredictable();
    return;
  }
  const result = alu.result(c, rn, value);
  if (s) {
    alu.flags(c, rn, value, result);
    if (alu.logical && carry >= 0) c.flags.setC(carry);
  }
  if (!alu.writesRd) return;
  if (rd !== 15) c.setReg(rd, result);
  else c.aluWritePC(result, result === c.b.known32(slotR(14)) ? 'return' : 'jump');
}

/** Rn as the operation needs it: -1 if it reads none. */
export const operandRn = (c: ArmContext, alu: Alu, rn: number): Value => (alu.readsRn ? c.reg(rn) : -1);
