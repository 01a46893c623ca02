import type { Code } from './wasm/code.ts';

/** Access bits of a memory operation: 1 read, 2 write (3: both). */
export type AccessBits = number;

/**
 * What a guest load or store means, as the wasm both backends emit for it. One implementation per protection scheme
 * and kind of machine; it lives in `accel/` (user mode) or `system/` (software TLB).
 */
export interface MemoryModel {
  /**
   * Whether code must check an access (3: an atomic). One that it need not check is a wasm trap where it is refused;
   * what goes before it in its instruction has happened then.
   */
  needsCheck(access: AccessBits): boolean;
  /**
   * Emits the check of `bytes` bytes at (local `address` + `offset`): branches to label `cold` (a branch depth) if
   * the access is refused.
   */
  emitCheck(code: Code, address: number, offset: number, bytes: number, access: AccessBits, cold: number): void;
  /**
   * Pushes whether one of the `bytes` bytes (4096 at most) at (local `address` + `offset`), of any alignment, may be
   * refused: if not, none is. Where this is missing each access is checked by itself.
   */
  pushRefused?(code: Code, address: number, offset: number, bytes: number, access: AccessBits): void;
  /**
   * Pushes the wasm address of guest address (local `address` + `offset`), except for the constant part it returns,
   * which goes into the access's immediate offset.
   */
  emitAddress(code: Code, address: number, offset: number): number;
}
