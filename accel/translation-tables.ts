import { cpuHeader } from '#tcg/cpu-page.ts';
import type { AccessBits, AddressTranslation, MemoryModel } from '#tcg/memory-model.ts';
import { translationBias } from '#tcg/memory-model.ts';
import { type Code, W } from '#tcg/wasm/code.ts';
import { cpuBase, pageShift, pageSize } from './guest-memory.ts';

/*
 * The software TLB: flat tables, so that a look-up is one load and one test, and nothing is ever evicted by another
 * page. A table (the translations of one privilege and set of permissions) has an entry of 16 bytes for each of the
 * 2^20 virtual pages:
 *
 *     +0   for loads: what to add to a virtual address to get a wasm address, less `translationBias`; 0: look further
 *     +4   for stores: the same
 *     +8   for fetches: physical page address | 1; 0: look further
 *
 * Only what is used is resident. What has been filled is listed, so that a flush costs as much as the fills did.
 */

const entryShift = 4;
const tableBytes = 1 << (32 - pageShift + entryShift);
/** Tables of a core. */
const tableCount = 4;
const pages = 1 << (32 - pageShift);

/** wasm address of the tables of so many cores: the end of what physical memory may take of memory 0. */
export const tablesBase = (cpus: number): number => cpuBase - cpus * tableCount * tableBytes;
const storeOffset = 4;
const fetchOffset = 8;

/** Pages of a translation that is larger than one are noted in groups of this many address bits. */
const largeShift = 21;

/** One table. Two uses have the same table if they have the same key. */
class TranslationTable {
  readonly base: number;
  readonly words: Int32Array;
  key = -1;
  /** Pages with entries, in the order they came. Pages flushed one by one stay listed. */
  private readonly global = new PageList();
  private readonly local = new PageList();

  constructor(buffer: ArrayBufferLike, base: number) {
    this.base = base;
    this.words = new Int32Array(buffer, base, tableBytes / 4);
  }

  /** Notes that `page` is about to get its first entry. */
  list(page: number, global: boolean): void {
    (global ? this.global : this.local).add(page);
  }

  flushLocal(): void {
    this.local.clear(this.words);
  }

  flush(): void {
    this.flushLocal();
    this.global.clear(this.words);
  }

  /** Takes the right to store in place away from all virtual pages that lead to physical `address`. */
  protect(address: number): void {
    this.global.protect(this.words, address);
    this.local.protect(this.words, address);
  }
}

class PageList {
  private pages = new Int32Array(1024);
  private length = 0;

  add(page: number): void {
    if (this.length === this.pages.length) {
      const grown = new Int32Array(this.length * 2);
      grown.set(this.pages);
      this.pages = grown;
    }
    this.pages[this.length++] = page;
  }

  clear(words: Int32Array): void {
    for (let i = 0; i < this.length; i++) clearEntry(words, this.pages[i]!);
    this.length = 0;
  }

  protect(words: Int32Array, address: number): void {
    for (let i = 0; i < this.length; i++) protectEntry(words, this.pages[i]!, address);
  }
}

function clearEntry(words: Int32Array, page: number): void {
  const at = page << 2;
  words[at] = 0;
  words[at + 1] = 0;
  words[at + 2] = 0;
}

/** Takes the right to store in place away from virtual `page` if it leads to physical `address`. */
function protectEntry(words: Int32Array, page: number, address: number): void {
  const at = (page << 2) + 1;
  const store = words[at]!;
  if (store !== 0 && ((store + translationBias + page * pageSize) | 0) === (address | 0)) words[at] = 0;
}

const several = -1;

/** The tables of one core. */
class TableSet {
  readonly tables: readonly TranslationTable[];
  current: TranslationTable;
  /** Which table is replaced next. */
  private next = 0;

  constructor(buffer: ArrayBufferLike, base: number) {
    this.tables = Array.from({ length: tableCount }, (_, i) => new TranslationTable(buffer, base + i * tableBytes));
    this.current = this.tables[0]!;
  }

  use(key: number): void {
    let table = this.tables.find((other) => other.key === key);
    if (table === undefined) {
      table = this.tables[this.next]!;
      this.next = (this.next + 1) % tableCount;
      table.flush();
      table.key = key;
    }
    this.current = table;
  }
}

/** The tables, and which is in force: `cpuHeader.translation`. */
export class TranslationTables {
  /** Virtual pages filled so far: misses of the generated code. */
  fills = 0;
  private readonly sets: readonly TableSet[];
  /** Those of all cores. */
  private readonly tables: readonly TranslationTable[];
  private readonly header: Int32Array;
  private set: TableSet;
  private current: TranslationTable;
  /** By virtual address >> largeShift: pages in there come from a larger translation. */
  private readonly large = new Uint8Array(1 << (32 - largeShift));
  /** By physical page: the virtual page + 1 whose entries let it be stored to in place, or have; -1: several. */
  private readonly stored = new Int32Array(pages);

  constructor(buffer: ArrayBufferLike, cpus: number) {
    this.header = new Int32Array(buffer, cpuBase, 16);
    const base = (cpu: number): number => tablesBase(cpus) + cpu * tableCount * tableBytes;
    this.sets = Array.from({ length: cpus }, (_, cpu) => new TableSet(buffer, base(cpu)));
    this.tables = this.sets.flatMap(({ tables }) => tables);
    this.set = this.sets[0]!;
    this.current = this.set.current;
    this.use(0);
  }

  /** Goes on with the tables of a core, as it has left them. */
  select(cpu: number): void {
    this.set = this.sets[cpu]!;
    this.putInForce();
  }

  /** Puts the table for `key` in force: translations are kept for as many keys as there are tables. */
  use(key: number): void {
    this.set.use(key);
    this.putInForce();
  }

  private putInForce(): void {
    this.current = this.set.current;
    this.header[cpuHeader.offset('translation') >> 2] = this.current.base;
  }

  /** The physical page of code at a virtual address, | 1; 0 if it has not been filled in. */
  fetch(address: number): number {
    return this.current.words[((address >>> pageShift) << 2) + 2]!;
  }

  /** Notes where the page of a virtual address leads; `kinds`: 1 loads, 2 stores, 4 fetches are allowed in place. */
  fill(address: number, physical: number, kinds: number, global: boolean, large: boolean): void {
    const { words } = this.current;
    const page = address >>> pageShift;
    const at = page << 2;
    this.fills++;
    if ((words[at]! | words[at + 1]! | words[at + 2]!) === 0) this.current.list(page, global);
    const addend = (physical - page * pageSize - translationBias) | 0;
    if (kinds & 1) words[at] = addend;
    if (kinds & 2) {
      words[at + 1] = addend;
      const known = this.stored[physical >>> pageShift]!;
      this.stored[physical >>> pageShift] = known === 0 || known === page + 1 ? page + 1 : several;
    }
    if (kinds & 4) words[at + 2] = physical | 1;
    if (large) this.large[address >>> largeShift] = 1;
  }

  /** Forgets everything. */
  flush(): void {
    for (const table of this.tables) table.flush();
    this.large.fill(0);
  }

  /** Forgets what is not global of the core that runs, or of all. */
  flushLocal(all: boolean): void {
    for (const table of all ? this.tables : this.set.tables) table.flushLocal();
  }

  /** Forgets the translation that a virtual address is part of. */
  flushPage(address: number): void {
    const whole = this.large[address >>> largeShift] === 1;
    const span = whole ? 1 << (largeShift - pageShift) : 1;
    const first = (whole ? (address >>> largeShift) << (largeShift - pageShift) : address >>> pageShift) >>> 0;
    for (const { words } of this.tables) {
      if (span > 1) words.fill(0, first << 2, (first + span) << 2);
      else clearEntry(words, first);
    }
  }

  /** From now on stores to the physical page at `address` are not done in place. */
  protect(address: number): void {
    const page = address >>> pageShift;
    const known = this.stored[page]!;
    if (known === 0) return;
    this.stored[page] = 0;
    for (const table of this.tables) {
      if (known === several) table.protect(address);
      else protectEntry(table.words, known - 1, address);
    }
  }
}

/** What loads and stores mean in machine mode. */
class TableTranslation implements AddressTranslation {
  emitLookup(code: Code, address: number, bytes: number, access: AccessBits, physical: number, slow: number): void {
    this.emitEntry(code, () => code.get(address));
    code.mem(W.i32_load, 2, access & 2 ? storeOffset : 0);
    code.tee(physical);
    code.u8(W.i32_eqz);
    if (bytes > 1) {
      code.get(address);
      code.i32(pageSize - 1);
      code.u8(W.i32_and);
      code.i32(pageSize - bytes);
      code.u8(W.i32_gt_u);
      code.u8(W.i32_or);
    }
    code.brIf(slow);
    code.get(physical);
    code.get(address);
    code.u8(W.i32_add);
    code.set(physical);
  }

  emitCodeKey(code: Code, pushPc: () => void): void {
    this.emitEntry(code, pushPc);
    code.mem(W.i32_load, 2, fetchOffset);
    code.i32(cpuBase);
    code.mem(W.i32_load, 2, cpuHeader.offset('modeKey'));
    code.u8(W.i32_xor);
  }

  /** Pushes the wasm address of the entry of a virtual address. */
  private emitEntry(code: Code, pushAddress: () => void): void {
    pushAddress();
    code.i32(pageShift - entryShift);
    code.u8(W.i32_shr_u);
    code.i32(-1 << entryShift);
    code.u8(W.i32_and);
    code.i32(cpuBase);
    code.mem(W.i32_load, 2, cpuHeader.offset('translation'));
    code.u8(W.i32_add);
  }
}

const unused = (): never => {
  throw new Error('machine mode has no permission checks');
};

/** The memory model of machine mode. */
export const translatedMemory: MemoryModel = {
  translation: new TableTranslation(),
  needsCheck: () => true,
  emitCheck: unused,
  emitAddress: unused,
};
