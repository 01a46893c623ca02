import type { IrBlock } from '#tcg/ir.ts';
import { slotBytes } from '#tcg/op-tables.ts';
import { Op, opDefs, opNames } from '#tcg/ops.ts';
import { isRule, isSignOp } from './nan-ops.ts';
import { Rebuild } from './rebuild.ts';

const vectorBytes = 16;
const vectorOf = (offset: number): number => offset & -vectorBytes;

/**
 * Parts of vector registers (D and S registers, in ARM's words) as lanes of the whole. Slots that overlap cannot be in
 * locals: a region that uses a register whole and in parts would keep it in memory, where a wide load has to wait for
 * the narrow stores before it. Then halves that are taken out only to be put in again are moved as vectors.
 */
export function wholeVectors(blocks: readonly IrBlock[]): void {
  const chosen = usedBothWays(blocks);
  for (const block of blocks) {
    if (chosen.size > 0) accessWhole(block, chosen);
    if (hasSplat(block)) joinHalves(block);
  }
}

/** Offsets of the registers that are accessed as a whole and in parts. */
function usedBothWays(blocks: readonly IrBlock[]): Set<number> {
  const whole = new Set<number>();
  const parts = new Set<number>();
  const barred = new Set<number>();
  for (const { length, op, a, x } of blocks) {
    for (let i = 0; i < length; i++) {
      const bytes = slotBytes[op[i]!]!;
      if (bytes === 0) continue;
      const register = vectorOf(x[i]!);
      if (register !== vectorOf(x[i]! + bytes - 1)) barred.add(register).add(register + vectorBytes);
      else if (bytes === vectorBytes) whole.add(register);
      else {
        parts.add(register);
        // What is computed as a number stays one: in a lane its NaNs would have to be exact (nan-plan.ts).
        if (a[i]! >= 0 && (isRule[op[a[i]!]!] || isSignOp[op[a[i]!]!])) barred.add(register);
      }
    }
  }
  return whole.intersection(parts).difference(barred);
}

/** The ops on lanes of the type that a get or set accesses. */
const extractOf = new Map([
  [Op.get_i32, Op.extract_lane_i32x4],
  [Op.get_i64, Op.extract_lane_i64x2],
  [Op.get_f32, Op.extract_lane_f32x4],
  [Op.get_f64, Op.extract_lane_f64x2],
]);
const replaceOf = new Map([
  [Op.set_i32, Op.replace_lane_i32x4],
  [Op.set_i64, Op.replace_lane_i64x2],
  [Op.set_f32, Op.replace_lane_f32x4],
  [Op.set_f64, Op.replace_lane_f64x2],
]);

function accessWhole(block: IrBlock, registers: ReadonlySet<number>): void {
  const { length, op, a, x } = block;
  const isPart = (i: number): boolean => {
    const bytes = slotBytes[op[i]!]!;
    return bytes > 0 && bytes < vectorBytes && registers.has(vectorOf(x[i]!));
  };
  let count = 0;
  for (let i = 0; i < length; i++) if (isPart(i)) count++;
  if (count === 0) return;
  const rebuild = new Rebuild(block, 2 * count);
  /** By register: its value, as far as it is known here. */
  const known = new Map<number, number>();
  for (let i = 0; i < length; i++) {
    const { effect } = opDefs[op[i]!]!;
    if (!isPart(i)) {
      rebuild.copy(i);
      if (effect === 'structure' || effect === 'helper') known.clear();
      else if (op[i] === Op.get_v128) known.set(x[i]!, rebuild.valueOf(i));
      else if (op[i] === Op.set_v128) known.set(x[i]!, rebuild.valueOf(a[i]!));
      continue;
    }
    const register = vectorOf(x[i]!);
    const lane = (x[i]! - register) / slotBytes[op[i]!]!;
    let vector = known.get(register) ?? rebuild.emit(Op.get_v128, -1, -1, -1, register);
    if (effect === 'get') {
      rebuild.replace(i, rebuild.emit(extractOf.get(op[i]!)!, vector, -1, -1, lane));
    } else {
      vector = rebuild.emit(replaceOf.get(op[i]!)!, vector, rebuild.valueOf(a[i]!), -1, lane);
      rebuild.emit(Op.set_v128, vector, -1, -1, register);
    }
    known.set(register, vector);
  }
  rebuild.finish();
}

function hasSplat({ length, op }: IrBlock): boolean {
  for (let i = 0; i < length; i++) if (op[i] === Op.splat_i64x2) return true;
  return false;
}

/** By op: its lanes depend on the same lanes of its vector operands alone. */
const isLaneWise = opNames.map((name) =>
  /^((and|or|xor|andnot|not|bitselect|select)_v128|(eq|ne|lt|gt|le|ge|add|sub|mul|min|max|abs|neg|shl|shr|avgr)(_sat)?(_[su])?_[if]\d+x\d+)$/.test(
    name,
  ),
);
/** By op: it looks at the lower halves of its operands alone. */
const isOfLow = opNames.map((name) => /^(extend|extmul)_low_/.test(name));

/** By op: of what it takes out of a vector, the lanes of the lower half; 0 for other ops. */
const lowLanes = opNames.map((name) => Number(/^extract_lane_.*x(\d+)$/.exec(name)?.[1] ?? 0) / 2);
const isReplace = opNames.map((name) => name.startsWith('replace_lane_'));

/** By value: its upper half matters. */
function upperHalves(block: IrBlock): Uint8Array {
  const { length, op, a, b, c, x } = block;
  const upper = new Uint8Array(length);
  for (let i = length - 1; i >= 0; i--) {
    const code = op[i]!;
    if (isOfLow[code] || (isLaneWise[code] && !upper[i]) || x[i]! < lowLanes[code]!) continue;
    if (isReplace[code]) {
      // What is put over the upper half makes the old one nobody's.
      const covered = x[i] === 1 && (code === Op.replace_lane_i64x2 || code === Op.replace_lane_f64x2);
      if (upper[i] && !covered) upper[a[i]!] = 1;
    } else if (code === Op.shuffle_i8x16) {
      const picks = shufflePicks(block, i, upper[i] ? 16 : 8);
      if (picks.some((pick) => pick >= 8 && pick < 16)) upper[a[i]!] = 1;
      if (picks.some((pick) => pick >= 24)) upper[b[i]!] = 1;
    } else {
      for (const value of [a[i]!, b[i]!, c[i]!]) if (value >= 0) upper[value] = 1;
    }
  }
  return upper;
}

/** The first `count` bytes that shuffle i picks. */
function shufflePicks({ x, y, z, w }: IrBlock, i: number, count: number): number[] {
  const words = [z[i]!, x[i]!, y[i]!, w[i]!];
  return Array.from({ length: count }, (_, k) => (words[k >> 2]! >>> (8 * (k & 3))) & 0xff);
}

/** Half of a vector. */
interface Half {
  readonly vector: number;
  readonly high: 0 | 1;
}

/** Where half `high` of `vector` comes from: what is put in its other half does not matter. */
function halfOf(block: IrBlock, vector: number, high: 0 | 1): Half {
  const { op, a, b, x } = block;
  if (op[vector] === Op.replace_lane_i64x2 && x[vector] !== high) return halfOf(block, a[vector]!, high);
  if (op[vector] === Op.replace_lane_f64x2 && x[vector] !== high) return halfOf(block, a[vector]!, high);
  if (op[vector] === Op.shuffle_i8x16) {
    const picks = shufflePicks(block, vector, 16).slice(8 * high, 8 * high + 8);
    const first = picks[0]!;
    if (first % 8 === 0 && picks.every((pick, k) => pick === first + k))
      return halfOf(block, first < 16 ? a[vector]! : b[vector]!, first & 8 ? 1 : 0);
  }
  return { vector, high };
}

/** Halves that are taken out of vectors and put into vectors: what is left are shuffles, or nothing. */
function joinHalves(block: IrBlock): void {
  const { length, op, a, b, c, x } = block;
  const upper = upperHalves(block);
  const alias = new Int32Array(length);
  for (let i = 0; i < length; i++) {
    alias[i] = i;
    if (a[i]! >= 0) a[i] = alias[a[i]!]!;
    if (b[i]! >= 0) b[i] = alias[b[i]!]!;
    if (c[i]! >= 0) c[i] = alias[c[i]!]!;
    const from = op[i] === Op.replace_lane_i64x2 ? b[i]! : a[i]!;
    const half = (vector: number, high: number): Half => halfOf(block, vector, high ? 1 : 0);
    switch (op[i]) {
      case Op.splat_i64x2:
        if (op[from] !== Op.extract_lane_i64x2) break;
        if (x[from] === 0 && !upper[i]) alias[i] = a[from]!;
        else shuffleHalves(block, i, half(a[from]!, x[from]!), half(a[from]!, x[from]!));
        break;
      case Op.replace_lane_i64x2:
        if (op[from] !== Op.extract_lane_i64x2) break;
        if (x[i] === 0) shuffleHalves(block, i, half(a[from]!, x[from]!), half(a[i]!, 1));
        else shuffleHalves(block, i, half(a[i]!, 0), half(a[from]!, x[from]!));
        break;
      case Op.extract_lane_i64x2:
        if (op[from] === Op.splat_i64x2) alias[i] = a[from]!;
        break;
      default:
        break;
    }
  }
}

/** Makes op i of two halves. */
function shuffleHalves(block: IrBlock, i: number, low: Half, high: Half): void {
  block.op[i] = Op.shuffle_i8x16;
  block.a[i] = low.vector;
  block.b[i] = high.vector;
  block.c[i] = -1;
  const first = 0x03020100 + low.high * 0x08080808;
  const second = 0x13121110 + high.high * 0x08080808;
  block.z[i] = first;
  block.x[i] = first + 0x04040404;
  block.y[i] = second;
  block.w[i] = second + 0x04040404;
}
