import type { CompiledModule } from '../region/compiler.ts';
import { maxModuleVersions, maxModuleWords } from '../tunables.ts';
import { type CodeStore, concatenate, type UnitLoops } from './stored-code.ts';
import {
  type ModuleFacts,
  makeModule,
  moduleCheckedOffset,
  type StoredModule,
  sealModule,
  splitModules,
} from './stored-module.ts';

/** Compiled modules of one name. */
interface Index {
  readonly modules: readonly StoredModule[];
  /** By PC of their regions, the newest first. */
  readonly byEntry: Map<number, StoredModule[]>;
  /** PCs of blocks that regions run through. */
  readonly covered: Set<number>;
}

const indices = new WeakMap<Int32Array, Index>();
/** Modules whose checksum was right, or was made in this run. */
const checked = new WeakSet<Int32Array>();
const noIndex: Index = { modules: [], byEntry: new Map(), covered: new Set() };

function indexOf(words: Int32Array | null): Index {
  if (words === null) return noIndex;
  const known = indices.get(words);
  if (known) return known;
  const made: Index = { modules: splitModules(words), byEntry: new Map(), covered: new Set() };
  for (const module of made.modules) {
    for (const { pc } of module.regions) {
      const others = made.byEntry.get(pc);
      if (others) others.push(module);
      else made.byEntry.set(pc, [module]);
    }
    for (const pc of module.covered) made.covered.add(pc);
  }
  indices.set(words, made);
  return made;
}

/** An engine's compiled regions of earlier runs, and for later ones. A name stands for a text, or for a machine. */
export class StoredRegions {
  private readonly store: CodeStore;
  /** Memory 1. */
  private readonly words: Int32Array;
  private readonly loops: Pick<UnitLoops, 'checksum'>;
  /** By name, as the store had it when it was first asked. */
  private readonly known = new Map<string, Index>();
  private readonly fresh = new Map<string, StoredModule[]>();
  /** Modules that were of use in this run. */
  private readonly used = new Set<StoredModule>();

  constructor(store: CodeStore, words: Int32Array, loops: Pick<UnitLoops, 'checksum'>) {
    this.store = store;
    this.words = words;
    this.loops = loops;
  }

  private index(name: string): Index {
    let index = this.known.get(name);
    if (!index) {
      index = indexOf(this.store.load(fileName(name)));
      this.known.set(name, index);
    }
    return index;
  }

  /** Does a region begin at `pc`, or run through it? */
  kindOf(name: string, pc: number): 'entry' | 'covered' | null {
    const { byEntry, covered } = this.index(name);
    if (byEntry.has(pc)) return 'entry';
    return covered.has(pc) ? 'covered' : null;
  }

  /**
   * A module with a region at `pc` that was made under the same conditions and of what the guest has, as `isTrue` tells.
   * Memory 1 is free from byte address `scratch` to `limit`.
   */
  find(
    name: string,
    pc: number,
    { mode, flags }: Pick<ModuleFacts, 'mode' | 'flags'>,
    isTrue: (module: StoredModule) => boolean,
    scratch: number,
    limit: number,
  ): StoredModule | undefined {
    const found = this.index(name)
      .byEntry.get(pc)
      ?.find((module) => {
        if (module.mode !== mode || module.flags !== flags) return false;
        return this.isWhole(module, scratch, limit) && isTrue(module);
      });
    if (found) this.used.add(found);
    return found;
  }

  private isWhole({ words, checksum }: StoredModule, scratch: number, limit: number): boolean {
    if (checked.has(words)) return true;
    if (this.sum(words, scratch, limit) !== checksum) return false;
    checked.add(words);
    return true;
  }

  /** Checksum of a module's words; undefined if memory 1 has no room for them. */
  private sum(words: Int32Array, scratch: number, limit: number): number | undefined {
    const end = scratch + words.length * 4;
    if (end > limit) return undefined;
    this.words.set(words, scratch >> 2);
    return this.loops.checksum(scratch + moduleCheckedOffset, end);
  }

  /** Notes a module for `save`. */
  add(
    name: string,
    module: CompiledModule,
    facts: ModuleFacts,
    pageSize: number,
    word: (address: number) => number,
    scratch: number,
    limit: number,
  ): void {
    const words = makeModule(module, facts, (address) => Math.floor(address / pageSize), pageSize, word);
    const checksum = this.sum(words, scratch, limit);
    if (checksum === undefined) return;
    sealModule(words, checksum);
    const [made] = splitModules(words);
    if (!made) throw new Error('engine: a module that is none');
    checked.add(words);
    this.used.add(made);
    const others = this.fresh.get(name);
    if (others) others.push(made);
    else this.fresh.set(name, [made]);
  }

  /** Hands what is new to the store, the newest first. */
  save(): void {
    for (const [name, fresh] of this.fresh) {
      const old = indexOf(this.store.load(fileName(name))).modules;
      const seen = new Map<string, number>();
      const sums = new Set<string>();
      const kept: StoredModule[] = [];
      let left = maxModuleWords;
      const take = (module: StoredModule): void => {
        const key = `${module.mode} ${module.flags} ${module.entry}`;
        const versions = seen.get(key) ?? 0;
        const sum = `${key} ${module.checksum}`;
        if (sums.has(sum) || versions >= maxModuleVersions || module.words.length > left) return;
        sums.add(sum);
        seen.set(key, versions + 1);
        left -= module.words.length;
        kept.push(module);
      };
      // What was of use has precedence if there is too much.
      for (const module of fresh) take(module);
      for (const module of old) if (this.used.has(module)) take(module);
      for (const module of old) if (!this.used.has(module)) take(module);
      this.store.save(fileName(name), concatenate(kept.map(({ words }) => words)));
    }
    this.fresh.clear();
  }
}

const fileName = (name: string): string => `${name}:regions`;
