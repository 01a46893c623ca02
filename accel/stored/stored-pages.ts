import type { PageCode } from '../code-space.ts';
import { pageShift, pageSize } from '../guest-memory.ts';
import {
  leastNews,
  machineHotThreshold,
  maxPageUnits,
  maxPageWords,
  storedHotThreshold,
  translationLookAhead,
} from '../tunables.ts';
import { type CodeStore, concatenate, portableCode, type UnitLoops, unitsOf } from './stored-code.ts';
import { checkedOffset, codeOffset, makeUnit, type StoredBlock, seal, type Unit } from './unit.ts';

/*
 * Interpreter code of earlier runs in machine mode. A unit is what was made of one virtual page in one CPU mode; it is
 * of use wherever that page has, in what the blocks were made of, the bytes that it had then.
 */

/** Word of a block's code with the key of its page. */
const keyWord = 4;
/** Word of a block's code with its counter: in a unit, 1 if it was compiled, else 0. */
const counterWord = 1;

/** An engine's interpreter code of pages, from earlier runs and for later ones. */
export class StoredPages {
  private readonly store: CodeStore;
  private readonly name: string;
  /** Memory 1, and memory 0 by physical address. */
  private readonly words: Int32Array;
  private readonly physical: Int32Array;
  private readonly loops: UnitLoops;
  /** By mode and page; null until the store has been read. */
  private units: Map<number, Unit[]> | null = null;
  private readonly used = new Set<Unit>();
  /** Words of units that the store has not, or not as they are. */
  private changed = 0;

  /** `name`: what the translation depends on besides the guest's code, as the store knows it. */
  constructor(store: CodeStore, name: string, words: Int32Array, physical: Int32Array, loops: UnitLoops) {
    this.store = store;
    this.name = name;
    this.words = words;
    this.physical = physical;
    this.loops = loops;
  }

  private get known(): Map<number, Unit[]> {
    if (this.units !== null) return this.units;
    this.units = new Map();
    for (const unit of unitsOf(this.store.load(this.name))) this.add(unit);
    return this.units;
  }

  private add(unit: Unit): void {
    const key = keyOf(unit.mode, unit.first >>> pageShift);
    const others = this.known.get(key);
    if (others) others.push(unit);
    else this.known.set(key, [unit]);
  }

  /** The unit that is true of virtual page `number`, which lies at physical `page`. */
  find(mode: number, number: number, page: number): Unit | undefined {
    return this.known.get(keyOf(mode, number))?.find((unit) => this.isTrue(unit, page));
  }

  private isTrue({ words, rangesAt, bytesAt, first, last }: Unit, page: number): boolean {
    if (first >>> pageShift !== (last - 1) >>> pageShift) return false;
    const { physical } = this;
    let at = bytesAt;
    for (let range = rangesAt; range < bytesAt; range += 2) {
      const from = (page + (words[range]! & (pageSize - 1))) >>> 2;
      const to = from + words[range + 1]!;
      for (let i = from; i < to; i++) if (physical[i] !== words[at++]) return false;
    }
    return true;
  }

  /**
   * Puts a unit at byte address `at` of memory 1, before `limit`, for a page with `key`; blocks are hot after `usual`
   * entries, or after `early` if they were compiled in an earlier run, or after very few if `hasRegion` tells that it has
   * left the region. Returns where its code is, or −1 if it is not as it was written.
   */
  place(
    unit: Unit,
    at: number,
    limit: number,
    key: number,
    usual: number,
    early: number,
    hasRegion: (pc: number) => boolean,
  ): number {
    const { words, offsets, pcs } = unit;
    const end = at + words.length * 4;
    if (end > limit) return -1;
    const memory = this.words;
    memory.set(words, at >> 2);
    if (!this.used.has(unit) && this.loops.checksum(at + checkedOffset, end) !== unit.checksum) return -1;
    this.used.add(unit);
    const base = at + codeOffset;
    this.loops.relocate(at + unit.relocationsAt * 4, at + unit.rangesAt * 4, base);
    const first = usual - (machineHotThreshold - storedHotThreshold);
    for (let i = 0; i < offsets.length; i++) {
      const block = (base + offsets[i]!) >> 2;
      const wasHot = memory[block + counterWord] === 1;
      memory[block + counterWord] = hasRegion(pcs[i]!) ? first : wasHot ? early : usual;
      memory[block + keyWord] = key;
    }
    return base;
  }

  /** Makes a placed unit of no use to whoever is in it: no key is 0. */
  disable({ offsets }: Unit, base: number): void {
    for (const offset of offsets) this.words[((base + offset) >> 2) + keyWord] = 0;
  }

  /**
   * Keeps what is new of a page, whose bytes are still what its code was made from, at physical `page`; returns the unit
   * that has all of it. `wasHot` tells of a block whether it was compiled. Memory 1 is free from `scratch` to `limit`.
   */
  keep(
    mode: number,
    { blocks, stored, number }: PageCode,
    page: number,
    wasHot: (pc: number) => boolean,
    scratch: number,
    limit: number,
  ): Unit | undefined {
    if (stored) this.noteHot(stored, wasHot, scratch, limit);
    if (blocks.length === 0) return stored;
    const end = (number + 1) * pageSize;
    const kept = new Map<number, StoredBlock>();
    if (stored) for (let i = 0; i < stored.blocks; i++) kept.set(stored.pcs[i]!, stored.block(i));
    for (const { code, outline, constants } of blocks) {
      const made = portableCode(this.words, code);
      made.words[keyWord] = 0;
      made.words[counterWord] = wasHot(code.pc) ? 1 : 0;
      const seen = Math.min(outline.end + translationLookAhead, end);
      kept.set(code.pc, { ...outline, ...made, seen, constants, narrowed: false });
    }
    const word = (address: number): number => this.physical[(page + (address & (pageSize - 1))) >>> 2]!;
    const words = makeUnit([...kept.values()], word, mode);
    if (!this.seal(words, scratch, limit)) return stored;
    const [unit] = unitsOf(words);
    if (!unit) throw new Error('engine: a unit that is none');
    const key = keyOf(mode, number);
    const others = (this.known.get(key) ?? []).filter((other) => other !== stored);
    this.known.set(key, [unit, ...others].slice(0, maxPageUnits));
    this.used.add(unit);
    this.changed += words.length - (stored?.words.length ?? 0);
    return unit;
  }

  /** Notes in a unit which of its blocks have been compiled. */
  private noteHot(unit: Unit, wasHot: (pc: number) => boolean, scratch: number, limit: number): void {
    const { words, pcs, offsets } = unit;
    let changed = false;
    for (let i = 0; i < pcs.length; i++) {
      const at = (codeOffset + offsets[i]!) / 4 + counterWord;
      if (words[at] === 1 || !wasHot(pcs[i]!)) continue;
      words[at] = 1;
      changed = true;
    }
    if (!changed) return;
    this.seal(words, scratch, limit);
    this.changed++;
  }

  /** Writes a unit's checksum; false if memory 1 has no room for that. */
  private seal(words: Int32Array, scratch: number, limit: number): boolean {
    const end = scratch + words.length * 4;
    if (end > limit) return false;
    this.words.set(words, scratch >> 2);
    seal(words, this.loops.checksum(scratch + checkedOffset, end));
    return true;
  }

  /**
   * Hands everything to the store, if what is new is worth writing all of it; if it is too much, only what was used in this
   * run.
   */
  save(): void {
    let units = [...this.known.values()].flat();
    const size = (): number => units.reduce((sum, { words }) => sum + words.length, 0);
    if (this.changed === 0 || this.changed < size() * leastNews) return;
    this.changed = 0;
    if (size() > maxPageWords) units = units.filter((unit) => this.used.has(unit));
    if (size() <= maxPageWords) this.store.save(this.name, concatenate(units.map(({ words }) => words)));
  }
}

const keyOf = (mode: number, number: number): number => mode * 2 ** (32 - pageShift) + number;
