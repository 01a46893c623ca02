/** Products of polynomials over {0, 1}. */
import type { Builder, Value } from '../builder.ts';
import { Op } from '../ops.ts';

/** Product of two 32-bit polynomials (zero-extended): with every fourth bit alone, no carry reaches the next one. */
function product32(b: Builder, x: Value, y: Value): Value {
  const every = (at: number): Value => b.i64(0x11111111 << at, 0x11111111 << at);
  const parts = (value: Value): Value[] => [0, 1, 2, 3].map((at) => b.bin(Op.and_i64, value, every(at)));
  const left = parts(x);
  const right = parts(y);
  let result: Value = -1;
  for (let at = 0; at < 4; at++) {
    let sum: Value = -1;
    for (let i = 0; i < 4; i++) {
      const term = b.bin(Op.mul_i64, left[i]!, right[(at - i) & 3]!);
      sum = sum < 0 ? term : b.bin(Op.xor_i64, sum, term);
    }
    const kept = b.bin(Op.and_i64, sum, every(at));
    result = result < 0 ? kept : b.bin(Op.or_i64, result, kept);
  }
  return result;
}

/** Low and high 64 bits of the product of two 64-bit polynomials: three products of halves (Karatsuba). */
export function product64(b: Builder, x: Value, y: Value): [Value, Value] {
  const by = b.i64(32, 0);
  const halves = (value: Value): [Value, Value] => [
    b.bin(Op.and_i64, value, b.i64(-1, 0)),
    b.bin(Op.shr_u_i64, value, by),
  ];
  const [x0, x1] = halves(x);
  const [y0, y1] = halves(y);
  const xor = (p: Value, q: Value): Value => b.bin(Op.xor_i64, p, q);
  const low = product32(b, x0, y0);
  const high = product32(b, x1, y1);
  const middle = xor(xor(product32(b, xor(x0, x1), xor(y0, y1)), low), high);
  return [xor(low, b.bin(Op.shl_i64, middle, by)), xor(high, b.bin(Op.shr_u_i64, middle, by))];
}
