import { accessScratch } from '#tcg/cpu-page.ts';
import { translationBias } from '#tcg/memory-model.ts';
import type { CpuView } from '#tcg/target.ts';
import { cpuViewAt, type EngineMemory, type VirtualAddresses } from './engine-memory.ts';
import { Access, cpuBase, memoryPages, pageShift, pageSize } from './guest-memory.ts';
import { TranslationTables, tablesBase, translatedMemory } from './translation-tables.ts';

/** What a page walk found out. One object, filled again by each walk. */
export interface PageWalk {
  /** Physical address of the 4 KiB page. */
  physical: number;
  /** What may be done with it: `Access` bits. */
  allowed: number;
  /** The same in all address spaces. */
  global: boolean;
  /** Part of a translation of more than one page. */
  large: boolean;
}

/** The guest's page tables. */
export interface PageWalker {
  /**
   * Looks up the page of `address` for `access` (one `Access` bit). False: the access faults. `peek`: nothing must be
   * noted that the guest could see.
   */
  walk(address: number, access: number, into: PageWalk, peek: boolean): boolean;
}

/** Physical memory beyond RAM. `bytes` is 1, 2, 4 or 8; values of 8 bytes come as two accesses. */
export interface DeviceBus {
  read(address: number, bytes: number): number;
  write(address: number, bytes: number, value: number): void;
}

/** Memory that is read and run in place like RAM, while stores to it go to the bus: ROM, and flash. */
export interface ReadOnlyMemory {
  readonly start: number;
  /** The bytes themselves. */
  readonly bytes: Uint8Array;
  /** Reads are served in place, or go to the bus as well. */
  readInPlace(on: boolean): void;
  /** To be called before bytes are changed: code in there is dropped. */
  aboutToWrite(offset: number, length: number): void;
}

/**
 * A machine's memory: RAM, ROM and flash lie in a WebAssembly memory at their physical addresses; what else there is, is
 * reached through the bus. The guest's addresses are virtual (`translation-tables.ts`).
 */
export class VirtualMemory implements EngineMemory, VirtualAddresses {
  readonly memory: WebAssembly.Memory;
  readonly cpu: CpuView;
  /** All of memory 0; RAM is indexed by physical address. */
  readonly u8: Uint8Array;
  readonly words: Int32Array;
  readonly tables: TranslationTables;
  readonly model = translatedMemory;
  readonly virtual = this;
  readonly pagesProtected = false;
  onUnprotected: () => void = () => {};
  onWatchedWrite: () => void = () => {};
  onCodeWritten: (physical: number) => void = () => {};
  /** Address of the access that faulted last, and the `Access` bit it asked for. */
  faultAddress = 0;
  faultAccess = 0;
  /** It faulted because a device's registers cannot be accessed across their boundaries. */
  misaligned = false;
  readonly ramStart: number;
  readonly ramEnd: number;
  private readonly bus: DeviceBus;
  private readonly walker: PageWalker;
  private readonly page: PageWalk = { physical: 0, allowed: 0, global: false, large: false };
  /** Physical pages | 1 of virtual ones (numbers) that are part of code of several pages. */
  private readonly steady = new Map<number, number>();
  /** By physical page: 1 if stores to it must be told of. */
  private readonly code = new Uint8Array(1 << (32 - pageShift));
  /** By physical page: 1 if it is no RAM, but read in place. */
  private readonly readOnly = new Uint8Array(1 << (32 - pageShift));

  /** RAM is the physical addresses [ramStart, ramEnd); `cpus`: the number of cores. */
  constructor(ramStart: number, ramEnd: number, bus: DeviceBus, walker: PageWalker, cpus = 1) {
    if (ramEnd > tablesBase(cpus))
      throw new Error(`machine: no more than ${(tablesBase(cpus) - ramStart) >>> 20} MiB of RAM`);
    this.ramStart = ramStart;
    this.ramEnd = ramEnd;
    this.bus = bus;
    this.walker = walker;
    this.memory = new WebAssembly.Memory({ initial: 1, maximum: memoryPages, shared: true });
    this.memory.grow(memoryPages - 1);
    const { buffer } = this.memory;
    this.u8 = new Uint8Array(buffer);
    this.words = new Int32Array(buffer);
    this.cpu = cpuViewAt(buffer, cpuBase);
    this.tables = new TranslationTables(buffer, cpus);
  }

  protectPages(): boolean {
    return false;
  }

  refused(): number {
    return -1;
  }

  /** Code is watched by its physical page: `protectCode`. */
  watch(): boolean {
    return false;
  }

  get ramBytes(): number {
    return this.ramEnd - this.ramStart;
  }

  isRam(physical: number): boolean {
    return physical >= this.ramStart && physical < this.ramEnd;
  }

  /** It is read and run in place: RAM, or ROM. */
  private inPlace(physical: number): boolean {
    return this.isRam(physical) || this.readOnly[physical >>> pageShift] === 1;
  }

  /** Loads need no bus. Less `translationBias`, address 0 would be no wasm address: its page is left to the bus. */
  private loadsInPlace(physical: number): boolean {
    return physical >= pageSize && this.inPlace(physical);
  }

  /** Makes [start, start + length), which is no RAM, memory that only the bus writes to; at first it is read in place. */
  addReadOnly(start: number, length: number): ReadOnlyMemory {
    const first = start >>> pageShift;
    const end = (start + length) >>> pageShift;
    this.readOnly.fill(1, first, end);
    return {
      start,
      bytes: this.u8.subarray(start, start + length),
      readInPlace: (on) => {
        if ((this.readOnly[first] === 1) === on) return;
        this.readOnly.fill(on ? 1 : 0, first, end);
        this.flush();
      },
      aboutToWrite: (offset, count) => this.aboutToWrite(start + offset, count),
    };
  }

  // ---- code

  codePage(address: number): number {
    const known = this.tables.fetch(address);
    if (known !== 0) return known;
    return this.lookUp(address, Access.execute) ? this.page.physical | 1 : 0;
  }

  peekCodePage(address: number): number {
    const known = this.tables.fetch(address);
    if (known !== 0) return known;
    if (!this.walker.walk(address, Access.execute, this.page, true)) return 0;
    return this.inPlace(this.page.physical) ? this.page.physical | 1 : 0;
  }

  steadyPage(address: number): number {
    const number = address >>> pageShift;
    const known = this.steady.get(number);
    if (known !== undefined) return known;
    const { page } = this;
    if (!this.walker.walk(address, Access.execute, page, true) || !page.global || !this.inPlace(page.physical))
      return 0;
    this.steady.set(number, page.physical | 1);
    return page.physical | 1;
  }

  /** Drops the code of pages that lead elsewhere now: of all, or of that of a virtual address. */
  private verifySteady(address?: number): void {
    if (address === undefined) {
      for (const number of this.steady.keys()) this.verifyPage(number);
      return;
    }
    const number = address >>> pageShift;
    if (this.steady.has(number)) this.verifyPage(number);
  }

  private verifyPage(number: number): void {
    const { page } = this;
    const known = this.steady.get(number)!;
    const same = this.walker.walk(number * pageSize, Access.execute, page, true) && (page.physical | 1) === known;
    if (same) return;
    this.steady.delete(number);
    this.codeWritten((known & -pageSize) >>> 0);
  }

  // ---- TLB maintenance

  /** Puts the translations for `key` in force. */
  use(key: number): void {
    this.tables.use(key);
  }

  flush(): void {
    this.tables.flush();
    this.verifySteady();
  }

  /** What is not global goes, of the core that runs or of all. */
  flushLocal(all = false): void {
    this.tables.flushLocal(all);
  }

  /** Another core's turn: its translations are in force. */
  select(cpu: number): void {
    this.tables.select(cpu);
  }

  flushPage(address: number): void {
    this.tables.flushPage(address);
    this.verifySteady(address);
  }

  protectCode(address: number): void {
    const page = address >>> pageShift;
    if (this.code[page] === 1) return;
    this.code[page] = 1;
    this.tables.protect(address);
  }

  fetch8(address: number): number {
    const page = this.peekCodePage(address);
    return page === 0 ? -1 : this.u8[((page & -pageSize) + (address & (pageSize - 1))) >>> 0]!;
  }

  fetch16(address: number): number {
    const page = this.peekCodePage(address);
    if (page === 0) return -1;
    const at = (page & -pageSize) + (address & (pageSize - 1));
    return this.u8[at >>> 0]! | (this.u8[(at >>> 0) + 1]! << 8);
  }

  fetch32(address: number): number {
    if ((address & 3) === 0) {
      const page = this.peekCodePage(address);
      return page === 0 ? -1 : this.words[((page & -pageSize) + (address & (pageSize - 1))) >>> 2]!;
    }
    return this.fetch16(address) | (this.fetch16(address + 2) << 16);
  }

  fetchable(address: number, bytes: number): boolean {
    if (this.peekCodePage(address) === 0) return false;
    const last = (address + bytes - 1) >>> 0;
    return last >>> pageShift === address >>> pageShift || this.peekCodePage(last) !== 0;
  }

  /** The page of the code being translated: what is read there while translating is noted as made from it. */
  constantPage = -1;

  constant(address: number, bytes: number): boolean {
    const { constantPage } = this;
    return address >>> pageShift === constantPage && (address + bytes - 1) >>> pageShift === constantPage;
  }

  // ---- data

  access(address: number, bytes: number, access: number, value: number): number {
    if ((address & (pageSize - 1)) + bytes > pageSize) return this.crossing(address, bytes, access, value);
    const kind = access & Access.write ? Access.write : Access.read;
    if (!this.lookUp(address, kind)) return 0;
    const physical = this.page.physical + (address & (pageSize - 1));
    if (kind === Access.write ? this.isRam(physical) : this.loadsInPlace(physical)) return physical - translationBias;
    if ((address & (Math.min(bytes, 4) - 1)) !== 0 && !this.inPlace(physical))
      return this.refuseMisaligned(address, kind);
    if (kind === Access.write) this.deviceWrite(physical, bytes, value);
    else this.deviceRead(physical, bytes);
    return cpuBase + accessScratch - translationBias;
  }

  /** Device memory has no unaligned accesses (DDI 0406C A3.2.1). */
  private refuseMisaligned(address: number, kind: number): number {
    this.faultAddress = address >>> 0;
    this.faultAccess = kind;
    this.misaligned = true;
    return 0;
  }

  /** Fills in the page of `address` for an access; false if that faults. Code in a page to be written is dropped. */
  private lookUp(address: number, access: number): boolean {
    const { page } = this;
    if (!this.walker.walk(address, access, page, false)) {
      this.faultAddress = address >>> 0;
      this.faultAccess = access;
      this.misaligned = false;
      return false;
    }
    const { physical, allowed } = page;
    if (!this.inPlace(physical)) return access !== Access.execute;
    const number = physical >>> pageShift;
    const isRam = this.isRam(physical);
    if (this.code[number] === 1 && access === Access.write && isRam) this.codeWritten(physical);
    // Stores are let through in place only once there has been one: a page's table may note that it was written.
    const stores = access === Access.write && isRam && this.code[number] === 0;
    const refused = (stores ? 0 : Access.write) | (this.loadsInPlace(physical) ? 0 : Access.read);
    const kinds = allowed & ~refused;
    if (kinds !== 0) this.tables.fill(address, physical, kinds, page.global, page.large);
    return true;
  }

  private codeWritten(physical: number): void {
    this.code[physical >>> pageShift] = 0;
    this.onCodeWritten(physical);
  }

  /** An access to two pages, byte by byte. */
  private crossing(address: number, bytes: number, access: number, value: number): number {
    const kind = access & Access.write ? Access.write : Access.read;
    const split = pageSize - (address & (pageSize - 1));
    if (!this.lookUp(address, kind)) return 0;
    const first = this.page.physical + (address & (pageSize - 1));
    if (!this.lookUp((address + split) >>> 0, kind)) return 0;
    const second = this.page.physical;
    const scratch = cpuBase + accessScratch;
    for (let i = 0; i < bytes; i++) {
      const at = i < split ? first + i : second + i - split;
      if (kind === Access.write) this.write8(at, this.u8[value + i]!);
      else this.u8[scratch + i] = this.read8(at);
    }
    return scratch - translationBias;
  }

  private read8(physical: number): number {
    return this.inPlace(physical) ? this.u8[physical]! : this.bus.read(physical, 1);
  }

  private write8(physical: number, value: number): void {
    if (this.isRam(physical)) this.u8[physical] = value;
    else this.bus.write(physical, 1, value);
  }

  private deviceRead(physical: number, bytes: number): void {
    const { words, bus } = this;
    const at = (cpuBase + accessScratch) >>> 2;
    if (bytes <= 4) {
      words[at] = bus.read(physical, bytes);
      return;
    }
    for (let i = 0; i < bytes; i += 4) words[at + (i >> 2)] = bus.read(physical + i, 4);
  }

  private deviceWrite(physical: number, bytes: number, value: number): void {
    const { u8, bus } = this;
    const step = Math.min(bytes, 4);
    for (let i = 0; i < bytes; i += step) {
      let word = 0;
      for (let k = step - 1; k >= 0; k--) word = (word << 8) | u8[value + i + k]!;
      bus.write(physical + i, step, word);
    }
  }

  // ---- for devices (DMA) and page walks

  /** The word at a physical address in RAM or ROM, or undefined elsewhere. */
  physicalWord(physical: number): number | undefined {
    return this.inPlace(physical) ? this.words[physical >>> 2] : undefined;
  }

  /** The RAM bytes [physical, physical + length) themselves; undefined if any of them is not RAM. */
  ram(physical: number, length: number): Uint8Array | undefined {
    if (length < 0 || physical < this.ramStart || physical + length > this.ramEnd) return undefined;
    return this.u8.subarray(physical, physical + length);
  }

  /** The byte at a physical address as a debugger sees it: undefined where reading it is the device's affair. */
  physicalByte(physical: number): number | undefined {
    return this.inPlace(physical) ? this.u8[physical] : undefined;
  }

  /** Copies bytes from a device to RAM: code in there is dropped. False if it is not all RAM. */
  writeRam(physical: number, bytes: Uint8Array): boolean {
    const to = this.ram(physical, bytes.length);
    if (!to) return false;
    this.aboutToWrite(physical, bytes.length);
    to.set(bytes);
    return true;
  }

  /** To be called before RAM is changed through `ram`. */
  aboutToWrite(physical: number, length: number): void {
    for (let page = physical >>> pageShift; page * pageSize < physical + length; page++) {
      if (this.code[page] === 1) this.codeWritten(page * pageSize);
    }
  }
}
