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

/** Addresses of link words by PC. Most PCs have one: only a second one makes a set. */
export class LinkWords {
  private readonly words = new Map<number, number | Set<number>>();

  add(pc: number, address: number): void {
    const known = this.words.get(pc);
    if (known === undefined) this.words.set(pc, address);
    else if (typeof known === 'number') this.words.set(pc, new Set([known, address]));
    else known.add(address);
  }

  delete(pc: number, address: number): void {
    const known = this.words.get(pc);
    if (typeof known === 'object') known.delete(address);
    else if (known === address) this.words.delete(pc);
  }

  clear(): void {
    this.words.clear();
  }

  of(pc: number): Iterable<number> {
    const known = this.words.get(pc);
    if (known === undefined) return noWords;
    return typeof known === 'number' ? [known] : known;
  }
}

const noWords: readonly number[] = [];
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
  readonly pages: number[];
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
    return this.constants;
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
  private readonly lists = new Map<number, Set<Translation>>();

  /**
   * Notes that `translation` was made from guest bytes [start, end), and perhaps from there being none to fetch at
   * `end`.
   */
  note(start: number, end: number, translation: Translation): void {
    for (let page = start >>> pageShift; page <= end >>> pageShift; page++) {
      this.used[page] = 1;
      const list = this.lists.get(page);
      if (list?.has(translation)) continue;
      if (list) list.add(translation);
      else this.lists.set(page, new Set([translation]));
      translation.pages.push(page);
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
    for (const [page, list] of this.lists)
      for (const translation of list) {
        if (translation.kind === 'block') this.remove(page, translation);
        else if (translation.kind === 'page') {
          translation.blocks = [];
          translation.base = -1;
        }
      }
  }

  /** Entries in all lists. */
  get listed(): number {
    let count = 0;
    for (const list of this.lists.values()) count += list.size;
    return count;
  }

  private remove(page: number, translation: Translation): void {
    const list = this.lists.get(page);
    if (!list?.delete(translation) || list.size > 0) return;
    this.lists.delete(page);
    this.used[page] = 0;
  }

  clear(): void {
    this.used.fill(0);
    this.lists.clear();
  }
}
