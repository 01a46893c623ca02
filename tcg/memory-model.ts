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
  /** Machine mode: guest addresses are virtual. Then nothing else of the model is used. */
  readonly translation?: AddressTranslation;
}

/**
 * Virtual addresses. Generated code looks an access up; where that finds nothing it calls the engine (the helper
 * import with `translateHelper`), which returns the wasm address to use: 0 if the access faults. A load then reads
 * `accessScratch` where the bytes are not in memory as they are wanted; a store that the engine has done itself, with
 * the value found in `accessScratch` (regions) or its cell (interpreter), is done once more there, where it has no effect.
 *
 * `probe` ops are nothing here: loads and stores of one instruction can be repeated.
 */
export interface AddressTranslation {
  /**
   * Emits the look-up of `bytes` bytes at guest address (local `address`): sets local `physical` to the wasm address
   * less `translationBias`, or branches to label `slow` (a branch depth).
   */
  emitLookup(code: Code, address: number, bytes: number, access: AccessBits, physical: number, slow: number): void;
  /**
   * Pushes the key of the code page of the guest PC that `pushPc` pushes, in the mode in force. It is the key the code
   * was translated with if the page is still mapped as it was then.
   */
  emitCodeKey(code: Code, pushPc: () => void): void;
}

/** What a translated address is short of: a constant part of the access, so that no valid translation is 0. */
export const translationBias = 1;

/**
 * Number of the helper import that translates: (address, site or interpreter code address) → wasm address less
 * `translationBias`, or 0.
 */
export const translateHelper = -1;
