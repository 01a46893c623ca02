/** A guest access that may fault: what the engine must know when it does. */
export interface FaultSite {
  /** PC of the instruction (target's encoding) and its aux word. */
  readonly pc: number;
  readonly aux: number;
  /** The access is `bytes` bytes at faultAddress + offset. */
  readonly offset: number;
  readonly bytes: number;
  /** 1 read, 2 write. */
  readonly access: number;
}
