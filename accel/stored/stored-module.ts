/**
 * A compiled module as it is kept between runs, as 32-bit words:
 *
 *     header            `head`
 *     regions           of each: its PC, its guest instructions
 *     reach             pairs of a region's PC and an address in a page that it has code of
 *     code, constants   guest address and length in words of what it was made from
 *     bytes             what the guest had there
 *     relocations       `Code.relocations`
 *     sites             `FaultSite`, five words each
 *     traps             `TrapSites`, four words each
 *     covered           PCs of the plain blocks that its regions run through
 *     wasm              the module's bytes
 */
import { RelocationKind, relocationWords, writeFixed } from '#tcg/wasm/code.ts';
import type { CompiledModule } from '../region/compiler.ts';
import { type FaultSite, TrapSites } from '../region/sites.ts';
import { translationLookAhead } from '../tunables.ts';
import { merged } from './unit.ts';

/** 'R1m1' */
const magic = 0x316d3152;
/** Words of the header: counts of what follows, in this order, from `regions` on. */
const head = {
  magic: 0,
  /** All words. */
  length: 1,
  /** Of the words after it. */
  checksum: 2,
  mode: 3,
  flags: 4,
  regions: 5,
  reach: 6,
  code: 7,
  constants: 8,
  bytes: 9,
  relocations: 10,
  sites: 11,
  traps: 12,
  covered: 13,
  /** Bytes. */
  wasm: 14,
  words: 16,
} as const;
/** Words of one of each list. */
const widths = [2, 2, 2, 2, 1, relocationWords, 5, 4, 1] as const;

export const moduleCheckedOffset: number = (head.checksum + 1) * 4;

type Range = readonly [start: number, end: number];

/** What is known of a module beside what the compiler tells. */
export interface ModuleFacts {
  readonly mode: number;
  readonly flags: number;
  /** All that was read as constant. */
  readonly constants: readonly Range[];
  readonly sites: readonly FaultSite[];
  readonly covered: readonly number[];
  /** Number of its first site. */
  readonly firstSite: number;
}

/** Values of this engine's for a module's constants. */
export interface ModuleValues {
  readonly slot: (pc: number) => number;
  readonly key: (pc: number) => number;
  /** Number of its first site. */
  readonly firstSite: number;
  /** Of the length it had. */
  readonly name: string;
}

/** A module's words, as they were read. */
export class StoredModule {
  readonly words: Int32Array;
  /** Where each list begins, and the end of the last. */
  private readonly starts: number[] = [];

  constructor(words: Int32Array) {
    this.words = words;
    let at: number = head.words;
    for (const [i, width] of widths.entries()) {
      this.starts.push(at);
      at += words[head.regions + i]! * width;
    }
    this.starts.push(at);
  }

  get checksum(): number {
    return this.words[head.checksum]!;
  }

  get mode(): number {
    return this.words[head.mode]!;
  }

  get flags(): number {
    return this.words[head.flags]!;
  }

  /** PC of its first region. */
  get entry(): number {
    return this.words[head.words]!;
  }

  private list(field: keyof typeof head): Int32Array {
    const index = head[field] - head.regions;
    return this.words.subarray(this.starts[index], this.starts[index + 1]);
  }

  get regions(): { readonly pc: number; readonly instructions: number }[] {
    return groups(this.list('regions'), 2).map(([pc, instructions]) => ({ pc: pc!, instructions: instructions! }));
  }

  get reach(): readonly (readonly number[])[] {
    return groups(this.list('reach'), 2);
  }

  /** Guest byte ranges of code, and of what was read as constant. */
  get code(): Range[] {
    return groups(this.list('code'), 2).map(range);
  }

  get constants(): Range[] {
    return groups(this.list('constants'), 2).map(range);
  }

  get covered(): Int32Array {
    return this.list('covered');
  }

  /** Has guest memory what the module was made from? `word` reads it. */
  matches(word: (address: number) => number): boolean {
    const bytes = this.list('bytes');
    let at = 0;
    for (const [start, end] of [...this.code, ...this.constants]) {
      for (let address = start; address < end; address += 4) if (word(address) !== bytes[at++]) return false;
    }
    return true;
  }

  get sites(): FaultSite[] {
    const words = this.list('sites');
    const sites: FaultSite[] = [];
    for (let i = 0; i < words.length; i += 5)
      sites.push({
        pc: words[i]!,
        aux: words[i + 1]!,
        offset: words[i + 2]!,
        bytes: words[i + 3]!,
        access: words[i + 4]!,
      });
    return sites;
  }

  get trapSites(): TrapSites {
    return new TrapSites([...this.list('traps')]);
  }

  /** The module's bytes for an engine; null if what is to be changed is not in them. */
  wasm({ slot, key, firstSite, name }: ModuleValues): Uint8Array<ArrayBuffer> | null {
    const size = this.words[head.wasm]!;
    const { buffer, byteOffset } = this.words;
    const bytes = new Uint8Array(buffer, byteOffset + 4 * this.starts.at(-1)!, size).slice() as Uint8Array<ArrayBuffer>;
    const list = this.list('relocations');
    for (let i = 0; i < list.length; i += relocationWords) {
      const at = list[i]!;
      const symbol = list[i + 2]!;
      if (at < 0 || at + 5 > size) return null;
      switch (list[i + 1] as RelocationKind) {
        case RelocationKind.slot:
          writeFixed(bytes, at, slot(symbol));
          break;
        case RelocationKind.site:
          writeFixed(bytes, at, ~(firstSite + symbol));
          break;
        case RelocationKind.key:
          writeFixed(bytes, at, key(symbol));
          break;
        case RelocationKind.name:
          if (symbol !== name.length || at + symbol > size) return null;
          for (let k = 0; k < symbol; k++) bytes[at + k] = name.charCodeAt(k);
          break;
        default:
          return null;
      }
    }
    return bytes;
  }
}

/** The modules that follow one another in `words`, up to one whose header makes no sense. */
export function splitModules(words: Int32Array): StoredModule[] {
  const modules: StoredModule[] = [];
  for (let at = 0; at + head.words <= words.length; ) {
    const end = at + words[at + head.length]!;
    if (words[at] !== magic || end < at + head.words || end > words.length) break;
    const own = words.subarray(at, end);
    if (!isWellFormed(own)) break;
    modules.push(new StoredModule(own));
    at = end;
  }
  return modules;
}

/** Is there just the room for what the header announces? */
function isWellFormed(words: Int32Array): boolean {
  const counts = words.subarray(head.regions, head.wasm + 1);
  if (counts.some((count) => count < 0 || count > words.length * 4) || counts[0] === 0) return false;
  const lists = widths.reduce((sum, width, i) => sum + width * counts[i]!, 0);
  return head.words + lists + Math.ceil(words[head.wasm]! / 4) === words.length;
}

/** Makes the words of a module, all but the checksum. `word` reads guest memory at a multiple of 4. */
export function makeModule(
  { bytes, regions, trapSites, relocations }: CompiledModule,
  facts: ModuleFacts,
  page: (address: number) => number,
  pageSize: number,
  word: (address: number) => number,
): Int32Array {
  // Translation may have looked at what comes after a block.
  const seen = ([start, end]: Range): Range => {
    const pageEnd = (Math.floor((Math.max(end, start + 1) - 1) / pageSize) + 1) * pageSize;
    return [start, Math.max(end, Math.min(end + translationLookAhead, pageEnd))];
  };
  const code = merged(regions.flatMap(({ ranges }) => ranges.map(seen)));
  const constants = merged([...facts.constants, ...regions.flatMap((region) => region.constants)]);
  const held: number[] = [];
  for (const [start, count] of [...code, ...constants]) for (let i = 0; i < count; i++) held.push(word(start + 4 * i));
  const reach = regions.flatMap(({ pc, ranges }) => {
    const pages = new Set(ranges.map(([start]) => page(start)));
    return Array.from(pages, (number) => [pc, number * pageSize]);
  });
  const sites = facts.sites.map(({ pc, aux, offset, bytes: size, access }) => [pc, aux, offset, size, access]);
  const local = relocations.map((value, i) =>
    i % relocationWords === 2 && relocations[i - 1] === RelocationKind.site ? ~value - facts.firstSite : value,
  );
  const lists: readonly (readonly number[])[] = [
    regions.flatMap(({ pc, instructions }) => [pc, instructions]),
    reach.flat(),
    code.flat(),
    constants.flat(),
    held,
    local,
    sites.flat(),
    trapSites.words,
    facts.covered,
  ];
  const length = head.words + lists.reduce((sum, list) => sum + list.length, 0) + Math.ceil(bytes.length / 4);
  const words = new Int32Array(length);
  words[head.magic] = magic;
  words[head.length] = length;
  words[head.mode] = facts.mode;
  words[head.flags] = facts.flags;
  let at: number = head.words;
  for (const [i, list] of lists.entries()) {
    words[head.regions + i] = list.length / widths[i]!;
    words.set(list, at);
    at += list.length;
  }
  words[head.wasm] = bytes.length;
  new Uint8Array(words.buffer).set(bytes, at * 4);
  return words;
}

/** Writes the checksum of a module made by `makeModule`. */
export function sealModule(words: Int32Array, checksum: number): void {
  words[head.checksum] = checksum;
}

function groups(words: Int32Array, width: number): number[][] {
  const found: number[][] = [];
  for (let i = 0; i < words.length; i += width) found.push([...words.subarray(i, i + width)]);
  return found;
}

const range = ([start, count]: readonly number[]): Range => [start! >>> 0, (start! >>> 0) + 4 * count!];
