/** Double-precision operations on JS numbers, for the cases in which native results and flags are provably right. */
import type { CpuView } from '#tcg/target.ts';
import { armState, slotD } from './state.ts';
import { VfpOp } from './vfp-ops.ts';

const inexactBit = 16;
/** DN FZ RMode. */
const arithmeticMask = 0x03c00000;
const tracked = armState.offset('fpTracked') >> 2;
/** Results at least this large (and operands of a finite result) raise nothing but inexact. */
const smallestSafe = 2 ** -1000;
const largest = Number.MAX_VALUE;

/**
 * Does a double operation natively if all it can raise is the inexact flag, and that is set already. False: not done.
 * Operands are read as numbers only; no NaN gets through.
 */
export function fastDouble(cpu: CpuView, op: number, fpscr: number, d: number, n: number, m: number): boolean {
  if ((fpscr & arithmeticMask) !== 0 || (fpscr & inexactBit) === 0) return false;
  const { f64 } = cpu;
  const x = f64[slotD(n) >> 3]!;
  const y = f64[slotD(m) >> 3]!;
  let result: number;
  switch (op) {
    case VfpOp.add:
      result = x + y;
      break;
    case VfpOp.sub:
      result = x - y;
      break;
    case VfpOp.mul:
      result = x * y;
      break;
    case VfpOp.nmul:
      result = -(x * y);
      break;
    case VfpOp.div:
      result = x / y;
      break;
    case VfpOp.mla:
    case VfpOp.mls: {
      const product = op === VfpOp.mla ? x * y : -(x * y);
      if (!isSafe(product)) return false;
      result = f64[slotD(d) >> 3]! + product;
      break;
    }
    default:
      return false;
  }
  if (!isSafe(result)) return false;
  f64[slotD(d) >> 3] = result;
  return true;
}

/** Finite and far from the denormals (a NaN fails both comparisons). */
const isSafe = (value: number): boolean => {
  const magnitude = Math.abs(value);
  return magnitude >= smallestSafe && magnitude <= largest;
};

const splitter = 2 ** 27 + 1;
const bits = new DataView(new ArrayBuffer(8));

/** a + b rounded to odd: the last bit tells that the sum was inexact. The operands must not overflow. */
function addToOdd(a: number, b: number): number {
  const sum = a + b;
  const part = sum - a;
  const error = a - (sum - part) + (b - part);
  if (error === 0) return sum;
  bits.setFloat64(0, sum);
  const word = bits.getBigInt64(0);
  if (word & 1n) return sum;
  bits.setBigInt64(0, error > 0 === sum > 0 ? word + 1n : word - 1n);
  return bits.getFloat64(0);
}

const inRange = (value: number, low: number, high: number): boolean => {
  const magnitude = Math.abs(value);
  return magnitude >= low && magnitude <= high;
};

/**
 * Fused multiply-add by an exact product and two exact sums (Boldo and Melquiond), where no step over- or underflows,
 * in plain mode without flags. False: not done.
 */
export function fastFma(cpu: CpuView, op: number, fpscr: number, d: number, n: number, m: number): boolean {
  if ((fpscr & arithmeticMask) !== 0 || cpu.i32[tracked]! !== 0) return false;
  const { f64 } = cpu;
  const a = op === VfpOp.fms || op === VfpOp.fnma ? -f64[slotD(n) >> 3]! : f64[slotD(n) >> 3]!;
  const b = f64[slotD(m) >> 3]!;
  const c = op === VfpOp.fnma || op === VfpOp.fnms ? -f64[slotD(d) >> 3]! : f64[slotD(d) >> 3]!;
  if (!inRange(a, 2 ** -450, 2 ** 450) || !inRange(b, 2 ** -450, 2 ** 450)) return false;
  if (c !== 0 && !inRange(c, 2 ** -900, 2 ** 900)) return false;
  const high = a * b;
  const aBig = splitter * a;
  const aHigh = aBig - (aBig - a);
  const aLow = a - aHigh;
  const bBig = splitter * b;
  const bHigh = bBig - (bBig - b);
  const bLow = b - bHigh;
  const low = aLow * bLow - (high - aHigh * bHigh - aLow * bHigh - aHigh * bLow);
  const t = c + low;
  const tPart = t - c;
  const tLow = c - (t - tPart) + (low - tPart);
  const v = high + t;
  const vPart = v - high;
  const vLow = high - (v - vPart) + (t - vPart);
  const result = v + addToOdd(tLow, vLow);
  // A zero may need the other sign, or hide a residue.
  if (result === 0) return false;
  f64[slotD(d) >> 3] = result;
  return true;
}
