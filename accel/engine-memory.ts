import { cpuAreaBytes } from '#tcg/cpu-page.ts';
import type { MemoryModel } from '#tcg/memory-model.ts';
import type { CodeReader, CpuView } from '#tcg/target.ts';

/** The CPU area at `base` of a memory, as the layouts of `tcg/cpu-page.ts` index it. */
export const cpuViewAt = (buffer: ArrayBufferLike, base: number): CpuView => ({
  u8: new Uint8Array(buffer, base, cpuAreaBytes),
  i32: new Int32Array(buffer, base, cpuAreaBytes / 4),
  f32: new Float32Array(buffer, base, cpuAreaBytes / 4),
  f64: new Float64Array(buffer, base, cpuAreaBytes / 8),
  i64: new BigInt64Array(buffer, base, cpuAreaBytes / 8),
});

/** What an engine needs of the memory it runs in: a process's (`GuestMemory`) or a machine's (`VirtualMemory`). */
export interface EngineMemory extends CodeReader {
  readonly memory: WebAssembly.Memory;
  readonly cpu: CpuView;
  /** True while the host's page tables refuse what the guest may not touch. */
  readonly pagesProtected: boolean;
  protectPages(): boolean;
  /** First address in [address, address + length) that refuses `access`, or -1. */
  refused(address: number, length: number, access: number): number;
  /** Called when the host's pages stop being protected. */
  onUnprotected: () => void;
  /** Stores into the writable pages of [start, end) call `onWatchedWrite` from now on. True if any page is watched. */
  watch(start: number, end: number): boolean;
  onWatchedWrite: (start: number, end: number) => void;
  /** Set in machine mode: guest addresses are virtual. */
  readonly virtual?: VirtualAddresses;
}

/** Virtual addresses as an engine deals with them. Code is known by its physical page. */
export interface VirtualAddresses {
  readonly model: MemoryModel;
  /** Physical address of the page a fetch from `address` leads to, | 1; 0 where fetching faults. */
  codePage(address: number): number;
  /** The same without anything that can be observed: for code that may never run. */
  peekCodePage(address: number): number;
  /**
   * The same if the page is global: code of several such pages may be compiled as one. `onCodeWritten` is called too
   * when such a page comes to lead elsewhere.
   */
  steadyPage(address: number): number;
  /**
   * Serves an access that was not found: the wasm address for it less `translationBias`, or 0 if it faults. `value`:
   * wasm address of what is to be stored.
   */
  access(address: number, bytes: number, access: number, value: number): number;
  /** Stores to the physical page at `address` must be told of by `onCodeWritten` from now on. */
  protectCode(address: number): void;
  /** Number of the virtual page of the code being translated: what is read as constant must be in it. */
  constantPage: number;
  /** Called before the bytes of a protected page change. */
  onCodeWritten: (physical: number) => void;
}
