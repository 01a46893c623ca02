import { cpuHeader, ExitReason, leftRegion } from '#tcg/cpu-page.ts';
import { engineMemory, t0Opcodes } from '#tcg/interpreter-ops.ts';
import type { IrBlock } from '#tcg/ir.ts';
import { translateHelper } from '#tcg/memory-model.ts';
import type { PredecodedBlock } from '#tcg/predecode.ts';
import { t0AccessBytes, t0AccessKind } from '#tcg/predecode-tables.ts';
import type { CpuView, Target } from '#tcg/target.ts';
import { createLog } from '#util/log.ts';
import { CodeArea } from './code-area.ts';
import {
  CodePages,
  type CodeSpace,
  codeAt,
  crosses,
  outlineAt,
  type Translation,
  TranslationReader,
} from './code-space.ts';
import { CodeSpaces } from './code-spaces.ts';
import type { EngineMemory, VirtualAddresses } from './engine-memory.ts';
import { cpuBase, memoryPages, pageSize } from './guest-memory.ts';
import { cacheJump, cacheRegion, clearJumpCaches, forgetJump } from './jump-caches.ts';
import { loadCompiler, loadMemoryModels, loadTranslator } from './lazy.ts';
import type { Optimization } from './optimizations.ts';
import { neverHot, Profile } from './profile.ts';
import type { CompiledRegion } from './region/compiler.ts';
import type { BlockOutline } from './region/discovery.ts';
import type { Region } from './region/emitter.ts';
import type { FaultSite, TrapSites } from './region/sites.ts';
import { ModuleFlag } from './stored/module-flags.ts';
import {
  blockAt,
  type CodeStore,
  type PlacedUnit,
  StoredCode,
  type Text,
  type UnitLoops,
} from './stored/stored-code.ts';
import type { StoredModule } from './stored/stored-module.ts';
import { StoredPages } from './stored/stored-pages.ts';
import { StoredRegions } from './stored/stored-regions.ts';
import type { StoredBlock } from './stored/unit.ts';
import type { Translator } from './translator.ts';
import { trapPlace } from './trap-place.ts';
import {
  coldBudget,
  coldBudgets,
  functionEntries,
  hotThreshold,
  interpreterBlockInstructions,
  machineHotThreshold,
  manyCalls,
  maxExactReturns,
  maxModules,
  maxSites,
  onStackFactor,
  runBudget,
  storedHotThreshold,
  syscallCost,
  tableSize,
  thresholdFor,
} from './tunables.ts';
import { VirtualCode } from './virtual-code.ts';

const log = createLog('engine');
const hexList = (pcs: readonly number[]): string => pcs.map((pc) => (pc >>> 0).toString(16)).join(' ');

/** Which tiers run: `interp` T0 only, `region` everything compiled at once (or after `hot` runs), `auto` by profile. */
export type Tier = 'interp' | 'region' | 'auto';

/** Listeners for `-d` dumps; each is called only if set. */
export interface EngineTrace {
  /** A block was translated (before and after the passes). */
  readonly block?: (block: IrBlock, stage: 'op' | 'op_opt') => void;
  /** A region's optimized blocks. */
  readonly region?: (region: Region) => void;
  /** A module was compiled. */
  readonly module?: (bytes: Uint8Array, regions: readonly CompiledRegion[]) => void;
  /** The dispatcher is about to run the block at `pc`: every block that runs, if `EngineOptions.everyBlock` is set. */
  readonly exec?: (pc: number) => void;
  /** Generated code was left, or a system call is served in the midst of it; the CPU header says more. */
  readonly exit?: (reason: ExitReason) => void;
}

export interface EngineOptions {
  /** Bytes of the interpreter module (`generateInterpreter`), prebuilt. */
  readonly interpreter: Uint8Array<ArrayBuffer>;
  readonly tier: Tier;
  /** Runs of a block before its region is compiled, where `tier` is `region`; 1 by default. */
  readonly hot?: number;
  /** Called before the first block is translated. */
  readonly onTranslate?: () => void;
  /** Called before the region compiler begins to work (`tier` auto). */
  readonly onWarm?: () => void;
  /** Translate one guest instruction per block (-one-insn-per-tb). */
  readonly oneInstruction?: boolean;
  readonly trace?: EngineTrace;
  /** Count the guest instructions that run: in the interpreter, or in regions too, which makes them slower. */
  readonly count?: 'interpreter' | 'all';
  /** Come back to the dispatcher after each block, for `trace.exec`. Needs `tier: 'interp'`. */
  readonly everyBlock?: boolean;
  /** Budget of a run (`runBudget`). */
  readonly budget?: number;
  /** What to do without. */
  readonly without?: ReadonlySet<Optimization>;
  /** Where interpreter code is kept from run to run. Only if none of the options before changes it. */
  readonly store?: CodeStore;
  /** Machine mode: the name it has there; what translation depends on besides the guest's code. */
  readonly storeName?: string;
}

/** What an engine did, for `--stats`. What a run of the dispatcher or a system call adds is not worth a switch. */
export interface EngineStats {
  blocks: number;
  blockInstructions: number;
  regions: number;
  regionInstructions: number;
  modules: number;
  moduleBytes: number;
  compileMilliseconds: number;
  /** Calls of `Engine.run`. */
  runs: number;
  /** How often generated code was left, by `ExitReason`. */
  readonly exits: number[];
  /** System calls, and those of them served without leaving generated code. */
  syscalls: number;
  served: number;
  flushes: number;
  invalidations: number;
}

/** What an engine keeps at present. */
export interface EngineHoldings {
  /** Bytes of interpreter code, and those of dropped blocks among them. */
  codeBytes: number;
  deadBytes: number;
  blocks: number;
  outlines: number;
  modules: number;
  slots: number;
  functions: number;
  /** Fault sites, and modules with accesses that trap. */
  sites: number;
  trapSites: number;
  /** Entries in the lists of translations by page. */
  listed: number;
}

/** What the engine must know of a module. */
interface InstalledModule {
  readonly name: string;
  readonly regions: readonly Pick<CompiledRegion, 'pc' | 'instructions'>[];
  readonly trapSites: TrapSites;
  readonly firstSite: number;
  /** Guest byte ranges of code, and of what was read as constant. */
  readonly ranges: readonly (readonly [number, number])[];
  readonly constants: readonly (readonly [number, number])[];
}

interface InterpreterExports extends UnitLoops {
  readonly run: (address: number) => void;
  readonly miss: () => number;
}

const headerWord = (field: keyof typeof cpuHeader.fields): number => cpuHeader.fields[field].offset >> 2;
const pcWord = headerWord('pc');
const reasonWord = headerWord('exitReason');
const argWord = headerWord('exitArg');
const faultWord = headerWord('faultAddress');
const budgetWord = headerWord('budget');
const noLimit = {};
/** True for the reasons of the engine's own to leave code whose instructions have been carried out. */
const endsInstruction = (reason: ExitReason): boolean =>
  reason === ExitReason.none || reason === ExitReason.miss || reason === ExitReason.mode || reason === ExitReason.flush;
/** Modules made so far, by all engines: no two have one name. All names have one length. */
let moduleNumber = 0;
const nextModuleName = (): string => `regions-${(moduleNumber++).toString().padStart(8, '0')}`;
/**
 * Runs guest code in one address space: translates blocks for the interpreter, compiles hot regions, dispatches
 * between them and returns when something must be served (`ExitReason`).
 */
export class Engine {
  readonly cpu: CpuView;
  readonly stats: EngineStats = {
    blocks: 0,
    blockInstructions: 0,
    regions: 0,
    regionInstructions: 0,
    modules: 0,
    moduleBytes: 0,
    compileMilliseconds: 0,
    runs: 0,
    exits: Object.values(ExitReason).map(() => 0),
    syscalls: 0,
    served: 0,
    flushes: 0,
    invalidations: 0,
  };
  /**
   * Serves a system call without leaving generated code: called with the state in memory and `cpuHeader.pc` after the
   * call. True: served; execution goes on at `cpuHeader.pc`. False: run() returns `ExitReason.syscall`.
   */
  serveSyscall: () => boolean = () => false;
  private readonly target: Target;
  private readonly memory: EngineMemory;
  /** Machine mode: code is known by its physical page too. */
  private readonly virtual: VirtualCode | undefined;
  private readonly options: EngineOptions;
  private readonly engineMemory = reserveMemory(engineMemory.pages);
  private readonly engineWords = new Int32Array(this.engineMemory.buffer);
  private readonly table: WebAssembly.Table;
  private readonly imports: WebAssembly.Imports;
  private readonly interpreter: InterpreterExports;
  /** Null until something has to be translated. */
  private usedTranslator: Translator | null = null;
  private readonly without: ReadonlySet<Optimization>;
  private readonly profile = new Profile(this.engineWords);
  /** True until the program has run long enough for the region compiler to be worth its start. */
  private cold: boolean;
  /** While it is: budgets used up, and the system calls before the one that is being used. */
  private usedBudgets = 0;
  /** What is left of such a budget. */
  private coldLeft = coldBudget;
  private callsBefore = 0;
  private readonly spaces = new CodeSpaces();
  private exactState = false;
  /** The guest writes into pages with code (`Target.coherentCode`): state must be exact where a store may be one. */
  private watching: 'no' | 'begins' | 'on' = 'no';
  /** The instruction at the PC stores into its own page, perhaps into itself: it runs alone and is translated again. */
  private stepping = false;
  /** What was made for that, and is not watched. */
  private readonly stepped: Translation[] = [];
  private exactReturns = 0;
  private readonly area = new CodeArea();
  /** All predecoded blocks, for fault addresses; by ascending address if `sorted`. */
  private predecoded: PredecodedBlock[] = [];
  private sorted = true;
  /** Interpreter code of earlier runs; null without a store. */
  private readonly stored: StoredCode | null;
  /** The same in machine mode. */
  private readonly storedPages: StoredPages | null = null;
  /** Regions of earlier runs; null without a store, or until they are asked for. */
  private usedRegions: StoredRegions | null = null;
  /** By number, which compiled code knows; those of dropped modules are undefined. */
  private sites: (FaultSite | undefined)[] = [];
  /** The unchecked accesses of live modules, by name. */
  private readonly trapSites = new Map<string, TrapSites>();
  private readonly codePages = new CodePages();
  private readonly reader: TranslationReader;
  private nextSlot = 1;
  private liveModules = 0;
  private interpreted = new Map<number, number>();
  /** Translations were thrown away while generated code was running. */
  private flushed = false;

  constructor(target: Target, memory: EngineMemory, options: EngineOptions) {
    this.target = target;
    this.memory = memory;
    this.options = options;
    this.cpu = memory.cpu;
    this.reader = new TranslationReader(memory);
    this.profile.threshold = options.tier === 'region' ? (options.hot ?? 1) : neverHot;
    this.cold = options.tier === 'auto';
    this.without = options.without ?? new Set();
    this.table = new WebAssembly.Table({ element: 'anyfunc', initial: 1, maximum: tableSize });
    this.imports = {
      e: {
        guest: memory.memory,
        engine: this.engineMemory,
        regions: this.table,
        syscall: () => this.syscall(),
        helper: memory.virtual
          ? (id: number, a: number, b: number, c: number) =>
              id === translateHelper
                ? this.translateAccess(this.virtual!, a, b)
                : target.helpers[id]!.call(this.cpu, a, b, c)
          : (id: number, a: number, b: number, c: number) => target.helpers[id]!.call(this.cpu, a, b, c),
      },
    };
    const instance = new WebAssembly.Instance(new WebAssembly.Module(options.interpreter), this.imports);
    this.interpreter = instance.exports as unknown as InterpreterExports;
    this.table.set(0, this.interpreter.miss);
    const { store } = options;
    const { virtual } = memory;
    this.stored =
      store === undefined || virtual ? null : new StoredCode(store, memory, this.engineWords, this.interpreter);
    if (store && virtual) {
      const physical = new Int32Array(memory.memory.buffer);
      const name = options.storeName ?? target.name;
      this.storedPages = new StoredPages(store, name, this.engineWords, physical, this.interpreter);
    }
    this.virtual = virtual && this.virtualCode(virtual);
    this.clearCaches();
    memory.onUnprotected = () => this.flush();
    memory.onWatchedWrite = (start, end) => this.invalidate(start, end);
    if (virtual) virtual.onCodeWritten = (physical) => this.invalidate(physical, physical + 1);
  }

  private virtualCode(addresses: VirtualAddresses): VirtualCode {
    const { target, cpu, engineWords: words, area, spaces, profile, codePages, storedPages } = this;
    return new VirtualCode(addresses, {
      ...{ target, cpu, words, area, spaces, profile, codePages, storedPages },
      translate: (pc) => this.translate(pc),
      dropBlock: (space, pc, code) => this.dropBlock(space, pc, code),
      hasRegion: (pc) => this.hasRegion(pc),
      flush: () => this.flush(),
    });
  }

  private get space(): CodeSpace {
    return this.spaces.current;
  }

  /** Runs from `cpuHeader.pc` until something must be served. */
  run(): ExitReason {
    this.stats.runs++;
    const budget = this.options.budget ?? runBudget;
    const cold = this.cold && !this.virtual;
    const { i32 } = this.cpu;
    i32[budgetWord] = cold ? this.coldLeft : budget;
    let reason = this.options.everyBlock ? this.runByBlocks() : this.dispatch();
    if (cold) {
      // Whoever makes calls comes here often: what is left of a budget counts on.
      this.coldLeft = reason === ExitReason.budget ? coldBudget : Math.max(1, i32[budgetWord]!);
      if (reason === ExitReason.budget && !this.mostlyCalls()) {
        this.warmUp();
        i32[budgetWord] = budget;
        reason = this.dispatch();
      }
    }
    // A system call has been told of where it happened.
    if (reason !== ExitReason.syscall) this.options.trace?.exit?.(reason);
    return reason;
  }

  /** Have system calls made up much of the budget that is used up? Not if it goes on for long. */
  private mostlyCalls(): boolean {
    const calls = this.stats.syscalls - this.callsBefore;
    this.callsBefore = this.stats.syscalls;
    this.usedBudgets++;
    return calls >= manyCalls && this.usedBudgets < coldBudgets;
  }

  /** Runs the instruction at `cpuHeader.pc`: `ExitReason.budget` after it, or what must be served. */
  runOne(): ExitReason {
    const { i32 } = this.cpu;
    for (;;) {
      this.enterMode();
      const pc = i32[pcWord]!;
      const address = this.virtual ? this.virtual.codeAddress(pc) : this.codeAddress(pc);
      if (address < 0) return this.refuseFetch(pc);
      i32[reasonWord] = ExitReason.none;
      i32[budgetWord] = 1;
      this.step(pc);
      const reason = i32[reasonWord] as ExitReason;
      if (reason === ExitReason.fault && !this.resolveFault()) continue;
      return endsInstruction(reason) ? ExitReason.budget : reason;
    }
  }

  /** From now on hot blocks are compiled; what they have run so far counts. Machines call it when they have booted so far. */
  warmUp(): void {
    if (!this.cold) return;
    this.options.onWarm?.();
    this.cold = false;
    this.adoptExecuted();
    this.profile.beginAt(this.virtual ? machineHotThreshold : hotThreshold, this.predecoded);
    for (const unit of this.stored?.placed ?? []) this.beginProfile(unit);
    for (const { pc, address } of this.predecoded)
      if (this.hasRegion(pc)) this.profile.lower(address, storedHotThreshold);
    this.virtual?.beginProfile(machineHotThreshold);
  }

  /** The same with one block to each visit of the dispatcher. */
  private runByBlocks(): ExitReason {
    for (let left = runBudget; left > 0; left--) {
      const reason = this.dispatch();
      if (reason !== ExitReason.budget) return reason;
    }
    return ExitReason.budget;
  }

  private dispatch(): ExitReason {
    const { i32 } = this.cpu;
    this.enterMode();
    for (;;) {
      this.flushed = false;
      i32[reasonWord] = ExitReason.none;
      const pc = i32[pcWord]!;
      if (this.stepping) {
        this.options.trace?.exec?.(pc);
        this.step(pc);
      } else {
        const address = this.virtual ? this.virtual.codeAddress(pc) : this.codeAddress(pc);
        if (address < 0) return this.refuseFetch(pc);
        if (this.watching === 'begins') {
          this.watching = 'on';
          this.makeExact(true);
          continue;
        }
        this.options.trace?.exec?.(pc);
        // The block at the entry takes all of the budget (its instructions, word 3); the one after it finds none.
        if (this.options.everyBlock) i32[budgetWord] = this.engineWords[(address >> 2) + 3]!;
        this.runCode(address);
      }
      const reason = i32[reasonWord] as ExitReason;
      this.stats.exits[reason]!++;
      switch (reason) {
        case ExitReason.miss:
          // A block that began inside an IT block has ended it.
          this.enterMode();
          if (!this.virtual) cacheJump(this.engineWords, i32[pcWord]!, this.codeAddress(i32[pcWord]!));
          break;
        case ExitReason.hot:
          if (!this.virtual || this.virtual.codeAddress(i32[pcWord]!) >= 0) this.compileAround(i32[pcWord]!);
          break;
        case ExitReason.mode:
          this.enterMode();
          break;
        case ExitReason.flush:
          if (!this.flushed) return reason;
          break;
        case ExitReason.none:
          // A region went to PC −1, which for regions means that there is a reason.
          i32[pcWord] = leftRegion;
          break;
        case ExitReason.fault:
          this.stepping = !this.resolveFault();
          if (this.stepping) break;
          return reason;
        case ExitReason.budget:
        case ExitReason.syscall:
        case ExitReason.undefined:
        case ExitReason.breakpoint:
        case ExitReason.alignment:
        case ExitReason.fetchFault:
        case ExitReason.yield:
        case ExitReason.trap:
        case ExitReason.halt:
        case ExitReason.exception:
          return reason;
      }
    }
  }

  /** Runs the instruction at `pc` alone, with the page it is in open to its stores. */
  private step(pc: number): void {
    const { i32 } = this.cpu;
    this.stepping = false;
    const { address } = this.predecode(pc, 1, neverHot, false);
    const budget = i32[budgetWord]!;
    i32[budgetWord] = this.engineWords[(address >> 2) + 3]!;
    this.runCode(address);
    i32[budgetWord] = budget - 1;
    // What comes after it has found no budget.
    if (i32[reasonWord] === ExitReason.budget && budget > 1) i32[reasonWord] = ExitReason.miss;
    // It may have stored into itself. What else is on its page has been dropped then, and else is as good as before.
    for (const translation of this.stepped.splice(0)) {
      this.codePages.forget(translation);
      this.drop(translation);
    }
  }

  /** Runs generated code from the T0 code at `address` until it returns, or an unchecked access of it traps. */
  private runCode(address: number): void {
    try {
      this.interpreter.run(address);
    } catch (error) {
      const place = trapPlace(error);
      const site = place && this.trapSites.get(place.module)?.find(place.offset);
      if (!site) throw error;
      const { i32 } = this.cpu;
      i32[reasonWord] = ExitReason.trap;
      i32[argWord] = site.access;
      i32[pcWord] = site.pc;
      this.target.restoreAux?.(this.cpu, site.aux);
    }
  }

  /** Translated code of guest [start, end) is stale: whatever was made from its pages is dropped. */
  invalidate(start: number, end: number): void {
    if (this.stored?.touches(start, end)) this.adoptAll();
    this.stored?.forget(start, end);
    const stale = this.codePages.take(start, end);
    if (!stale) return;
    // What runs now may be stale itself: it leaves when it has been served.
    this.flushed = true;
    this.stats.invalidations++;
    for (const translation of stale) this.drop(translation);
  }

  private drop(translation: Translation): void {
    const { space, kind } = translation;
    switch (kind) {
      case 'block':
        this.dropBlock(space, translation.pc, translation.code);
        return;
      case 'outline':
        space.outlines.delete(translation.pc);
        return;
      case 'page':
        this.virtual!.dropPage(translation);
        return;
      case 'module':
        this.trapSites.delete(translation.name);
        this.sites.fill(undefined, ...translation.sites);
        for (const pc of translation.pcs) this.uninstall(space, pc);
        this.liveModules--;
        return;
      default:
        kind satisfies never;
    }
  }

  /** Forgets a T0 block. Its code stays where it is: it may be running. */
  private dropBlock({ addresses, crossing, incoming }: CodeSpace, pc: number, code: PredecodedBlock): void {
    for (const site of code.links) incoming.delete(site.pc, site.address);
    if (addresses.get(pc) !== code.address) return;
    addresses.delete(pc);
    crossing.delete(pc);
    this.area.dead += code.bytes;
    incoming.lead(this.engineWords, pc, 0);
    forgetJump(this.engineWords, pc);
  }

  /** Takes a region's code away; its table slot leads back to the dispatcher. */
  private uninstall(space: CodeSpace, pc: number): void {
    const slot = space.slots.get(pc);
    if (slot !== undefined) this.table.set(slot, this.interpreter.miss);
    space.compiled.delete(pc);
    forgetJump(this.engineWords, pc);
    const address = codeAt(space, pc);
    if (address === undefined) return;
    this.engineWords[address >> 2] = t0Opcodes.enter!;
    this.profile.set(address, this.profile.threshold);
  }

  /** Whether the guest can observe the state at a fault. Told too often that it cannot, the engine does not listen. */
  setExactState(on: boolean): void {
    if (this.exactState === on || this.watching !== 'no') return;
    if (!on && this.exactReturns++ >= maxExactReturns) return;
    this.keepCode();
    this.makeExact(on);
  }

  private makeExact(on: boolean): void {
    this.exactState = on;
    this.flush();
  }

  /** Who refuses a load or store of compiled code: the host's page tables, or a check of its own. */
  get protection(): 'pages' | 'checks' {
    return this.memory.pagesProtected && !this.exactState ? 'pages' : 'checks';
  }

  /** Throws all translations away. */
  private flush(): void {
    this.stats.flushes++;
    this.takeCounters();
    log('all translations thrown away');
    this.flushed = true;
    this.forgetPredecoded();
    this.sites = [];
    this.trapSites.clear();
    this.codePages.clear();
    for (let slot = 1; slot < this.nextSlot; slot++) this.table.set(slot, this.interpreter.miss);
    this.nextSlot = 1;
    this.liveModules = 0;
    this.spaces.clear();
    this.clearCaches();
  }

  private forgetPredecoded(): void {
    this.virtual?.keepPages();
    this.area.clear();
    this.predecoded = [];
    this.virtual?.forgetPlaced();
    this.stored?.clear();
  }

  /** Throws all interpreter code away and keeps the modules. No generated code may be running. */
  private restartInterpreter(): void {
    this.takeCounters();
    log('interpreter code thrown away, %d bytes of it dead', this.area.dead);
    this.forgetPredecoded();
    this.codePages.forgetBlocks();
    for (const { addresses, crossing, incoming, indirectCalls, functions, outlines } of this.spaces.all) {
      addresses.clear();
      crossing.clear();
      incoming.clear();
      indirectCalls.clear();
      // Where there was code once that called them or that they were, other code may have come.
      for (const pc of functions) if (!outlines.has(pc)) functions.delete(pc);
    }
    this.refillCaches();
  }

  /** What is kept at present; all of it is bounded, however much code the guest makes and throws away. */
  get holdings(): EngineHoldings {
    const spaces = this.spaces.all;
    const sum = (count: (space: CodeSpace) => number): number => spaces.reduce((all, space) => all + count(space), 0);
    return {
      codeBytes: this.area.bytes,
      deadBytes: this.area.dead,
      blocks: this.predecoded.length,
      outlines: sum(({ outlines }) => outlines.size),
      modules: this.liveModules,
      slots: this.nextSlot - 1,
      functions: sum(({ functions }) => functions.size),
      sites: this.sites.reduce((all, site) => all + (site ? 1 : 0), 0),
      trapSites: this.trapSites.size,
      listed: this.codePages.listed,
    };
  }

  // ---- counting (`EngineOptions.count`)

  /** Guest instructions run in regions so far. */
  get regionInstructionsRun(): number {
    const at = engineMemory.regionCounter >> 2;
    return (this.engineWords[at]! >>> 0) + this.engineWords[at + 1]! * 2 ** 32;
  }

  /** Guest instructions the interpreter has run since this was last called, by the PC of their block. */
  takeInterpreted(): Map<number, number> {
    this.takeCounters();
    const { interpreted } = this;
    this.interpreted = new Map();
    return interpreted;
  }

  private takeCounters(): void {
    for (const { pc, counters } of this.predecoded) {
      for (const address of counters) {
        const at = address >> 2;
        const count = (this.engineWords[at + 2]! >>> 0) + this.engineWords[at + 3]! * 2 ** 32;
        if (count > 0) this.interpreted.set(pc, (this.interpreted.get(pc) ?? 0) + count);
        this.engineWords.fill(0, at + 2, at + 4);
      }
    }
  }

  // ---- modes and caches

  private enterMode(): void {
    const mode = this.target.mode(this.cpu);
    if (this.virtual) {
      this.virtual.enterMode(mode);
      return;
    }
    if (mode === this.space.mode) return;
    this.spaces.current = this.spaces.of(mode);
    this.refillCaches();
  }

  private refillCaches(): void {
    this.clearCaches();
    for (const pc of this.space.compiled) cacheRegion(this.engineWords, pc, this.space.slots.get(pc)!);
  }

  private clearCaches(): void {
    clearJumpCaches(this.engineWords);
  }

  // ---- T0

  private get translator(): Translator {
    if (this.usedTranslator === null) {
      const { target, reader, engineWords, without } = this;
      const { Translator } = loadTranslator();
      this.options.onTranslate?.();
      this.usedTranslator = new Translator(target, reader, engineWords, without);
    }
    return this.usedTranslator;
  }

  /** The interpreter code for `pc`, translating it if need be. */
  private codeAddress(pc: number): number {
    return codeAt(this.space, pc) ?? this.storedAddress(pc) ?? this.translate(pc);
  }

  private translate(pc: number): number {
    const limit = this.options.oneInstruction ? 1 : interpreterBlockInstructions;
    const { address } = this.predecode(pc, limit, this.storedThreshold(pc), true);
    const { addresses, incoming } = this.space;
    if (this.virtual && crosses(this.translator.builder.block)) this.profile.set(address, neverHot);
    addresses.set(pc, address);
    if (this.space.compiled.has(pc)) this.leadToRegion(pc, address);
    incoming.lead(this.engineWords, pc, address);
    return address;
  }

  /**
   * Makes the T0 code for `pc` and links it to what it leads to. `threshold`: after how many runs it is hot. `watch`:
   * stores into its pages must be noticed.
   */
  private predecode(pc: number, maxInstructions: number, threshold: number, watch: boolean): PredecodedBlock {
    if (this.area.isUsedUp) this.restartInterpreter();
    const { space, translator, reader } = this;
    // Constants elsewhere may be what a dynamic linker has made in this run.
    const text = space.mode === 0 ? (this.stored?.textOf(this.target.address(pc) >>> 0) ?? null) : null;
    reader.limit = text;
    reader.narrowed = false;
    this.virtual?.readFrom(pc);
    const block = translator.translate(pc, space.mode, { maxInstructions, ...this.pageLimit(pc) });
    reader.limit = null;
    this.options.trace?.block?.(block, 'op');
    const outline = space.outlines.get(pc) ?? this.outlineFor(block, reader.narrowed, watch);
    outline.executed = true;
    for (const callee of outline.calls) space.functions.add(callee);
    // A block that is cut short may go on in another run.
    const cutShort = translator.isCutShort(block);
    translator.optimize(block, this.exactState);
    this.options.trace?.block?.(block, 'op_opt');
    const counts = this.options.count !== undefined;
    const keys = this.virtual?.keys(block);
    const code = translator.encode(block, this.area.end, threshold, counts, keys);
    this.area.end += code.bytes;
    this.predecoded.push(code);
    this.stats.blocks++;
    this.stats.blockInstructions += block.instructions;
    const constants = reader.takeConstants();
    if (this.virtual && !crosses(block)) {
      this.virtual.pageCode(block.start).blocks.push({ code, outline, constants });
      this.connect(space, code);
      return code;
    }
    this.know(space, code, { start: block.start, end: block.end, constants }, watch);
    if (text !== null && !cutShort) this.stored!.add(code, outline, constants, reader.narrowed);
    return code;
  }

  /** The outline of a block as translated; kept if the region compiler would find nothing more in it. */
  private outlineFor(block: IrBlock, narrowed: boolean, watch: boolean): BlockOutline {
    if (!narrowed) return this.keepOutline(block, watch);
    return this.translator.outlineOf(block, this.reader.newConstants, this.exactState);
  }

  /** Lists T0 code by what it was made from, and links it. */
  private know(
    space: CodeSpace,
    code: PredecodedBlock,
    source: Pick<StoredBlock, 'start' | 'end' | 'constants'>,
    watch: boolean,
  ): void {
    const translation: Translation = { kind: 'block', pages: [], space, pc: code.pc, code };
    this.note(source.start, source.end, translation, watch, source.constants);
    this.connect(space, code);
  }

  private connect(space: CodeSpace, code: PredecodedBlock): void {
    this.link(space, code);
    for (const { pc, address } of code.indirectCalls) space.indirectCalls.set(pc, address);
  }

  /** Lists a translation by the pages of its code and of what was read as constant, since the last call if not given. */
  private note(
    start: number,
    end: number,
    translation: Translation,
    watch: boolean,
    constants = this.reader.takeConstants(),
  ): void {
    if (this.virtual) {
      this.virtual.note(start, end, translation);
      return;
    }
    this.codePages.note(start, end, translation);
    if (watch) this.watchCode(start, end);
    else this.stepped.push(translation);
    for (const [from, to] of constants) this.codePages.note(from, to - 1, translation);
  }

  /** Stores into code from [start, end) must be noticed, if the guest does not tell of them. */
  private watchCode(start: number, end: number): void {
    if (!this.target.coherentCode || !this.memory.watch(start, end)) return;
    if (this.watching === 'no') this.watching = 'begins';
  }

  private link({ mode, addresses, incoming }: CodeSpace, code: PredecodedBlock): void {
    const stored = mode === 0 ? this.stored : null;
    for (const { address, pc } of code.links) {
      incoming.add(pc, address);
      this.engineWords[address >> 2] = addresses.get(pc) ?? stored?.at(pc) ?? 0;
    }
  }

  // ---- T0 code of earlier runs

  /** Tells where mapped files are whose code may be kept. */
  set textAt(textAt: (address: number) => Text | null) {
    if (this.stored !== null) this.stored.textAt = textAt;
  }

  /** Keeps what was translated for later runs. */
  keepCode(): void {
    this.virtual?.keepPages();
    this.storedPages?.save();
    this.usedRegions?.save();
    const { addresses } = this.spaces.of(0);
    this.stored?.save(({ pc, address }) => addresses.get(pc) === address, this.area.end, this.area.limit);
  }

  /** The interpreter code for `pc` if an earlier run has left it. */
  private storedAddress(pc: number): number | undefined {
    const { stored, space, area } = this;
    if (stored === null || space.mode !== 0) return undefined;
    for (const placed of stored.bring(this.target.address(pc) >>> 0, this.exactState, area.end, area.limit)) {
      const { unit, address } = placed;
      area.end = address + unit.codeWords * 4;
      if (this.profile.threshold !== neverHot) this.beginProfile(placed);
    }
    return stored.at(pc);
  }

  /** Blocks of earlier runs count from now on. */
  private beginProfile({ unit, address, adopted }: PlacedUnit): void {
    for (let i = 0; i < unit.blocks; i++) {
      if (adopted[i] !== 0) continue;
      this.profile.set(address + unit.offsets[i]!, this.storedThreshold(unit.pcs[i]!));
    }
  }

  /** After how many entries the block at `pc` is hot. */
  private storedThreshold(pc: number): number {
    const { threshold } = this.profile;
    return threshold !== neverHot && this.hasRegion(pc) ? Math.min(storedHotThreshold, threshold) : threshold;
  }

  /** What has run of earlier runs' blocks becomes like blocks of this run: the region compiler needs to know them. */
  private adoptExecuted(): void {
    for (const placed of this.stored?.placed ?? []) {
      const { unit, address, adopted } = placed;
      for (let i = 0; i < unit.blocks; i++) {
        const counter = (address + unit.offsets[i]!) / 4 + 1;
        if (adopted[i] === 0 && this.engineWords[counter] !== this.profile.threshold) this.adopt(placed, i);
      }
    }
  }

  private adoptAll(): void {
    for (const placed of this.stored!.placed) {
      for (let i = 0; i < placed.unit.blocks; i++) if (placed.adopted[i] === 0) this.adopt(placed, i);
    }
    this.stored!.release();
  }

  private adopt(placed: PlacedUnit, index: number): void {
    const space = this.spaces.of(0);
    const block = placed.unit.block(index);
    placed.adopted[index] = 1;
    const code = blockAt(block, placed.address + placed.unit.offsets[index]!);
    space.addresses.set(block.pc, code.address);
    if (!block.narrowed && !space.outlines.has(block.pc))
      this.noteOutline(space, { ...block, executed: true, inRegion: space.covered.has(block.pc) }, true);
    for (const callee of block.calls) space.functions.add(callee);
    space.incoming.lead(this.engineWords, block.pc, code.address);
    this.predecoded.push(code);
    this.sorted = false;
    this.know(space, code, block, true);
  }

  private pageLimit(pc: number): { pageEnd?: number } {
    return this.virtual ? { pageEnd: this.virtual.pageEnd(pc) } : noLimit;
  }

  // ---- T1

  private outline(pc: number): BlockOutline {
    const { space } = this;
    const known = outlineAt(space, pc);
    if (known) return known;
    this.virtual?.readFrom(pc);
    const maxInstructions = this.options.oneInstruction ? 1 : interpreterBlockInstructions;
    const limits = { maxInstructions, ...this.pageLimit(pc) };
    const outline = this.keepOutline(this.translator.translate(pc, space.mode, limits), true);
    // The code of an earlier run may have run in this one.
    outline.executed = this.profile.entered(space, pc) > 0;
    return outline;
  }

  /** Makes the outline of a block as translated, which outlives its T0 code. */
  private keepOutline(block: IrBlock, watch: boolean): BlockOutline {
    const outline = this.translator.outlineOf(block, this.reader.newConstants, this.exactState);
    return this.noteOutline(this.space, outline, watch);
  }

  private noteOutline(space: CodeSpace, outline: BlockOutline, watch: boolean): BlockOutline {
    const { pc, start, end } = outline;
    space.outlines.set(pc, outline);
    if (this.virtual && !crosses(outline)) {
      this.virtual.pageCode(start).outlines.push(pc);
      return outline;
    }
    const translation: Translation = { kind: 'outline', pages: [], space, pc };
    if (this.virtual) this.virtual.note(start, end, translation);
    else {
      this.codePages.note(start, end, translation);
      if (watch) this.watchCode(start, end);
      else this.stepped.push(translation);
    }
    return outline;
  }

  /** Raises the threshold for a program that has turned out to have much code; no block is hot then. */
  private becomesChoosy(): boolean {
    const { profile } = this;
    const threshold = this.virtual ? machineHotThreshold : thresholdFor(this.space.addresses.size);
    if (profile.threshold <= 1 || profile.threshold >= threshold) return false;
    profile.raiseTo(threshold, this.predecoded);
    for (const unit of this.stored?.placed ?? []) this.beginProfile(unit);
    return true;
  }

  /** Compiles the function the hot block at `pc` belongs to; if it is being run for long already, from there on. */
  private compileAround(pc: number): void {
    if (!this.space.compiled.has(pc) && this.bringRegion(pc)) return;
    this.adoptExecuted();
    if (this.becomesChoosy()) return;
    const { profile, space } = this;
    const entry = profile.functionOf(space, pc);
    const outline = outlineAt(space, pc);
    if (entry === pc || space.compiled.has(entry) || profile.entered(space, entry) < functionEntries) {
      if (entry === pc || !outline?.inRegion || profile.threshold <= 1) this.compile(pc);
    } else this.compile(entry);
    if (!outline || this.space.compiled.has(pc)) return;
    // A region runs through it, but is entered elsewhere: what runs now may come there soon, or never.
    outline.inRegion = false;
    const address = codeAt(this.space, pc);
    if (address !== undefined) profile.set(address, profile.threshold * onStackFactor);
  }

  private compile(entry: number): void {
    if (this.space.compiled.has(entry)) return;
    if (this.liveModules >= maxModules || this.nextSlot > tableSize - 2000 || this.sites.length > maxSites) {
      this.flush();
      return;
    }
    if (this.bringRegion(entry)) return;
    const started = Date.now();
    const firstSite = this.sites.length;
    if (this.table.length < tableSize) this.table.grow(tableSize - this.table.length);
    const entries = this.profile.batch(this.space, entry);
    const moduleName = nextModuleName();
    const pages = !this.exactState && this.memory.protectPages();
    const outlines = new Set<BlockOutline>();
    const outline = (pc: number): BlockOutline => {
      const found = this.outline(pc);
      outlines.add(found);
      return found;
    };
    const { builder, optimizer } = this.translator;
    const { PageProtectedMemory, PlaneCheckedMemory } = loadMemoryModels();
    const compiled = loadCompiler().compileRegions(entries, {
      target: this.target,
      builder,
      optimizer,
      code: this.reader,
      memory: this.virtual
        ? this.virtual.addresses.model
        : pages
          ? new PageProtectedMemory()
          : new PlaneCheckedMemory(),
      moduleName,
      layout: { cpuBase, memoryPages },
      mode: this.space.mode,
      exactState: this.exactState,
      countInstructions: this.options.count === 'all',
      maxBlockInstructions: this.options.oneInstruction ? 1 : Infinity,
      outline,
      knownOutline: (pc) => (this.options.tier === 'region' ? this.outline(pc) : outlineAt(this.space, pc)),
      isFunction: (pc) => this.space.functions.has(pc),
      isHot: (pc) => this.profile.isHot(this.space, pc),
      without: this.without,
      lastTargets: (returnPc) => this.profile.lastTargets(this.space, returnPc),
      slotOf: (pc, call) => this.slotOf(pc, call),
      addSite: (site) => ~(this.sites.push(site) - 1),
      ...(this.virtual && {
        codeKey: (pc: number) => this.virtual!.key(pc),
        pages: this.virtual.reach,
      }),
      ...(this.options.trace?.block && { onBlock: (block) => this.options.trace!.block!(block, 'op') }),
      ...(this.options.trace?.region && { onRegion: this.options.trace.region }),
    });
    const { bytes, regions, trapSites } = compiled;
    this.options.trace?.module?.(bytes, regions);
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), this.imports);
    const constants = [...this.reader.takeConstants(), ...regions.flatMap((region) => region.constants)];
    const ranges = regions.flatMap((region) => region.ranges);
    this.installModule(instance, { name: moduleName, regions, trapSites, firstSite, ranges, constants });
    if (log.enabled) log('module of %d regions, %d bytes: %s', regions.length, bytes.length, hexList(entries));
    this.stats.moduleBytes += bytes.length;
    this.stats.compileMilliseconds += Date.now() - started;
    const name = this.storedName(entry);
    if (name === null) return;
    const covered = Array.from(outlines)
      .filter(({ inRegion }) => inRegion)
      .map(({ pc }) => pc);
    this.storedRegions!.add(
      name,
      compiled,
      { ...this.conditions(pages), constants, sites: this.sites.slice(firstSite) as FaultSite[], covered, firstSite },
      pageSize,
      (address) => this.memory.fetch32(address),
      this.area.end,
      this.area.limit,
    );
  }

  private installModule(
    { exports }: WebAssembly.Instance,
    { name, regions, trapSites, firstSite, ranges, constants }: InstalledModule,
  ): void {
    this.liveModules++;
    for (const [index, region] of regions.entries()) {
      this.install(region.pc, exports[`r${index}`]);
      this.stats.regionInstructions += region.instructions;
    }
    this.trapSites.set(name, trapSites);
    const pcs = regions.map(({ pc }) => pc);
    const sites = [firstSite, this.sites.length] as const;
    const module: Translation = { kind: 'module', pages: [], space: this.space, name, pcs, sites };
    for (const [i, [start, end]] of ranges.entries()) this.note(start, end, module, true, i === 0 ? constants : []);
    this.stats.modules++;
    this.stats.regions += regions.length;
  }

  // ---- regions of earlier runs

  private get storedRegions(): StoredRegions | null {
    const { store } = this.options;
    if (store === undefined) return null;
    this.usedRegions ??= new StoredRegions(store, this.engineWords, this.interpreter);
    return this.usedRegions;
  }

  /** What the store calls the text that `pc` is in; null if nothing of it is kept. */
  private storedName(pc: number): string | null {
    if (this.options.store === undefined) return null;
    if (this.virtual) return this.options.storeName ?? this.target.name;
    return this.stored!.textOf(this.target.address(pc) >>> 0)?.name ?? null;
  }

  private hasRegion(pc: number): boolean {
    const name = this.storedName(pc);
    return name !== null && this.storedRegions!.kindOf(name, pc) === 'entry';
  }

  private conditions(pages: boolean): { mode: number; flags: number } {
    const flags = (this.exactState ? ModuleFlag.exact : 0) | (pages ? ModuleFlag.pages : 0);
    return { mode: this.space.mode, flags };
  }

  /** Brings the region at `pc` that an earlier run has left; false if there is none. */
  private bringRegion(pc: number): boolean {
    const name = this.storedName(pc);
    if (name === null || !this.hasRegion(pc)) return false;
    const pages = !this.exactState && this.memory.protectPages();
    const { end, limit } = this.area;
    const isTrue = (module: StoredModule): boolean => this.isTrue(module);
    const module = this.storedRegions!.find(name, pc, this.conditions(pages), isTrue, end, limit);
    return module !== undefined && this.bringModule(module);
  }

  private bringModule(module: StoredModule): boolean {
    if (this.table.length < tableSize) this.table.grow(tableSize - this.table.length);
    const name = nextModuleName();
    const firstSite = this.sites.length;
    const bytes = module.wasm({
      slot: (to) => this.space.slots.get(to) ?? this.newSlot(to),
      key: (at) => this.virtual!.key(at),
      firstSite,
      name,
    });
    const instance = bytes && instantiate(bytes, this.imports);
    if (!instance) return false;
    for (const site of module.sites) this.sites.push(site);
    for (const at of module.covered) this.cover(at);
    const { regions, trapSites, code: ranges, constants } = module;
    this.installModule(instance, { name, regions, trapSites, firstSite, ranges, constants });
    if (log.enabled) log('module of an earlier run: %s', hexList(regions.map((region) => region.pc)));
    return true;
  }

  /** A region of an earlier run runs through the block at `pc`. */
  private cover(pc: number): void {
    this.space.covered.add(pc);
    const outline = this.space.outlines.get(pc);
    if (outline) outline.inRegion = true;
  }

  private isTrue(module: StoredModule): boolean {
    const { memory, virtual } = this;
    if (virtual) {
      if (!module.reach.every(([entry, address]) => virtual.admits(entry!, address!))) return false;
    } else {
      if (!module.code.every(([start, end]) => memory.fetchable(start, end - start))) return false;
      if (!module.constants.every(([start, end]) => memory.constant(start, end - start))) return false;
    }
    return module.matches((address) => memory.fetch32(address));
  }

  private slotOf(pc: number, call: boolean): number {
    const known = this.space.slots.get(pc);
    if (known !== undefined) return known;
    return call ? this.newSlot(pc) : -1;
  }

  private newSlot(pc: number): number {
    const slot = this.nextSlot++;
    this.space.slots.set(pc, slot);
    // A freshly made table holds null: a call must find the miss stub.
    this.table.set(slot, this.interpreter.miss);
    return slot;
  }

  /** Makes `fn` the code of `pc` for regions and for the interpreter. */
  private install(pc: number, fn: unknown): void {
    const slot = this.space.slots.get(pc) ?? this.newSlot(pc);
    this.table.set(slot, fn);
    this.space.compiled.add(pc);
    cacheRegion(this.engineWords, pc, slot);
    this.leadToRegion(pc, this.codeAddress(pc));
  }

  /** Makes the T0 code of `pc`, at `address`, go to its region. */
  private leadToRegion(pc: number, address: number): void {
    this.engineWords[address >> 2] = t0Opcodes.region!;
    this.engineWords[(address >> 2) + 1] = this.space.slots.get(pc)!;
  }

  // ---- exits

  /** The `syscall` import of generated code. */
  private syscall(): number {
    const { i32 } = this.cpu;
    this.options.trace?.exit?.(ExitReason.syscall);
    i32[budgetWord]! -= syscallCost;
    this.stats.syscalls++;
    if (!this.serveSyscall()) {
      i32[reasonWord] = ExitReason.syscall;
      return leftRegion;
    }
    this.stats.served++;
    if (!this.flushed && this.target.mode(this.cpu) === this.space.mode) return i32[pcWord]!;
    i32[reasonWord] = this.flushed ? ExitReason.flush : ExitReason.mode;
    return leftRegion;
  }

  /**
   * Turns the engine's description of a fault into the contract's: pc, faultAddress, exitArg = access. False: a store
   * into watched code, whose translations are gone now; it is to be done again.
   */
  private resolveFault(): boolean {
    const { i32 } = this.cpu;
    const argument = i32[argWord]!;
    const site = argument < 0 ? this.sites[~argument]! : this.interpreterSite(argument);
    if (this.virtual) {
      this.leaveAt(site);
      return true;
    }
    const address = (i32[faultWord]! + site.offset) >>> 0;
    const refusedRead = site.access & 1 ? this.memory.refused(address, site.bytes, 1) : -1;
    const refusedWrite = site.access & 2 ? this.memory.refused(address, site.bytes, 2) : -1;
    const refused = refusedRead >= 0 ? refusedRead : refusedWrite;
    if (refused < 0 && this.watching === 'no') {
      throw new Error(`engine: no fault at ${hexList([site.pc])} for ${hexList([address])}`);
    }
    i32[faultWord] = refused;
    i32[argWord] = refusedRead >= 0 ? 1 : 2;
    i32[pcWord] = site.pc;
    this.target.restoreAux?.(this.cpu, site.aux);
    return refused >= 0;
  }

  private leaveAt(site: FaultSite): void {
    const { i32 } = this.cpu;
    i32[argWord] = site.access;
    i32[pcWord] = site.pc;
    this.target.restoreAux?.(this.cpu, site.aux);
  }

  /** The helper import's translation: an access of generated code that was not found in the tables. */
  private translateAccess(virtual: VirtualCode, address: number, argument: number): number {
    if (argument < 0) return virtual.regionAccess(address >>> 0, this.sites[~argument]!);
    return virtual.interpreterAccess(address >>> 0, argument >> 2);
  }

  private refuseFetch(pc: number): ExitReason {
    const { i32 } = this.cpu;
    i32[pcWord] = pc;
    i32[reasonWord] = ExitReason.fetchFault;
    this.stats.exits[ExitReason.fetchFault]!++;
    return ExitReason.fetchFault;
  }

  /** The access at interpreter code `address`. */
  private interpreterSite(address: number): FaultSite {
    if (this.stored?.placed.length) this.adoptAll();
    if (!this.sorted) this.predecoded.sort((a, b) => a.address - b.address);
    this.sorted = true;
    let low = 0;
    let high = this.predecoded.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.predecoded[middle]!.address <= address) low = middle;
      else high = middle - 1;
    }
    const block = this.predecoded[low];
    const { marks, from } = this.virtual?.marksAt(address, block) ?? { marks: block!.marks, from: 0 };
    let mark = 0;
    while (mark + 3 < marks.length && marks[mark + 3]! + from <= address) mark += 3;
    const word = address >> 2;
    const code = this.engineWords[word]!;
    const pc = marks[mark + 1]!;
    const aux = marks[mark + 2]!;
    if (code === t0Opcodes.probe) {
      return { pc, aux, offset: 0, bytes: this.engineWords[word + 2]!, access: this.engineWords[word + 3]! };
    }
    const bytes = t0AccessBytes[code]!;
    if (bytes === 0) throw new Error(`engine: fault at interpreter op ${code}`);
    // The interpreter has added the offset already.
    return { pc, aux, offset: 0, bytes, access: t0AccessKind[code]! };
  }
}

/** An instance of a module that need not be one. */
function instantiate(bytes: Uint8Array<ArrayBuffer>, imports: WebAssembly.Imports): WebAssembly.Instance | null {
  try {
    return new WebAssembly.Instance(new WebAssembly.Module(bytes), imports);
  } catch (error) {
    if (error instanceof WebAssembly.CompileError || error instanceof WebAssembly.LinkError) return null;
    throw error;
  }
}

/** A memory of `pages`. V8 counts what one is made with as used and collects garbage for it, what it grows by not. */
function reserveMemory(pages: number): WebAssembly.Memory {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: pages, shared: true });
  memory.grow(pages - 1);
  return memory;
}
