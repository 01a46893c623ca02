import type { Value } from '#tcg/builder.ts';
import { Op } from '#tcg/ops.ts';
import type { X86Context } from './context.ts';
import { defineHelper } from './helpers.ts';
import { Descriptor, Eflags, i386State, Seg, slotBase, slotDescriptor, Vector } from './state.ts';

/* Accesses in `Mode.strict`: segments with limits, and alignment under EFLAGS.AC. */

const slotEflags = i386State.offset('eflags') >> 2;

/** By op: bytes of the loads and stores that memory operands take. */
const sizes = new Map<number, number>([
  ...[Op.load8_u, Op.load8_s, Op.store8].map((op) => [op, 1] as const),
  ...[Op.load16_u, Op.load16_s, Op.store16].map((op) => [op, 2] as const),
  ...[Op.load_i32, Op.load_f32, Op.store_i32, Op.store_f32].map((op) => [op, 4] as const),
  ...[Op.load_i64, Op.load_f64, Op.store_i64, Op.store_f64].map((op) => [op, 8] as const),
  ...[Op.load_v128, Op.store_v128].map((op) => [op, 16] as const),
]);

/** Bytes that a load or store op accesses. */
export const accessBytes = (op: number): number => sizes.get(op) ?? 1;

/** The limit of a descriptor in bytes (SDM vol. 3, 3.4.5). */
export function limitOf(low: number, high: number): number {
  const limit = (low & 0xffff) | (high & Descriptor.limit);
  return (high & Descriptor.granular) !== 0 ? ((limit << 12) | 0xfff) >>> 0 : limit;
}

/** Does the segment refuse an access of `bytes` at `offset` (SDM vol. 3, 5.3 and 5.5)? */
function refuses(low: number, high: number, offset: number, bytes: number, write: boolean): boolean {
  const isCode = (high & Descriptor.code) !== 0;
  const allowed = (high & Descriptor.writable) !== 0 ? !(isCode && write) : !isCode && !write;
  if ((high & Descriptor.present) === 0 || !allowed) return true;
  const limit = limitOf(low, high);
  const last = offset + bytes - 1;
  if (isCode || (high & Descriptor.expandDown) === 0) return last > limit;
  return offset <= limit || last > ((high & Descriptor.big) !== 0 ? 0xffff_ffff : 0xffff);
}

/** Access `what` (segment, bytes from bit 4 on, bit 12 for a store) at an offset: 0 or the vector to raise. */
const check = defineHelper({
  name: 'check_access',
  call(cpu, what, offset) {
    const segment = what & 15;
    const bytes = (what >> 4) & 0xff;
    const at = slotDescriptor(segment) >> 2;
    if (refuses(cpu.i32[at]!, cpu.i32[at + 1]!, offset >>> 0, bytes, what >> 12 !== 0)) {
      return segment === Seg.ss ? Vector.stack : Vector.protection;
    }
    const address = cpu.i32[slotBase(segment) >> 2]! + offset;
    // Wider ones have rules of their own.
    const aligned = bytes > 8 || (address & (bytes - 1)) === 0;
    return aligned || (cpu.i32[slotEflags]! & Eflags.ac) === 0 ? 0 : Vector.alignment;
  },
});

/** Raises what an access of `bytes` at an offset in a segment raises. */
export function checkAccess(c: X86Context, segment: number, offset: Value, bytes: number, write: boolean): void {
  const { b } = c;
  const what = segment | (bytes << 4) | (write ? 1 << 12 : 0);
  c.raiseValue(b.helper(check, false, b.i32(what), offset));
}
