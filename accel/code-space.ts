import type { PredecodedBlock } from '#tcg/predecode.ts';
import type { CodeReader } from '#tcg/target.ts';
import { pageShift } from './guest-memory.ts';
import type { BlockOutline } from './region/discovery.ts';
import type { Unit } from './stored/unit.ts';

/** Translations of one CPU mode. */
export interface CodeSpace {
  readonly mode: number;
  /** T0 code address by PC. */
  readonly addresses: Map<number, number>;
  readonly outlines: Map<number, BlockOutline>;
  /** Table index by PC. Other modules hold it: it outlives the region. */
  readonly slots: Map<number, number>;
  /** PCs with a compiled region. */
  readonly compiled: Set<number>;
  /** PCs of blocks that regions of earlier runs run through. */
  readonly covered: Set<number>;
  /** PCs that are called. */
  readonly functions: Set<number>;
  /** Link words of live T0 blocks by the PC they lead to, whether that has been translated or not. */
  readonly incoming: LinkWords;
  /** By PC an indirect call comes back to: byte address in memory 1 of the last two PCs it went to. */
  readonly indirectCalls: Map<number, number>;
  /** Machine mode: physical page | 1 of the virtual pages (numbers) it has code of. */
  readonly pages: Map<number, number>;
  /** Machine mode: what was made of its virtual pages (numbers). */
  readonly pageCode: Map<number, PageCode>;
  /** Machine mode: physical page | 1 of the second page of the blocks (by PC) that run on into another. */
  readonly crossing: Map<number, number>;
}

/**
 * Addresses of link words by PC: a hash table in typed arrays, since there are two for each block, which a Map takes
 * longer to note than the block's code takes to be written.
 */
export class LinkWords {
  /** By hash: the first entry, plus 1. */
  private heads = new Int32Array(256);
  // Of each entry: PC, address, and the next one of its hash, or of those that are free, plus 1.
  private pcs = new Int32Array(256);
  private words = new Int32Array(256);
  private nexts = new Int32Array(256);
  private count = 0;
  private free = 0;

  add(pc: number, address: number): void {
    let entry = this.free - 1;
    if (entry >= 0) this.free = this.nexts[entry]!;
    else {
      if (this.count === this.pcs.length) this.grow();
      entry = this.count++;
    }
    const hash = this.hash(pc);
    this.pcs[entry] = pc;
    this.words[entry] = address;
    this.nexts[entry] = this.heads[hash]!;
    this.heads[hash] = entry + 1;
  }

  delete(pc: number, address: number): void {
    const hash = this.hash(pc);
    let before = -1;
    for (let entry = this.heads[hash]! - 1; entry >= 0; entry = this.nexts[entry]! - 1) {
      if (this.words[entry] === address && this.pcs[entry] === (pc | 0)) {
        if (before < 0) this.heads[hash] = this.nexts[entry]!;
        else this.nexts[before] = this.nexts[entry]!;
        this.nexts[entry] = this.free;
        this.free = entry + 1;
        return;
      }
      before = entry;
    }
  }

  clear(): void {
    this.heads.fill(0);
    this.count = 0;
    this.free = 0;
  }

  /** Makes all words for `pc` (of memory 1) hold `address`. */
  lead(memory: Int32Array, pc: number, address: number): void {
    const { pcs, words, nexts } = this;
    for (let entry = this.heads[this.hash(pc)]! - 1; entry >= 0; entry = nexts[entry]! - 1)
      if (pcs[entry] === (pc | 0)) memory[words[entry]! >> 2] = address;
  }

  private hash(pc: number): number {
    return (Math.imul(pc, 0x9e3779b1) >>> 8) & (this.heads.length - 1);
  }

  private grow(): void {
    const { pcs, words } = this;
    const size = pcs.length * 2;
    this.pcs = new Int32Array(size);
    this.words = new Int32Array(size);
    this.nexts = new Int32Array(size);
    this.heads = new Int32Array(size);
    this.clear();
    for (let entry = 0; entry < pcs.length; entry++) this.add(pcs[entry]!, words[entry]!);
  }
}

const noConstants: readonly (readonly [number, number])[] = [];

export const newCodeSpace = (mode: number): CodeSpace => ({
  mode,
  addresses: new Map(),
  outlines: new Map(),
  slots: new Map(),
  compiled: new Set(),
  covered: new Set(),
  functions: new Set(),
  incoming: new LinkWords(),
  indirectCalls: new Map(),
  pages: new Map(),
  pageCode: new Map(),
  crossing: new Map(),
});

/** Something made from guest code, to be dropped when the code changes. */
export type Translation = {
  readonly space: CodeSpace;
  /** Numbers of the pages that list it: `CodePages` keeps them. */
  pages: readonly number[];
} & (
  | { readonly kind: 'block'; readonly pc: number; readonly code: PredecodedBlock }
  | { readonly kind: 'outline'; readonly pc: number }
  /** Machine mode: all blocks and outlines of a virtual page that do not run on into another. */
  | {
      readonly kind: 'page';
      /** Of the virtual page. */
      readonly number: number;
      blocks: PageBlock[];
      readonly outlines: number[];
      /** Its code of earlier runs, and where that is in memory 1 (byte address; −1: nowhere). Undefined: there is none. */
      stored: Unit | undefined;
      base: number;
    }
  /** A module is dropped as a whole: its regions call one another directly. */
  | {
      readonly kind: 'module';
      /** Its own alone, of all engines. */
      readonly name: string;
      readonly pcs: readonly number[];
      /** Its fault sites: numbers from the first to before the second. */
      readonly sites: readonly [start: number, end: number];
    }
);

export type PageCode = Extract<Translation, { readonly kind: 'page' }>;

/** A block as it is known by its page. */
export interface PageBlock {
  readonly code: PredecodedBlock;
  readonly outline: BlockOutline;
  /** Byte ranges [start, end) read as constant. */
  readonly constants: readonly (readonly [number, number])[];
}

/** True if code runs on into another page. */
export const crosses = ({ start, end }: { readonly start: number; readonly end: number }): boolean =>
  (Math.max(start + 1, end) - 1) >>> pageShift !== start >>> pageShift;

/** The T0 code address of `pc`, if it has code. */
export function codeAt({ addresses, pageCode }: CodeSpace, pc: number): number | undefined {
  const known = addresses.get(pc);
  if (known !== undefined) return known;
  const page = pageCode.get(pc >>> pageShift);
  if (page?.stored === undefined || page.base < 0) return undefined;
  const index = page.stored.indexOf(pc);
  return index < 0 ? undefined : page.base + page.stored.offsets[index]!;
}

/** The outline of the block at `pc`, if it has been translated. */
export function outlineAt({ outlines, pageCode, covered }: CodeSpace, pc: number): BlockOutline | undefined {
  const known = outlines.get(pc);
  if (known !== undefined) return known;
  const page = pageCode.get(pc >>> pageShift);
  const index = page?.stored?.indexOf(pc) ?? -1;
  if (index < 0) return undefined;
  const outline: BlockOutline = { ...page!.stored!.block(index), executed: true, inRegion: covered.has(pc) };
  outlines.set(pc, outline);
  page!.outlines.push(pc);
  return outline;
}

/** Guest code as translations read it, with a list of what they took for constant besides their own instructions. */
export class TranslationReader implements CodeReader {
  /** Where constants are taken from; null: anywhere. */
  limit: { readonly start: number; readonly end: number } | null = null;
  /** A constant has not been taken because it is elsewhere. */
  narrowed = false;
  private readonly memory: CodeReader;
  private constants: (readonly [number, number])[] = [];

  constructor(memory: CodeReader) {
    this.memory = memory;
  }

  fetch8(address: number): number {
    return this.memory.fetch8(address);
  }

  fetch16(address: number): number {
    return this.memory.fetch16(address);
  }

  fetch32(address: number): number {
    return this.memory.fetch32(address);
  }

  fetchable(address: number, bytes: number): boolean {
    return this.memory.fetchable(address, bytes);
  }

  constant(address: number, bytes: number): boolean {
    if (!this.memory.constant(address, bytes)) return false;
    const { limit } = this;
    if (limit !== null && (address < limit.start || address + bytes > limit.end)) {
      this.narrowed = true;
      return false;
    }
    this.constants.push([address, address + bytes]);
    return true;
  }

  /** Byte ranges [start, end) taken for constant since the last call of `takeConstants`. */
  get newConstants(): readonly (readonly [number, number])[] {
    return this.constants.length === 0 ? noConstants : [...this.constants];
  }

  /** Byte ranges [start, end) taken for constant since the last call. */
  takeConstants(): readonly (readonly [number, number])[] {
    const { constants } = this;
    if (constants.length === 0) return noConstants;
    this.constants = [];
    return constants;
  }
}

/** Which translations were made from which guest pages. One that spans pages is listed with each. */
export class CodePages {
  /** 1 for each page with translations: looked at before the map. */
  private readonly used = new Uint8Array(2 ** (32 - pageShift));
  private readonly lists = new Map<number, Translation[]>();

  /**
   * Notes that `translation` was made from guest bytes [start, end), and perhaps from there being none to fetch at
   * `end`.
   */
  note(start: number, end: number, translation: Translation): void {
    for (let page = start >>> pageShift; page <= end >>> pageShift; page++) {
      this.used[page] = 1;
      if (translation.pages.includes(page)) continue;
      const list = this.lists.get(page);
      if (list) list.push(translation);
      else this.lists.set(page, [translation]);
      // A list of its own size: most have one page.
      translation.pages = translation.pages.length === 0 ? [page] : [...translation.pages, page];
    }
  }

  /**
   * Takes out what was made from the pages of guest bytes [start, end), with all its entries; undefined if nothing was.
   */
  take(start: number, end: number): Set<Translation> | undefined {
    let taken: Set<Translation> | undefined;
    const last = Math.min(this.used.length - 1, Math.max(start, end - 1) >>> pageShift);
    for (let page = start >>> pageShift; page <= last; page++) {
      if (this.used[page] === 0) continue;
      taken ??= new Set();
      for (const translation of this.lists.get(page)!) {
        taken.add(translation);
        for (const other of translation.pages) if (other !== page) this.remove(other, translation);
      }
      this.lists.delete(page);
      this.used[page] = 0;
    }
    return taken;
  }

  /** Takes out one translation. */
  forget(translation: Translation): void {
    for (const page of translation.pages) this.remove(page, translation);
  }

  /** Takes the blocks of the interpreter out of all lists. */
  forgetBlocks(): void {
    for (const [page, list] of this.lists) {
      const kept = list.filter(({ kind }) => kind !== 'block');
      for (const translation of kept) {
        if (translation.kind !== 'page') continue;
        translation.blocks = [];
        translation.base = -1;
      }
      this.setList(page, kept);
    }
  }

  /** Entries in all lists. */
  get listed(): number {
    let count = 0;
    for (const list of this.lists.values()) count += list.length;
    return count;
  }

  private remove(page: number, translation: Translation): void {
    const list = this.lists.get(page);
    if (!list) return;
    // What was made last goes first, most often.
    const at = list.lastIndexOf(translation);
    if (at < 0) return;
    const last = list.pop()!;
    if (at < list.length) list[at] = last;
    if (list.length === 0) this.setList(page, list);
  }

  private setList(page: number, list: Translation[]): void {
    if (list.length > 0) this.lists.set(page, list);
    else {
      this.lists.delete(page);
      this.used[page] = 0;
    }
  }

  clear(): void {
    this.used.fill(0);
    this.lists.clear();
  }
}
