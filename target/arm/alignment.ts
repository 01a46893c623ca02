import type { Value } from '#tcg/builder.ts';
import { cpuHeader, ExitReason } from '#tcg/cpu-page.ts';
import type { ArmContext } from './context.ts';
import { armState } from './state.ts';

/* Alignment faults (DDI 0406C A3.2.1). */

/** Argument of an alignment exit: the access would have been a store. */
export const alignmentStore = 1;

/** Faults unless `address` is a multiple of `bytes`, a power of two; `argument`: `alignmentStore` for a store. */
export function checkAlignment(c: ArmContext, address: Value, bytes: number, argument = 0): void {
  if (bytes === 1) return;
  const { b } = c;
  b.if(b.andImm(address, bytes - 1));
  b.set32(cpuHeader.offset('faultAddress'), address);
  if (c.itstate !== 0) b.set32(armState.offset('itstate'), b.i32(c.itstate));
  b.exit(ExitReason.alignment, c.currentPc, argument);
  b.endif();
}

/**
 * Of accesses that are never allowed to be unaligned, those of more than one register. For programs Linux repairs them,
 * so only a machine's kernel gets to see the fault.
 */
export function checkMultiple(c: ArmContext, address: Value, argument = 0): void {
  if (c.system) checkAlignment(c, address, 4, argument);
}
