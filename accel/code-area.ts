import { engineMemory } from '#tcg/interpreter-ops.ts';
import { maxDeadCode } from './tunables.ts';

/** The part of memory 1 that interpreter code goes to, one block after the other. */
export class CodeArea {
  /** No code from here on: the end of memory 1, less one block. */
  readonly limit = engineMemory.pages * 65536 - (1 << 20);
  /** Byte address where the next block goes. */
  end: number = engineMemory.code;
  /** Bytes of dropped blocks. */
  dead = 0;

  get bytes(): number {
    return this.end - engineMemory.code;
  }

  /** True if it should be thrown away before more is added. */
  get isUsedUp(): boolean {
    return (this.dead > maxDeadCode && this.dead > this.bytes / 2) || this.end > this.limit;
  }

  clear(): void {
    this.end = engineMemory.code;
    this.dead = 0;
  }
}
