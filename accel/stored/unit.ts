/**
 * Interpreter code as it is kept between runs: a unit is what was made of one text (`Text`). As 32-bit words:
 *
 *     header            `head`
 *     code              T0 code of all blocks; words that hold T0 addresses count from its first byte
 *     pcs, offsets      of each block, by ascending PC (signed): its PC, its byte offset in the code
 *     relocations       indices of the code words that hold T0 addresses
 *     ranges            guest address and length in words of what the blocks were made from
 *     bytes             what the guest had there
 *     details           of each block, by an index each: `StoredBlock`
 */
import type { LinkSite } from '#tcg/predecode.ts';
import type { BlockOutline } from '../region/discovery.ts';

/** A block's T0 code and what is known of it, wherever it lies: byte offsets count from its first word. */
export interface StoredBlock {
  readonly pc: number;
  /** Guest addresses [start, end). */
  readonly start: number;
  readonly end: number;
  /** Guest address up to which code was looked at. */
  readonly seen: number;
  readonly instructions: number;
  /** `BlockOutline.runsOn`, `successors` and `calls`. */
  readonly runsOn: boolean;
  readonly successors: readonly number[];
  readonly calls: readonly number[];
  readonly lazy: BlockOutline['lazy'];
  /** Link words are 0; words that hold T0 addresses are byte offsets. */
  readonly words: Int32Array;
  /** As in `PredecodedBlock`, with byte offsets for addresses. */
  readonly marks: readonly number[];
  readonly links: readonly LinkSite[];
  readonly indirectCalls: readonly LinkSite[];
  readonly targets: readonly number[];
  /** Guest addresses [start, end) read as constant. */
  readonly constants: readonly (readonly [number, number])[];
  /** The region compiler may make more of it than what is here tells. */
  readonly narrowed: boolean;
}

/** 'T0c1' */
const magic = 0x31633054;
/** Words of the header. */
const head = {
  magic: 0,
  /** All words of the unit. */
  length: 1,
  /** Of the words after it. */
  checksum: 2,
  blocks: 3,
  codeWords: 4,
  relocations: 5,
  ranges: 6,
  byteWords: 7,
  /** Guest addresses [first, last) that hold all ranges. */
  first: 8,
  last: 9,
  /** Of a page's unit: the CPU mode. */
  mode: 10,
  words: 16,
} as const;
const detailWords = 13;
const Flag = { runsOn: 1, narrowed: 2 } as const;

/** Byte offset of the code in a unit, and of the words that the checksum is of. */
export const codeOffset: number = head.words * 4;
export const checkedOffset: number = (head.checksum + 1) * 4;

/** A unit's words, as they were read. */
export class Unit {
  readonly words: Int32Array;
  readonly pcs: Int32Array;
  readonly offsets: Int32Array;
  /** Where in the words the PCs are, with the offsets after them, the relocations, the ranges and the bytes. */
  readonly pcsAt: number;
  readonly relocationsAt: number;
  readonly rangesAt: number;
  readonly bytesAt: number;
  private readonly detailsAt: number;

  constructor(words: Int32Array) {
    this.words = words;
    const { blocks } = this;
    this.pcsAt = head.words + this.codeWords;
    this.relocationsAt = this.pcsAt + 2 * blocks;
    this.pcs = words.subarray(this.pcsAt, this.pcsAt + blocks);
    this.offsets = words.subarray(this.pcsAt + blocks, this.relocationsAt);
    this.rangesAt = this.relocationsAt + words[head.relocations]!;
    this.bytesAt = this.rangesAt + 2 * words[head.ranges]!;
    this.detailsAt = this.bytesAt + words[head.byteWords]!;
  }

  get blocks(): number {
    return this.words[head.blocks]!;
  }

  get checksum(): number {
    return this.words[head.checksum]!;
  }

  get codeWords(): number {
    return this.words[head.codeWords]!;
  }

  get first(): number {
    return this.words[head.first]! >>> 0;
  }

  get last(): number {
    return this.words[head.last]! >>> 0;
  }

  /** CPU mode of a page's unit. */
  get mode(): number {
    return this.words[head.mode]!;
  }

  /** Number of the block at `pc`, or -1. */
  indexOf(pc: number): number {
    const { pcs } = this;
    let low = 0;
    let high = pcs.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (pcs[middle]! < pc) low = middle + 1;
      else high = middle;
    }
    return pcs[low] === pc ? low : -1;
  }

  /** Does any range overlap guest [start, end)? */
  overlaps(start: number, end: number): boolean {
    if (end <= this.first || start >= this.last) return false;
    for (let at = this.rangesAt; at < this.bytesAt; at += 2) {
      const from = this.words[at]! >>> 0;
      if (from < end && from + 4 * this.words[at + 1]! > start) return true;
    }
    return false;
  }

  /** Tells of the direct calls of all blocks, and of the words for the targets of indirect ones by the PC they return to. */
  forEachCall(direct: (callee: number) => void, indirect: (returnPc: number, offset: number) => void): void {
    const { words, detailsAt, blocks, offsets } = this;
    for (let index = 0; index < blocks; index++) {
      const counts = detailsAt + blocks + words[detailsAt + index]!;
      let at = counts + detailWords + words[counts + 6]!;
      for (let i = 0; i < words[counts + 7]!; i++) direct(words[at++]!);
      at += words[counts + 8]! + words[counts + 9]!;
      const count = words[at++]!;
      for (let i = 0; i < count; i++, at += 2) indirect(words[at + 1]!, offsets[index]! + words[at]!);
    }
  }

  /** Number of the block whose code has byte `offset`. */
  blockWith(offset: number): number {
    const { offsets } = this;
    let low = 0;
    let high = offsets.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (offsets[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Block number `index` by ascending PC. */
  block(index: number): StoredBlock {
    const { words } = this;
    const offset = this.offsets[index]!;
    const counts = this.detailsAt + this.blocks + words[this.detailsAt + index]!;
    const flags = words[counts + 4]!;
    const successorsAt = counts + detailWords;
    const callsAt = successorsAt + words[counts + 6]!;
    const marksAt = callsAt + words[counts + 7]!;
    const linksAt = marksAt + words[counts + 8]!;
    const othersAt = linksAt + words[counts + 9]!;
    const constantsAt = othersAt + words[counts + 10]!;
    const lazyAt = constantsAt + words[counts + 11]!;
    const end = lazyAt + words[counts + 12]!;
    const targetsAt = othersAt + 1 + 2 * words[othersAt]!;
    const links = sites(words, linksAt, othersAt);
    const targets = numbers(words, targetsAt, constantsAt);
    const from = head.words + offset / 4;
    const code = copyWords(words, from, from + words[counts + 5]!);
    for (const { address } of links) code[address >> 2] = 0;
    for (const target of targets) code[target >> 2]! -= offset;
    return {
      pc: this.pcs[index]!,
      start: words[counts]! >>> 0,
      end: words[counts + 1]! >>> 0,
      seen: words[counts + 2]! >>> 0,
      instructions: words[counts + 3]!,
      runsOn: (flags & Flag.runsOn) !== 0,
      narrowed: (flags & Flag.narrowed) !== 0,
      successors: numbers(words, successorsAt, callsAt),
      calls: numbers(words, callsAt, marksAt),
      lazy: { read: words[lazyAt]!, ways: ways(words, lazyAt + 1, end) },
      words: code,
      marks: numbers(words, marksAt, linksAt),
      links,
      indirectCalls: sites(words, othersAt + 1, targetsAt),
      targets,
      constants: ranges(words, constantsAt, lazyAt),
    };
  }
}

/** The units that follow one another in `words`, up to one whose header makes no sense. */
export function splitUnits(words: Int32Array): Unit[] {
  const units: Unit[] = [];
  for (let at = 0; at + head.words <= words.length; ) {
    const end = at + words[at + head.length]!;
    if (words[at] !== magic || end < at || end > words.length || !isWellFormed(words.subarray(at, end))) break;
    units.push(new Unit(words.subarray(at, end)));
    at = end;
  }
  return units;
}

/** Is there room for all that the header of a unit announces? */
function isWellFormed(unit: Int32Array): boolean {
  if (unit.length < head.words) return false;
  const counts = unit.subarray(head.blocks, head.byteWords + 1);
  if (counts.some((count) => count < 0 || count > unit.length)) return false;
  const [blocks, code, relocations, ranges, bytes] = counts;
  const least = code! + 2 * blocks! + relocations! + 2 * ranges! + bytes!;
  return blocks! > 0 && head.words + least + blocks! * (1 + detailWords) <= unit.length;
}

/** Where copies of blocks' code go, one after the other: a typed array with memory of its own takes microseconds. */
let pool = new Int32Array(0);
let poolUsed = 0;

/** A copy of words [from, to), for a while. */
export function copyWords(words: Int32Array, from: number, to: number): Int32Array {
  const count = to - from;
  if (poolUsed + count > pool.length) {
    pool = new Int32Array(Math.max(1 << 16, count));
    poolUsed = 0;
  }
  const copy = pool.subarray(poolUsed, poolUsed + count);
  poolUsed += count;
  for (let i = 0; i < count; i++) copy[i] = words[from + i]!;
  return copy;
}

const nothing: readonly never[] = [];

/** Words [from, to) as a list. All blocks of a program are read one after the other: lists have their exact sizes. */
function numbers(words: Int32Array, from: number, to: number): readonly number[] {
  if (from === to) return nothing;
  const list = new Array<number>(to - from);
  for (let at = from; at < to; at++) list[at - from] = words[at]!;
  return list;
}

/** A list made of pairs of words. */
function ofPairs<T>(words: Int32Array, from: number, to: number, make: (a: number, b: number) => T): readonly T[] {
  if (from === to) return nothing;
  const list = new Array<T>((to - from) / 2);
  for (let at = from; at < to; at += 2) list[(at - from) / 2] = make(words[at]!, words[at + 1]!);
  return list;
}

const site = (address: number, pc: number): LinkSite => ({ address, pc });
const sites = (words: Int32Array, from: number, to: number): readonly LinkSite[] => ofPairs(words, from, to, site);
const way = (pc: number, set: number): StoredBlock['lazy']['ways'][number] => ({ pc, set });
const ways = (words: Int32Array, from: number, to: number): StoredBlock['lazy']['ways'] =>
  ofPairs(words, from, to, way);
const range = (start: number, end: number): readonly [number, number] => [start >>> 0, end >>> 0];
const ranges = (words: Int32Array, from: number, to: number): StoredBlock['constants'] =>
  ofPairs(words, from, to, range);

/** Words that the details of a block take. */
function lengthOf({ successors, calls, marks, links, indirectCalls, targets, constants, lazy }: StoredBlock): number {
  const others = 1 + 2 * indirectCalls.length + targets.length;
  const lists = successors.length + calls.length + marks.length + 2 * links.length + 2 * constants.length;
  return detailWords + lists + others + 1 + 2 * lazy.ways.length;
}

/** Writes the details of a block from `details[at]` on, and returns where they end. */
function writeDetails(block: StoredBlock, details: Int32Array, from: number): number {
  const { successors, calls, marks, links, indirectCalls, targets, constants, lazy } = block;
  const flags = (block.runsOn ? Flag.runsOn : 0) | (block.narrowed ? Flag.narrowed : 0);
  const counts = [successors.length, calls.length, marks.length, 2 * links.length];
  counts.push(1 + 2 * indirectCalls.length + targets.length, 2 * constants.length, 1 + 2 * lazy.ways.length);
  details.set([block.start, block.end, block.seen, block.instructions, flags, block.words.length], from);
  details.set(counts, from + 6);
  let at = from + detailWords;
  for (const list of [successors, calls, marks]) {
    details.set(list, at);
    at += list.length;
  }
  at = writeSites(links, details, at);
  details[at++] = indirectCalls.length;
  at = writeSites(indirectCalls, details, at);
  details.set(targets, at);
  at += targets.length;
  for (const [start, end] of constants) {
    details[at++] = start;
    details[at++] = end;
  }
  details[at++] = lazy.read;
  for (const { pc, set } of lazy.ways) {
    details[at++] = pc;
    details[at++] = set;
  }
  return at;
}

function writeSites(list: readonly LinkSite[], details: Int32Array, from: number): number {
  let at = from;
  for (const { address, pc } of list) {
    details[at++] = address;
    details[at++] = pc;
  }
  return at;
}

/** Puts the code of a block at its offset; links within the unit lead to their targets. */
function placeCode(
  block: StoredBlock,
  offsets: ReadonlyMap<number, number>,
  code: Int32Array,
  relocations: number[],
): void {
  const offset = offsets.get(block.pc)!;
  code.set(block.words, offset >> 2);
  for (const target of block.targets) {
    const at = (offset + target) >> 2;
    code[at]! += offset;
    relocations.push(at);
  }
  for (const { address, pc } of block.links) {
    const target = offsets.get(pc);
    if (target === undefined) continue;
    const at = (offset + address) >> 2;
    code[at] = target;
    relocations.push(at);
  }
}

/** What guest memory holds in the ranges, address and length in words each. */
function wordsOf(ranges: readonly (readonly [number, number])[], word: (address: number) => number): Int32Array {
  const words = new Int32Array(ranges.reduce((sum, [, count]) => sum + count, 0));
  let at = 0;
  for (const [start, count] of ranges) for (let i = 0; i < count; i++) words[at++] = word(start + 4 * i);
  return words;
}

/** Word-aligned ranges that hold the given ones, merged, as address and length in words. */
export function merged(ranges: readonly (readonly [number, number])[]): [number, number][] {
  const result: [number, number][] = [];
  let lastEnd = -1;
  for (const [start, end] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const [from, to] = [start - (start % 4), end + ((4 - (end % 4)) % 4)];
    if (from <= lastEnd) {
      const open = result.at(-1)!;
      lastEnd = Math.max(lastEnd, to);
      open[1] = (lastEnd - open[0]) / 4;
    } else {
      result.push([from, (to - from) / 4]);
      lastEnd = to;
    }
  }
  return result;
}

/**
 * Makes a unit of blocks with different PCs, all but its checksum. `word` reads guest memory at an address that is a
 * multiple of 4.
 */
export function makeUnit(blocks: readonly StoredBlock[], word: (address: number) => number, mode = 0): Int32Array {
  const sorted = [...blocks].sort((a, b) => a.pc - b.pc);
  const offsets = new Map<number, number>();
  let codeWords = 0;
  for (const { pc, words } of sorted) {
    offsets.set(pc, codeWords * 4);
    codeWords += words.length;
  }
  const code = new Int32Array(codeWords);
  const relocations: number[] = [];
  for (const block of sorted) placeCode(block, offsets, code, relocations);
  const detailsAt = new Int32Array(sorted.length);
  const details = new Int32Array(sorted.reduce((sum, block) => sum + lengthOf(block), 0));
  let detailsEnd = 0;
  for (const [index, block] of sorted.entries()) {
    detailsAt[index] = detailsEnd;
    detailsEnd = writeDetails(block, details, detailsEnd);
  }
  const ranges = merged(sorted.flatMap(({ start, seen, constants }) => [[start, seen] as const, ...constants]));
  const bytes = wordsOf(ranges, word);
  const header = new Int32Array(head.words);
  header[head.magic] = magic;
  header[head.mode] = mode;
  header[head.blocks] = sorted.length;
  header[head.codeWords] = codeWords;
  header[head.relocations] = relocations.length;
  header[head.ranges] = ranges.length;
  header[head.byteWords] = bytes.length;
  const [lastStart, lastCount] = ranges.at(-1)!;
  header[head.first] = ranges[0]![0];
  header[head.last] = lastStart + 4 * lastCount;
  const parts = [
    header,
    code,
    sorted.map(({ pc }) => pc),
    [...offsets.values()],
    relocations,
    ranges.flat(),
    bytes,
    detailsAt,
    details,
  ];
  const unit = new Int32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    unit.set(part, at);
    at += part.length;
  }
  unit[head.length] = unit.length;
  return unit;
}

/** Writes the checksum of a unit made by `makeUnit`. */
export function seal(unit: Int32Array, checksum: number): void {
  unit[head.checksum] = checksum;
}
