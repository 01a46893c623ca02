import type { IrBlock } from '../ir.ts';
import { removed } from './dead-code.ts';

/** Drops the removed ops and renumbers the others, in place. `map` is scratch as long as the block. */
export function compact(block: IrBlock, uses: Int32Array, map: Int32Array): void {
  const { length, op, a, b, c, x, y, z, w } = block;
  let n = 0;
  while (n < length && uses[n] !== removed) {
    map[n] = n;
    n++;
  }
  for (let i = n + 1; i < length; i++) {
    if (uses[i] === removed) continue;
    map[i] = n;
    op[n] = op[i]!;
    a[n] = a[i]! < 0 ? -1 : map[a[i]!]!;
    b[n] = b[i]! < 0 ? -1 : map[b[i]!]!;
    c[n] = c[i]! < 0 ? -1 : map[c[i]!]!;
    x[n] = x[i]!;
    y[n] = y[i]!;
    z[n] = z[i]!;
    w[n] = w[i]!;
    n++;
  }
  block.length = n;
}
