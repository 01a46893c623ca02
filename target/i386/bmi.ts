import type { Value } from '#tcg/builder.ts';
import { Op, Reg, type X86Context } from './context.ts';
import { defineHelper } from './helpers.ts';

/* Bit manipulation of BMI1 and BMI2 (encoded by VEX), and the carry chains of ADX. Operands have 32 bits. */

/** ZF and SF from a result, OF = 0, CF as given. AF and PF are open. */
function setFlags(c: X86Context, result: Value, carry: Value): void {
  const { flags } = c;
  flags.setLogic(result);
  flags.setCf(carry);
}

/** ANDN dst, inverted, src */
export function andn(c: X86Context): void {
  const { b } = c;
  const result = b.and(b.not(c.load(1)), c.load(2));
  c.store(0, result);
  c.flags.setLogic(result);
}

/** The low `count` bits (0…255) of a value. */
function lowBits(c: X86Context, value: Value, count: Value): Value {
  const { b } = c;
  const mask = b.addImm(b.shl(b.i32(1), count), -1);
  return b.select(b.bin(Op.lt_u_i32, count, b.i32(32)), b.and(value, mask), value);
}

/** BEXTR dst, src, control: control[15:8] bits of src from bit control[7:0] on */
export function bextr(c: X86Context): void {
  const { b } = c;
  const source = c.load(1);
  const control = c.load(2);
  const start = b.andImm(control, 0xff);
  const shifted = b.select(b.bin(Op.lt_u_i32, start, b.i32(32)), b.shrU(source, start), b.i32(0));
  const result = lowBits(c, shifted, b.andImm(b.shrUImm(control, 8), 0xff));
  c.store(0, result);
  c.flags.setLogic(result);
}

/** BLSI dst, src: the lowest bit that is set; CF if there is one */
export function blsi(c: X86Context): void {
  const { b } = c;
  const source = c.load(1);
  const result = b.and(b.sub(b.i32(0), source), source);
  c.store(0, result);
  setFlags(c, result, b.bin(Op.ne_i32, source, b.i32(0)));
}

/** BLSMSK and BLSR dst, src: CF if src is 0 */
const belowLowest = (combine: (c: X86Context, less: Value, source: Value) => Value) => (c: X86Context) => {
  const { b } = c;
  const source = c.load(1);
  const result = combine(c, b.addImm(source, -1), source);
  c.store(0, result);
  setFlags(c, result, b.eqz(source));
};

/** BLSMSK dst, src: a mask up to the lowest bit that is set */
export const blsmsk = belowLowest((c, less, source) => c.b.xor(less, source));
/** BLSR dst, src: without the lowest bit that is set */
export const blsr = belowLowest((c, less, source) => c.b.and(less, source));

/** BZHI dst, src, count: the low bits of src; CF if count[7:0] exceeds 31 */
export function bzhi(c: X86Context): void {
  const { b } = c;
  const source = c.load(1);
  const count = b.andImm(c.load(2), 0xff);
  const result = lowBits(c, source, count);
  c.store(0, result);
  setFlags(c, result, b.bin(Op.gt_u_i32, count, b.i32(31)));
}

/** MULX high, low, src: EDX × src, no flags */
export function mulx(c: X86Context): void {
  const { b } = c;
  const wide = (value: Value): Value => b.un(Op.extend_u_i64, value);
  const product = b.bin(Op.mul_i64, wide(c.reg(Reg.edx)), wide(c.load(2)));
  c.store(1, b.un(Op.wrap_i64, product));
  c.store(0, b.un(Op.wrap_i64, b.bin(Op.shr_u_i64, product, b.i64(32, 0))));
}

/** The bits of `mask` one by one: gather packs what they select, scatter spreads over them. */
const deposit = defineHelper({
  name: 'pdep',
  pure: true,
  call(_cpu, source, mask) {
    let result = 0;
    for (let left = mask, from = source; left !== 0; left &= left - 1, from >>>= 1) {
      if ((from & 1) !== 0) result |= left & -left;
    }
    return result;
  },
});
const extract = defineHelper({
  name: 'pext',
  pure: true,
  call(_cpu, source, mask) {
    let result = 0;
    for (let left = mask, bit = 1; left !== 0; left &= left - 1, bit <<= 1) {
      if ((source & left & -left) !== 0) result |= bit;
    }
    return result;
  },
});

/** PDEP dst, src, mask */
export const pdep = (c: X86Context): void => c.store(0, c.b.helper(deposit, true, c.load(1), c.load(2)));
/** PEXT dst, src, mask */
export const pext = (c: X86Context): void => c.store(0, c.b.helper(extract, true, c.load(1), c.load(2)));

/** RORX dst, src, count */
export const rorx = (c: X86Context): void => c.store(0, c.b.rotrImm(c.load(1), c.immediate(2) & 31));

/** SARX, SHLX, SHRX dst, src, count: no flags */
const shiftX = (op: number) => (c: X86Context) => {
  const { b } = c;
  c.store(0, b.bin(op, c.load(1), b.andImm(c.load(2), 31)));
};
export const sarx = shiftX(Op.shr_s_i32);
export const shlx = shiftX(Op.shl_i32);
export const shrx = shiftX(Op.shr_u_i32);

/** left + right + carry, and whether it exceeds 32 bits. */
function addWithCarry(c: X86Context, carry: Value): Value {
  const { b } = c;
  const wide = (value: Value): Value => b.un(Op.extend_u_i64, value);
  const sum = b.bin(Op.add_i64, b.bin(Op.add_i64, wide(c.load(0)), wide(c.load(1))), wide(carry));
  c.store(0, b.un(Op.wrap_i64, sum));
  return b.un(Op.wrap_i64, b.bin(Op.shr_u_i64, sum, b.i64(32, 0)));
}

/** ADCX dst, src: with CF, which alone it sets */
export const adcx = (c: X86Context): void => c.flags.setCf(addWithCarry(c, c.flags.getCf()));
/** ADOX dst, src: with OF */
export const adox = (c: X86Context): void => c.flags.setOf(c.b.shlImm(addWithCarry(c, c.flags.getOf()), 31));
