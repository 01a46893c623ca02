import { createBlock, type IrBlock } from '#tcg/ir.ts';

/** Writes a block anew, op by op, with others between them. */
export class Rebuild {
  private readonly from: IrBlock;
  private readonly to: IrBlock;
  /** By op of the block: its value in the new one. */
  private readonly map: Int32Array;

  /** Room for `more` ops besides those of `block`. */
  constructor(block: IrBlock, more: number) {
    this.from = block;
    this.to = createBlock(block.length + more);
    this.map = new Int32Array(block.length);
  }

  /** What value `value` of the block (−1 if there is none) is in the new one. */
  valueOf(value: number): number {
    return value < 0 ? -1 : this.map[value]!;
  }

  /** Appends op i as it is. */
  copy(i: number): void {
    const { op, a, b, c, x, y, z, w } = this.from;
    const at = this.emit(op[i]!, this.valueOf(a[i]!), this.valueOf(b[i]!), this.valueOf(c[i]!), x[i]!);
    this.to.y[at] = y[i]!;
    this.to.z[at] = z[i]!;
    this.to.w[at] = w[i]!;
    this.map[i] = at;
  }

  /** Appends an op on values of the new block. */
  emit(op: number, a = -1, b = -1, c = -1, x = 0): number {
    const { to } = this;
    const at = to.length++;
    to.op[at] = op;
    to.a[at] = a;
    to.b[at] = b;
    to.c[at] = c;
    to.x[at] = x;
    return at;
  }

  /** From here on `value` of the new block stands for op i. */
  replace(i: number, value: number): void {
    this.map[i] = value;
  }

  /** Gives the block its new ops. */
  finish(): void {
    const { length, op, a, b, c, x, y, z, w } = this.to;
    Object.assign(this.from, { length, op, a, b, c, x, y, z, w });
  }
}
