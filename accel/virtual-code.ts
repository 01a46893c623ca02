import { accessScratch, cpuHeader } from '#tcg/cpu-page.ts';
import type { IrBlock } from '#tcg/ir.ts';
import type { CodeKeys, PredecodedBlock } from '#tcg/predecode.ts';
import { t0AccessBytes, t0AccessKind } from '#tcg/predecode-tables.ts';
import type { CpuView, Target } from '#tcg/target.ts';
import type { CodeArea } from './code-area.ts';
import { type CodePages, type CodeSpace, codeAt, crosses, type PageCode, type Translation } from './code-space.ts';
import type { CodeSpaces } from './code-spaces.ts';
import type { VirtualAddresses } from './engine-memory.ts';
import { cpuBase, pageShift, pageSize } from './guest-memory.ts';
import { cacheJump, forgetJump } from './jump-caches.ts';
import type { Profile } from './profile.ts';
import type { CodeReach } from './region/discovery.ts';
import type { FaultSite } from './region/sites.ts';
import type { StoredPages } from './stored/stored-pages.ts';
import type { Unit } from './stored/unit.ts';
import { knownHotFraction, machineHotThreshold, maxSpaces } from './tunables.ts';

const modeKeyWord = cpuHeader.offset('modeKey') >> 2;
/** Mode numbers fit into the bits of a code key below the page, but for its lowest. */
const maxModes = pageSize / 2;
/** Bytes, of the guests that have a machine mode. */
const longestInstruction = 4;

/** Address of the page after that of `address`. */
const endOfPage = (address: number): number => ((address | (pageSize - 1)) >>> 0) + 1;

/** What code by virtual pages has of its engine. */
export interface VirtualCodeHost {
  readonly target: Target;
  readonly cpu: CpuView;
  /** Memory 1. */
  readonly words: Int32Array;
  readonly area: CodeArea;
  readonly spaces: CodeSpaces;
  readonly profile: Profile;
  readonly codePages: CodePages;
  readonly storedPages: StoredPages | null;
  /** Makes the interpreter code for `pc` and returns its address. */
  translate(pc: number): number;
  dropBlock(space: CodeSpace, pc: number, code: PredecodedBlock): void;
  /** Has an earlier run left a region that begins at `pc`? */
  hasRegion(pc: number): boolean;
  /** Throws all translations away. */
  flush(): void;
}

/** An engine's code in machine mode: it is known by its virtual page, its physical page and the CPU mode. */
export class VirtualCode {
  readonly addresses: VirtualAddresses;
  private readonly host: VirtualCodeHost;
  /** Numbers of CPU modes. */
  private readonly modeNumbers = new Map<number, number>();
  /** The pages whose units of earlier runs have been placed, by ascending address. */
  private placed: PageCode[] = [];

  constructor(addresses: VirtualAddresses, host: VirtualCodeHost) {
    this.addresses = addresses;
    this.host = host;
  }

  private get space(): CodeSpace {
    return this.host.spaces.current;
  }

  /** Puts a CPU mode in force: its key, and the space last used in it. */
  enterMode(mode: number): void {
    const { spaces, cpu } = this.host;
    let number = this.modeNumbers.get(mode);
    if (number === undefined) {
      if (this.modeNumbers.size === maxModes) {
        this.host.flush();
        this.modeNumbers.clear();
      }
      number = this.modeNumbers.size;
      this.modeNumbers.set(mode, number);
    }
    cpu.i32[modeKeyWord] = number << 1;
    if (mode !== spaces.current.mode) spaces.current = spaces.of(mode);
  }

  /** The interpreter code for `pc`, -1 if its fetch faults. */
  codeAddress(pc: number): number {
    const { host, addresses } = this;
    const address = host.target.address(pc);
    const page = addresses.codePage(address);
    if (page === 0) return -1;
    this.chooseSpace(address >>> pageShift, page);
    let known = this.space.addresses.get(pc);
    if (known === undefined) {
      this.pageCode(address);
      known = codeAt(this.space, pc) ?? host.translate(pc);
    }
    const second = this.space.crossing.get(pc);
    if (second !== undefined) {
      const page = addresses.codePage(endOfPage(address));
      if (page === 0) return -1;
      if (page !== second) return host.translate(pc);
    }
    cacheJump(host.words, pc, known);
    return known;
  }

  // ---- pages

  /** What was made of the page of `address` in the space at hand; at first what earlier runs have left. */
  pageCode(address: number): PageCode {
    const { space, addresses } = this;
    const { storedPages, codePages, cpu } = this.host;
    const number = address >>> pageShift;
    const known = space.pageCode.get(number);
    if (known) return known;
    const page = space.pages.get(number) ?? addresses.peekCodePage(address);
    const physical = (page & -pageSize) >>> 0;
    const stored = storedPages?.find(space.mode, number, physical);
    const made: PageCode = { kind: 'page', pages: [], space, number, blocks: [], outlines: [], stored, base: -1 };
    space.pageCode.set(number, made);
    addresses.protectCode(physical);
    codePages.note(physical, physical, made);
    if (stored) this.place(made, stored, storedPages!, page ^ cpu.i32[modeKeyWord]!);
    return made;
  }

  private place(page: PageCode, stored: Unit, pages: StoredPages, key: number): void {
    const { space } = page;
    const { profile, area } = this.host;
    const { threshold } = profile;
    const begun = Math.floor(machineHotThreshold * (1 - knownHotFraction));
    const early = threshold - begun;
    page.base = pages.place(stored, area.end, area.limit, key, threshold, early, (pc) => this.host.hasRegion(pc));
    if (page.base < 0) {
      page.stored = undefined;
      return;
    }
    area.end = page.base + stored.codeWords * 4;
    this.placed.push(page);
    stored.forEachCall(
      (callee) => space.functions.add(callee),
      (returnPc, offset) => space.indirectCalls.set(returnPc, page.base + offset),
    );
  }

  dropPage(page: PageCode): void {
    const { space, stored, base } = page;
    const { area, storedPages, words } = this.host;
    this.keepPage(page);
    space.pageCode.delete(page.number);
    for (const { code } of page.blocks) this.host.dropBlock(space, code.pc, code);
    for (const pc of page.outlines) space.outlines.delete(pc);
    if (!stored || base < 0) return;
    area.dead += stored.codeWords * 4;
    storedPages!.disable(stored, base);
    for (const pc of stored.pcs) forgetJump(words, pc);
  }

  /** Keeps what was made of a page for later runs; its bytes must not have changed yet. */
  private keepPage(page: PageCode): void {
    const { space, pages } = page;
    const { storedPages, area } = this.host;
    if (storedPages === null) return;
    const wasHot = (pc: number): boolean =>
      space.compiled.has(pc) || space.covered.has(pc) || space.outlines.get(pc)?.inRegion === true;
    const physical = pages[0]! * pageSize;
    const kept = storedPages.keep(space.mode, page, physical, wasHot, area.end, area.limit);
    if (page.base < 0) page.stored = kept;
  }

  keepPages(): void {
    const { storedPages, spaces } = this.host;
    if (storedPages === null) return;
    for (const { pageCode } of spaces.all) for (const page of pageCode.values()) this.keepPage(page);
  }

  /** All interpreter code goes, and the code of earlier runs with it. */
  forgetPlaced(): void {
    this.placed = [];
  }

  /** From now on code of earlier runs counts its entries. */
  beginProfile(threshold: number): void {
    const { profile } = this.host;
    for (const { stored, base } of this.placed) {
      if (base < 0) continue;
      const blocks = Array.from(stored!.offsets, (at) => ({ address: base + at }));
      profile.beginAt(threshold, blocks);
    }
  }

  /** The pages of [start, end) are noted as those that `translation` was made from. */
  note(start: number, end: number, translation: Translation): void {
    const { addresses, space } = this;
    const last = (Math.max(start + 1, end) - 1) >>> pageShift;
    for (let number = start >>> pageShift; number <= last; number++) {
      const page = space.pages.get(number) ?? addresses.peekCodePage(number * pageSize);
      if (page === 0) continue;
      const physical = (page & -pageSize) >>> 0;
      addresses.protectCode(physical);
      this.host.codePages.note(physical, physical, translation);
    }
  }

  // ---- spaces

  /** Makes a space the current one in which virtual page `number` is physical `page`, or which does not know it. */
  private chooseSpace(number: number, page: number): void {
    const { space } = this;
    const { spaces } = this.host;
    const here = space.pages.get(number);
    if (here === page) return;
    const all = spaces.allOf(space.mode);
    const other = all.find(({ pages }) => pages.get(number) === page);
    if (other) {
      spaces.enter(other);
      return;
    }
    if (here === undefined) {
      space.pages.set(number, page);
      return;
    }
    const free = all.find(({ pages }) => !pages.has(number)) ?? this.addSpace(space.mode);
    free.pages.set(number, page);
    spaces.enter(free);
  }

  private addSpace(mode: number): CodeSpace {
    const { spaces } = this.host;
    if (spaces.allOf(mode).length >= maxSpaces) this.host.flush();
    return spaces.add(mode);
  }

  // ---- while code is translated

  /** What is read as constant while code at `pc` is translated must be in its page. */
  readFrom(pc: number): void {
    this.addresses.constantPage = this.host.target.address(pc) >>> pageShift;
  }

  /** Where a block at `pc` must end. An instruction that may run on into the next page is a block of its own. */
  pageEnd(pc: number): number {
    return endOfPage(this.host.target.address(pc)) + 1 - longestInstruction;
  }

  /** The key of the page of `pc`. */
  key(pc: number): number {
    const { target, cpu } = this.host;
    return this.space.pages.get(target.address(pc) >>> pageShift)! ^ cpu.i32[modeKeyWord]!;
  }

  /** The keys of the pages of the block at hand; that it runs on into another is noted. */
  keys(block: IrBlock): CodeKeys {
    const first = this.key(block.pc);
    if (!crosses(block)) return { first };
    const address = endOfPage(block.start);
    const page = this.addresses.codePage(address);
    this.space.crossing.set(block.pc, page);
    return { first, second: { address, key: page ^ this.host.cpu.i32[modeKeyWord]! } };
  }

  /** Which pages a region may take code from. */
  readonly reach: CodeReach = {
    reaches: (entry, pc) => {
      const { addresses, space } = this;
      const [number, own] = [this.pageOf(pc), this.pageOf(entry)];
      if (number === own) return true;
      const known = space.pages.get(number);
      const page = addresses.steadyPage(own * pageSize) ? addresses.steadyPage(number * pageSize) : 0;
      if (page === 0 || (known ?? page) !== page) return false;
      space.pages.set(number, page);
      return true;
    },
    pageEnd: (pc) => this.pageEnd(pc),
    begin: (pc) => {
      this.readFrom(pc);
      return this.pageEnd(pc);
    },
    crosses,
  };

  /** May code at guest `address` be in a region that begins at `entry`, for what is known of their pages? */
  admits(entry: number, address: number): boolean {
    const { addresses, space } = this;
    const own = this.pageOf(entry);
    const page = addresses.peekCodePage(own * pageSize);
    if (page === 0 || (space.pages.get(own) ?? page) !== page) return false;
    space.pages.set(own, page);
    return this.reach.reaches(entry, address);
  }

  private pageOf(pc: number): number {
    return this.host.target.address(pc) >>> pageShift;
  }

  // ---- accesses

  /** Serves an access of interpreter code, at word `word` of memory 1, that was not found in the tables. */
  interpreterAccess(address: number, word: number): number {
    const { words } = this.host;
    const code = words[word]!;
    return this.addresses.access(address, t0AccessBytes[code]!, t0AccessKind[code]!, words[word + 1]! >>> 0);
  }

  /** The same for an access of a region. `value`: wasm address of what is to be stored. */
  regionAccess(address: number, { bytes, access }: FaultSite): number {
    return this.addresses.access(address, bytes, access, cpuBase + accessScratch);
  }

  /**
   * `PredecodedBlock.marks` for interpreter code `address` of an earlier run, whose addresses count from `from`; undefined
   * if `block`, the last of this run before it, has it.
   */
  marksAt(address: number, block: PredecodedBlock | undefined): { marks: readonly number[]; from: number } | undefined {
    const page = this.placed.findLast(({ base }) => base >= 0 && base <= address);
    if (!page || (block !== undefined && block.address <= address && block.address > page.base)) return undefined;
    const { stored, base } = page;
    const index = stored!.blockWith(address - base);
    return { marks: stored!.block(index).marks, from: base + stored!.offsets[index]! };
  }
}
