import { t0Opcodes } from '#tcg/interpreter-ops.ts';
import type { PredecodedBlock } from '#tcg/predecode.ts';
import type { CodeReader } from '#tcg/target.ts';
import { pageShift, pageSize } from '../guest-memory.ts';
import { jumpCachesWritten } from '../jump-caches.ts';
import { neverHot } from '../profile.ts';
import type { BlockOutline } from '../region/discovery.ts';
import { maxStoredBlocks, maxUnits, translationLookAhead } from '../tunables.ts';
import {
  checkedOffset,
  codeOffset,
  copyWords,
  makeUnit,
  type StoredBlock,
  seal,
  splitUnits,
  type Unit,
} from './unit.ts';

/** A part of a file that is mapped and has not been written to: what is translated of it is of use to other runs. */
export interface Text {
  /** Names the file, its content and where it is mapped. */
  readonly name: string;
  /** Guest addresses [start, end). */
  readonly start: number;
  readonly end: number;
}

/**
 * Keeps what belongs to a name, units one after the other, from run to run. It may be wrong: units are tested before
 * they are used.
 */
export interface CodeStore {
  load(name: string): Int32Array | null;
  save(name: string, units: Int32Array): void;
}

/** What `tcg/stored-code.ts` does. */
export interface UnitLoops {
  readonly checksum: (start: number, end: number) => number;
  readonly matches: (ranges: number, end: number, bytes: number) => number;
  readonly relocate: (list: number, end: number, code: number) => number;
  readonly remember: (pcs: number, end: number, code: number) => number;
}

/** A unit in memory 1, prepared to run. */
export interface PlacedUnit {
  readonly unit: Unit;
  /** Byte address of its code. */
  readonly address: number;
  /** 1 for each block that the engine knows like one of its own. */
  readonly adopted: Uint8Array;
}

/** A text that code was translated of in this run. */
interface Source {
  readonly text: Text;
  /** Name of its unit. */
  readonly name: string;
  fresh: Fresh[];
}

/** A block that was translated in this run. */
interface Fresh {
  readonly code: PredecodedBlock;
  readonly outline: BlockOutline;
  readonly constants: StoredBlock['constants'];
  readonly narrowed: boolean;
}

/** Units whose checksum was right: they are used again for each process. */
const checked = new WeakSet<Int32Array>();
const known = new WeakMap<Int32Array, readonly Unit[]>();
const none: readonly never[] = [];

/** The units in what a store has, as far as they are well-formed. */
export function unitsOf(words: Int32Array | null): readonly Unit[] {
  if (words === null) return none;
  let units = known.get(words);
  if (units === undefined) {
    units = splitUnits(words);
    known.set(words, units);
  }
  return units;
}

export function concatenate(parts: readonly Int32Array[]): Int32Array {
  const whole = new Int32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** An engine's interpreter code from earlier runs, and for later ones. */
export class StoredCode {
  /** The text at a guest address, if code there may be kept. */
  textAt: (address: number) => Text | null = () => null;
  private readonly store: CodeStore;
  private readonly memory: Pick<CodeReader, 'fetch32'>;
  /** Memory 1. */
  private readonly words: Int32Array;
  private readonly loops: UnitLoops;
  private units: PlacedUnit[] = [];
  private sources: Source[] = [];
  /** Guest pages whose text is known, or known not to be there. */
  private readonly asked = new Set<number>();

  constructor(store: CodeStore, memory: StoredCode['memory'], words: Int32Array, loops: UnitLoops) {
    this.store = store;
    this.memory = memory;
    this.words = words;
    this.loops = loops;
  }

  /** Units with blocks that are not adopted. */
  get placed(): readonly PlacedUnit[] {
    return this.units;
  }

  /** T0 code address of the block at `pc` if a unit has it and it has not been adopted. */
  at(pc: number): number | undefined {
    for (const { unit, address, adopted } of this.units) {
      const index = unit.indexOf(pc);
      if (index >= 0 && adopted[index] === 0) return address + unit.offsets[index]!;
    }
    return undefined;
  }

  /**
   * Looks whether there are units of what is mapped at guest `address`, once a page; those that are true of guest
   * memory are put into memory 1 from byte address `at` on, before `limit`.
   */
  bring(address: number, exactState: boolean, at: number, limit: number): readonly PlacedUnit[] {
    const page = address >>> pageShift;
    if (this.asked.has(page)) return none;
    this.asked.add(page);
    if (this.sources.some(({ text }) => text.start <= address && address < text.end)) return none;
    const text = this.textAt(address);
    if (text === null) return none;
    const name = exactState ? `${text.name}:exact` : text.name;
    this.sources.push({ text, name, fresh: [] });
    const placed: PlacedUnit[] = [];
    let end = at;
    for (const unit of unitsOf(this.store.load(name))) {
      if (!this.isTrue(unit, text, end, limit)) continue;
      const start = end + codeOffset;
      this.loops.relocate(end + unit.relocationsAt * 4, end + unit.rangesAt * 4, start);
      this.loops.remember(end + unit.pcsAt * 4, end + (unit.pcsAt + unit.blocks) * 4, start);
      placed.push({ unit, address: start, adopted: new Uint8Array(unit.blocks) });
      end = start + unit.codeWords * 4;
    }
    if (placed.length > 0) jumpCachesWritten(this.words);
    this.units.push(...placed);
    return placed;
  }

  /**
   * Copies a unit to byte address `at` of memory 1, if it is whole and what it was made from is in `text`, which is
   * mapped and cannot be written to; else returns false.
   */
  private isTrue(unit: Unit, text: Text, at: number, limit: number): boolean {
    const { words, rangesAt, bytesAt } = unit;
    const end = at + words.length * 4;
    if (end > limit || unit.first < text.start || unit.last > text.end) return false;
    this.words.set(words, at >> 2);
    if (!checked.has(words)) {
      if (this.loops.checksum(at + checkedOffset, end) !== unit.checksum) return false;
      checked.add(words);
    }
    return this.loops.matches(at + rangesAt * 4, at + bytesAt * 4, at + bytesAt * 4) === 1;
  }

  /** The text that guest `address` is in, if it was asked for already. */
  textOf(address: number): Text | null {
    const source = this.sources.find(({ text }) => text.start <= address && address < text.end);
    return source?.text ?? null;
  }

  /**
   * Notes a block that was translated from a text alone, for `save`. `narrowed`: it might have been translated better
   * with constants from elsewhere.
   */
  add(code: PredecodedBlock, outline: BlockOutline, constants: StoredBlock['constants'], narrowed: boolean): void {
    const { start, end } = outline;
    const source = this.sources.find(({ text }) => text.start <= start && end <= text.end);
    source?.fresh.push({ code, outline, constants, narrowed });
  }

  /**
   * Keeps what is new; `isLive` tells of a block that its translation still stands. Memory 1 is free from byte address
   * `scratch` to `limit`.
   */
  save(isLive: (code: PredecodedBlock) => boolean, scratch: number, limit: number): void {
    for (const source of this.sources) {
      const { fresh, name } = source;
      if (fresh.length === 0) continue;
      source.fresh = [];
      // What is not true of this memory goes.
      const old = unitsOf(this.store.load(name)).filter((unit) => this.isTrue(unit, source.text, scratch, limit));
      const isNew = ({ code }: Fresh): boolean => isLive(code) && old.every((unit) => unit.indexOf(code.pc) < 0);
      const kept = fresh.filter(isNew);
      if (old.reduce((sum, unit) => sum + unit.blocks, kept.length) > maxStoredBlocks) continue;
      const blocks = kept.map((block) => this.portable(block, source.text));
      if (old.length >= maxUnits) {
        for (const unit of old.splice(0)) for (let i = 0; i < unit.blocks; i++) blocks.push(unit.block(i));
      }
      const unit = this.newUnit(blocks, scratch, limit);
      if (unit !== null) this.store.save(name, concatenate([...old.map(({ words }) => words), unit]));
    }
  }

  /** A unit of blocks of mapped texts; null if there are none, or too many. */
  private newUnit(blocks: readonly StoredBlock[], scratch: number, limit: number): Int32Array | null {
    if (blocks.length === 0) return null;
    const unit = makeUnit(blocks, (address) => this.memory.fetch32(address));
    if (scratch + unit.length * 4 > limit) return null;
    this.words.set(unit, scratch >> 2);
    seal(unit, this.loops.checksum(scratch + checkedOffset, scratch + unit.length * 4));
    return unit;
  }

  private portable({ code, outline, constants, narrowed }: Fresh, text: Text): StoredBlock {
    const seen = Math.min(outline.end + translationLookAhead, text.end);
    return { ...outline, ...portableCode(this.words, code), seen, constants, narrowed };
  }

  /** Was any block that has not been adopted made from the guest's pages of [start, end)? */
  touches(start: number, end: number): boolean {
    if (this.units.length === 0) return false;
    const first = start - (start % pageSize);
    const last = Math.ceil(end / pageSize) * pageSize;
    return this.units.some(({ unit }) => unit.overlaps(first, last));
  }

  /** Everything has been adopted. */
  release(): void {
    this.units = [];
  }

  /** What is mapped in guest [start, end) changes. */
  forget(start: number, end: number): void {
    if (this.sources.length === 0) return;
    for (const page of this.asked) {
      if (page * pageSize < end && start < (page + 1) * pageSize) this.asked.delete(page);
    }
    this.sources = this.sources.filter(({ text }) => text.end <= start || end <= text.start);
  }

  /** All interpreter code is thrown away. */
  clear(): void {
    this.units = [];
    this.sources = [];
    this.asked.clear();
  }
}

/** A block's code, in memory 1 (`memory`), as it was before it ran, and independent of where it is. */
export function portableCode(
  memory: Int32Array,
  code: PredecodedBlock,
): Pick<StoredBlock, 'words' | 'marks' | 'links' | 'indirectCalls' | 'targets'> {
  const { address, bytes, targets } = code;
  const words = copyWords(memory, address >> 2, (address + bytes) >> 2);
  // It may lead to a region by now.
  words[0] = t0Opcodes.enter!;
  words[1] = neverHot;
  const portable = ({ address: at, pc }: PredecodedBlock['links'][number]) => ({ address: at - address, pc });
  const links = code.links.map(portable);
  const indirectCalls = code.indirectCalls.map(portable);
  for (const link of links) words[link.address >> 2] = 0;
  for (const call of indirectCalls) words.fill(0, call.address >> 2, (call.address >> 2) + 2);
  for (const target of targets) words[(target - address) >> 2]! -= address;
  return {
    words,
    marks: code.marks.map((value, i) => (i % 3 === 0 ? value - address : value)),
    links,
    indirectCalls,
    targets: targets.map((target) => target - address),
  };
}

/** What the engine keeps of a block, with its code at byte `address` of memory 1. */
export function blockAt(block: StoredBlock, address: number): PredecodedBlock {
  const here = ({ address: at, pc }: PredecodedBlock['links'][number]) => ({ address: at + address, pc });
  return {
    pc: block.pc,
    address,
    bytes: block.words.length * 4,
    marks: block.marks.map((value, i) => (i % 3 === 0 ? value + address : value)),
    links: block.links.map(here),
    indirectCalls: block.indirectCalls.map(here),
    targets: block.targets.map((target) => target + address),
    counters: [],
  };
}
