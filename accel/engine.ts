import { accessScratch, cpuHeader, ExitReason, leftRegion } from '#tcg/cpu-page.ts';
import { engineMemory, t0Opcodes } from '#tcg/interpreter-ops.ts';
import type { IrBlock } from '#tcg/ir.ts';
import { translateHelper } from '#tcg/memory-model.ts';
import type { CodeKeys, PredecodedBlock } from '#tcg/predecode.ts';
import { t0AccessBytes, t0AccessKind } from '#tcg/predecode-tables.ts';
import type { CpuView, Target } from '#tcg/target.ts';
import { createLog } from '#util/log.ts';
import {
  CodePages,
  type CodeSpace,
  codeAt,
  newCodeSpace,
  outlineAt,
  type PageCode,
  type Translation,
  TranslationReader,
} from './code-space.ts';
import type { EngineMemory, VirtualAddresses } from './engine-memory.ts';
import { cpuBase, memoryPages, pageShift, pageSize } from './guest-memory.ts';
import { cacheEntry, clearJumpCaches, forgetJump } from './jump-caches.ts';
import { loadCompiler, loadMemoryModels, loadTranslator } from './lazy.ts';
import type { Optimization } from './optimizations.ts';
import { neverHot, Profile } from './profile.ts';
import type { CompiledRegion } from './region/compiler.ts';
import type { BlockOutline, CodeReach } from './region/discovery.ts';
import type { Region } from './region/emitter.ts';
import type { FaultSite, TrapSites } from './region/sites.ts';
import {
  blockAt,
  type CodeStore,
  type PlacedUnit,
  StoredCode,
  type Text,
  type UnitLoops,
} from './stored/stored-code.ts';
import { StoredPages } from './stored/stored-pages.ts';
import type { StoredBlock, Unit } from './stored/unit.ts';
import type { Translator } from './translator.ts';
import { trapPlace } from './trap-place.ts';
import {
  coldBudget,
  coldBudgets,
  functionEntries,
  hotThreshold,
  interpreterBlockInstructions,
  knownHotFraction,
  machineHotThreshold,
  manyCalls,
  maxDeadCode,
  maxExactReturns,
  maxModules,
  maxSites,
  maxSpaces,
  onStackFactor,
  runBudget,
  syscallCost,
  tableSize,
} from './tunables.ts';

const log = createLog('engine');
const hexList = (pcs: readonly number[]): string => pcs.map((pc) => (pc >>> 0).toString(16)).join(' ');

/** Which tiers run: `interp` T0 only, `region` everything compiled at once, `auto` by profile. */
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
const modeKeyWord = headerWord('modeKey');
const noLimit = {};
/** True for the reasons of the engine's own to leave code whose instructions have been carried out. */
const endsInstruction = (reason: ExitReason): boolean =>
  reason === ExitReason.none || reason === ExitReason.miss || reason === ExitReason.mode || reason === ExitReason.flush;
/** True if code runs on into another page. */
const crosses = ({ start, end }: { readonly start: number; readonly end: number }): boolean =>
  (Math.max(start + 1, end) - 1) >>> pageShift !== start >>> pageShift;
/** Address of the page after that of `address`. */
const endOfPage = (address: number): number => ((address | (pageSize - 1)) >>> 0) + 1;
/** Mode numbers fit into the bits of a code key below the page, but for its lowest. */
const maxModes = pageSize / 2;
/** Bytes, of the guests that have a machine mode. */
const longestInstruction = 4;
/** Modules made so far, by all engines: no two have one name. */
let moduleNumber = 0;
/** Interpreter code is thrown away when it has grown to the end of memory 1, less one block. */
const codeLimit = engineMemory.pages * 65536 - (1 << 20);

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
  /** Machine mode. */
  private readonly virtual: VirtualAddresses | undefined;
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
  private callsBefore = 0;
  private readonly spaces = new Map<number, CodeSpace>();
  private space: CodeSpace;
  /** Machine mode: numbers of CPU modes, and the spaces of each; `spaces` has the one last used. */
  private readonly modeNumbers = new Map<number, number>();
  private readonly virtualSpaces = new Map<number, CodeSpace[]>();
  private exactState = false;
  /** The guest writes into pages with code (`Target.coherentCode`): state must be exact where a store may be one. */
  private watching: 'no' | 'begins' | 'on' = 'no';
  /** The instruction at the PC stores into its own page, perhaps into itself: it runs alone and is translated again. */
  private stepping = false;
  private exactReturns = 0;
  private codeEnd: number = engineMemory.code;
  /** Bytes of interpreter code that belong to dropped blocks. */
  private deadBytes = 0;
  /** All predecoded blocks, for fault addresses; by ascending address if `sorted`. */
  private predecoded: PredecodedBlock[] = [];
  private sorted = true;
  /** Interpreter code of earlier runs; null without a store. */
  private readonly stored: StoredCode | null;
  /** The same in machine mode; and the pages whose units have been placed, by ascending address. */
  private placedPages: PageCode[] = [];
  private readonly storedPages: StoredPages | null = null;
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
    this.virtual = memory.virtual;
    this.options = options;
    this.cpu = memory.cpu;
    this.reader = new TranslationReader(memory);
    this.profile.threshold = options.tier === 'region' ? 1 : neverHot;
    this.cold = options.tier === 'auto';
    this.without = options.without ?? new Set();
    this.table = new WebAssembly.Table({ element: 'anyfunc', initial: 1, maximum: tableSize });
    this.imports = {
      e: {
        guest: memory.memory,
        engine: this.engineMemory,
        regions: this.table,
        syscall: () => this.syscall(),
        helper: this.virtual
          ? (id: number, a: number, b: number, c: number) =>
              id === translateHelper ? this.translateAccess(a, b) : target.helpers[id]!.call(this.cpu, a, b, c)
          : (id: number, a: number, b: number, c: number) => target.helpers[id]!.call(this.cpu, a, b, c),
      },
    };
    const instance = new WebAssembly.Instance(new WebAssembly.Module(options.interpreter), this.imports);
    this.interpreter = instance.exports as unknown as InterpreterExports;
    this.table.set(0, this.interpreter.miss);
    const { store } = options;
    this.stored =
      store === undefined || this.virtual ? null : new StoredCode(store, memory, this.engineWords, this.interpreter);
    if (store && this.virtual) {
      const physical = new Int32Array(memory.memory.buffer);
      const name = options.storeName ?? target.name;
      this.storedPages = new StoredPages(store, name, this.engineWords, physical, this.interpreter);
    }
    this.space = this.spaceOf(0);
    this.clearCaches();
    memory.onUnprotected = () => this.flush();
    memory.onWatchedWrite = (start, end) => this.invalidate(start, end);
    if (this.virtual) this.virtual.onCodeWritten = (physical) => this.invalidate(physical, physical + 1);
  }

  /** Runs from `cpuHeader.pc` until something must be served. */
  run(): ExitReason {
    this.stats.runs++;
    const budget = this.options.budget ?? runBudget;
    this.cpu.i32[budgetWord] = this.cold && !this.virtual ? coldBudget : budget;
    let reason = this.options.everyBlock ? this.runByBlocks() : this.dispatch();
    if (this.cold && !this.virtual && reason === ExitReason.budget && !this.mostlyCalls()) {
      this.warmUp();
      this.cpu.i32[budgetWord] = budget;
      reason = this.dispatch();
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
      if (this.codeAddress(pc) < 0) return this.refuseFetch(pc);
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
    for (const { stored, base } of this.placedPages) {
      if (base >= 0)
        this.profile.beginAt(
          machineHotThreshold,
          Array.from(stored!.offsets, (at) => ({ address: base + at })),
        );
    }
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
        const address = this.virtual ? this.virtualCode(this.virtual, pc) : this.codeAddress(pc);
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
          if (!this.virtual) this.cacheJump(i32[pcWord]!, this.codeAddress(i32[pcWord]!));
          break;
        case ExitReason.hot:
          if (!this.virtual || this.virtualCode(this.virtual, i32[pcWord]!) >= 0) this.compileAround(i32[pcWord]!);
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
    const { start, end } = this.translator.builder.block;
    const budget = i32[budgetWord]!;
    i32[budgetWord] = this.engineWords[(address >> 2) + 3]!;
    this.runCode(address);
    i32[budgetWord] = budget - 1;
    // What comes after it has found no budget.
    if (i32[reasonWord] === ExitReason.budget && budget > 1) i32[reasonWord] = ExitReason.miss;
    this.invalidate(start, end);
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
        this.dropPage(translation);
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
    this.deadBytes += code.bytes;
    for (const word of incoming.of(pc)) this.engineWords[word >> 2] = 0;
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
    const { mode } = this.space;
    this.spaces.clear();
    this.virtualSpaces.clear();
    this.space = this.spaceOf(mode);
    this.clearCaches();
  }

  private forgetPredecoded(): void {
    this.keepPages();
    this.codeEnd = engineMemory.code;
    this.deadBytes = 0;
    this.predecoded = [];
    this.placedPages = [];
    this.stored?.clear();
  }

  /** Throws all interpreter code away and keeps the modules. No generated code may be running. */
  private restartInterpreter(): void {
    this.takeCounters();
    log('interpreter code thrown away, %d bytes of it dead', this.deadBytes);
    this.forgetPredecoded();
    this.codePages.forgetBlocks();
    for (const { addresses, crossing, incoming, indirectCalls, functions, outlines } of this.allSpaces) {
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
    const spaces = this.allSpaces;
    const sum = (count: (space: CodeSpace) => number): number => spaces.reduce((all, space) => all + count(space), 0);
    return {
      codeBytes: this.codeEnd - engineMemory.code,
      deadBytes: this.deadBytes,
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

  private spaceOf(mode: number): CodeSpace {
    let space = this.spaces.get(mode);
    if (!space) {
      space = newCodeSpace(mode);
      this.spaces.set(mode, space);
    }
    return space;
  }

  private get allSpaces(): CodeSpace[] {
    return [...(this.virtual ? this.virtualSpaces.values().toArray().flat() : this.spaces.values())];
  }

  private enterMode(): void {
    const mode = this.target.mode(this.cpu);
    if (this.virtual) {
      this.enterVirtualMode(mode);
      return;
    }
    if (mode === this.space.mode) return;
    this.space = this.spaceOf(mode);
    this.refillCaches();
  }

  private refillCaches(): void {
    this.clearCaches();
    for (const pc of this.space.compiled) this.cacheRegion(pc);
  }

  private clearCaches(): void {
    clearJumpCaches(this.engineWords);
  }

  private cacheJump(pc: number, address: number): void {
    const entry = (engineMemory.jumpCache >> 2) + (cacheEntry(pc) >> 2);
    this.engineWords[entry] = pc;
    this.engineWords[entry + 1] = address;
  }

  private cacheRegion(pc: number): void {
    const entry = (engineMemory.regionCache >> 2) + (cacheEntry(pc) >> 2);
    this.engineWords[entry] = pc;
    this.engineWords[entry + 1] = this.space.slots.get(pc)!;
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
    const { address } = this.predecode(pc, limit, this.profile.threshold, true);
    const { addresses, incoming } = this.space;
    if (this.virtual && crosses(this.translator.builder.block)) this.profile.set(address, neverHot);
    addresses.set(pc, address);
    if (this.space.compiled.has(pc)) this.leadToRegion(pc, address);
    for (const word of incoming.of(pc)) this.engineWords[word >> 2] = address;
    return address;
  }

  /**
   * Makes the T0 code for `pc` and links it to what it leads to. `threshold`: after how many runs it is hot. `watch`:
   * stores into its pages must be noticed.
   */
  private predecode(pc: number, maxInstructions: number, threshold: number, watch: boolean): PredecodedBlock {
    const wasteful = this.deadBytes > maxDeadCode && this.deadBytes > (this.codeEnd - engineMemory.code) / 2;
    if (wasteful || this.codeEnd > codeLimit) this.restartInterpreter();
    const { space, translator, reader } = this;
    // Constants elsewhere may be what a dynamic linker has made in this run.
    const text = space.mode === 0 ? (this.stored?.textOf(this.target.address(pc) >>> 0) ?? null) : null;
    reader.limit = text;
    reader.narrowed = false;
    this.readFrom(pc);
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
    const keys = this.virtual && this.codeKeys(this.virtual, block);
    const code = translator.encode(block, this.codeEnd, threshold, counts, keys);
    this.codeEnd += code.bytes;
    this.predecoded.push(code);
    this.stats.blocks++;
    this.stats.blockInstructions += block.instructions;
    const constants = reader.takeConstants();
    if (this.virtual && !crosses(block)) {
      this.pageCode(this.virtual, block.start).blocks.push({ code, outline, constants });
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
    return this.translator.outlineOf(block, [...this.reader.newConstants], this.exactState);
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
      this.noteVirtual(this.virtual, start, end, translation);
      return;
    }
    this.codePages.note(start, end, translation);
    if (watch) this.watchCode(start, end);
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
    this.keepPages();
    this.storedPages?.save();
    const { addresses } = this.spaceOf(0);
    this.stored?.save(({ pc, address }) => addresses.get(pc) === address, this.codeEnd, codeLimit);
  }

  /** The interpreter code for `pc` if an earlier run has left it. */
  private storedAddress(pc: number): number | undefined {
    const { stored, space } = this;
    if (stored === null || space.mode !== 0) return undefined;
    for (const placed of stored.bring(this.target.address(pc) >>> 0, this.exactState, this.codeEnd, codeLimit)) {
      const { unit, address } = placed;
      this.codeEnd = address + unit.codeWords * 4;
      if (this.profile.threshold !== neverHot) this.beginProfile(placed);
    }
    return stored.at(pc);
  }

  /** Blocks of earlier runs count from now on. */
  private beginProfile({ unit, address, adopted }: PlacedUnit): void {
    for (let i = 0; i < unit.blocks; i++) {
      if (adopted[i] === 0) this.profile.set(address + unit.offsets[i]!, this.profile.threshold);
    }
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
    const space = this.spaceOf(0);
    const block = placed.unit.block(index);
    placed.adopted[index] = 1;
    const code = blockAt(block, placed.address + placed.unit.offsets[index]!);
    space.addresses.set(block.pc, code.address);
    if (!block.narrowed && !space.outlines.has(block.pc))
      this.noteOutline(space, { ...block, executed: true, inRegion: false }, true);
    for (const callee of block.calls) space.functions.add(callee);
    for (const word of space.incoming.of(block.pc)) this.engineWords[word >> 2] = code.address;
    this.predecoded.push(code);
    this.sorted = false;
    this.know(space, code, block, true);
  }

  // ---- T1

  private outline(pc: number): BlockOutline {
    const { space } = this;
    const known = outlineAt(space, pc);
    if (known) return known;
    this.readFrom(pc);
    const maxInstructions = this.options.oneInstruction ? 1 : interpreterBlockInstructions;
    const limits = { maxInstructions, ...this.pageLimit(pc) };
    const outline = this.keepOutline(this.translator.translate(pc, space.mode, limits), true);
    // The code of an earlier run may have run in this one.
    outline.executed = this.profile.entered(space, pc) > 0;
    return outline;
  }

  /** Makes the outline of a block as translated, which outlives its T0 code. */
  private keepOutline(block: IrBlock, watch: boolean): BlockOutline {
    const outline = this.translator.outlineOf(block, [...this.reader.newConstants], this.exactState);
    return this.noteOutline(this.space, outline, watch);
  }

  private noteOutline(space: CodeSpace, outline: BlockOutline, watch: boolean): BlockOutline {
    const { pc, start, end } = outline;
    space.outlines.set(pc, outline);
    if (this.virtual && !crosses(outline)) {
      this.pageCode(this.virtual, start).outlines.push(pc);
      return outline;
    }
    const translation: Translation = { kind: 'outline', pages: [], space, pc };
    if (this.virtual) this.noteVirtual(this.virtual, start, end, translation);
    else {
      this.codePages.note(start, end, translation);
      if (watch) this.watchCode(start, end);
    }
    return outline;
  }

  /** Compiles the function the hot block at `pc` belongs to; if it is being run for long already, from there on. */
  private compileAround(pc: number): void {
    this.adoptExecuted();
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
    const started = Date.now();
    const firstSite = this.sites.length;
    if (this.table.length < tableSize) this.table.grow(tableSize - this.table.length);
    const entries = this.profile.batch(this.space, entry);
    const moduleName = `regions-${moduleNumber++}`;
    const pages = !this.exactState && this.memory.protectPages();
    const { builder, optimizer } = this.translator;
    const { PageProtectedMemory, PlaneCheckedMemory } = loadMemoryModels();
    const { bytes, regions, trapSites } = loadCompiler().compileRegions(entries, {
      target: this.target,
      builder,
      optimizer,
      code: this.reader,
      memory: this.virtual ? this.virtual.model : pages ? new PageProtectedMemory() : new PlaneCheckedMemory(),
      moduleName,
      layout: { cpuBase, memoryPages },
      mode: this.space.mode,
      exactState: this.exactState,
      countInstructions: this.options.count === 'all',
      maxBlockInstructions: this.options.oneInstruction ? 1 : Infinity,
      outline: (pc) => this.outline(pc),
      knownOutline: (pc) => (this.options.tier === 'region' ? this.outline(pc) : outlineAt(this.space, pc)),
      isFunction: (pc) => this.space.functions.has(pc),
      isHot: (pc) => this.profile.isHot(this.space, pc),
      without: this.without,
      lastTargets: (returnPc) => this.profile.lastTargets(this.space, returnPc),
      slotOf: (pc, call) => this.slotOf(pc, call),
      addSite: (site) => ~(this.sites.push(site) - 1),
      ...(this.virtual && {
        codeKey: (pc: number) => this.codeKey(pc)!,
        pages: this.codeReach(this.virtual),
      }),
      ...(this.options.trace?.block && { onBlock: (block) => this.options.trace!.block!(block, 'op') }),
      ...(this.options.trace?.region && { onRegion: this.options.trace.region }),
    });
    this.options.trace?.module?.(bytes, regions);
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), this.imports);
    this.liveModules++;
    for (const [index, region] of regions.entries()) {
      this.install(region.pc, exports[`r${index}`]);
      this.stats.regionInstructions += region.instructions;
    }
    this.trapSites.set(moduleName, trapSites);
    const pcs = regions.map(({ pc }) => pc);
    const sites = [firstSite, this.sites.length] as const;
    const module: Translation = { kind: 'module', pages: [], space: this.space, name: moduleName, pcs, sites };
    for (const { ranges } of regions) for (const [start, end] of ranges) this.note(start, end, module, true);
    if (log.enabled) log('module of %d regions, %d bytes: %s', regions.length, bytes.length, hexList(entries));
    this.stats.modules++;
    this.stats.regions += regions.length;
    this.stats.moduleBytes += bytes.length;
    this.stats.compileMilliseconds += Date.now() - started;
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
    this.cacheRegion(pc);
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

  // ---- machine mode: code is known by its physical page too

  /** Puts a CPU mode in force: its key, and the space last used in it. */
  private enterVirtualMode(mode: number): void {
    let number = this.modeNumbers.get(mode);
    if (number === undefined) {
      if (this.modeNumbers.size === maxModes) {
        this.flush();
        this.modeNumbers.clear();
      }
      number = this.modeNumbers.size;
      this.modeNumbers.set(mode, number);
    }
    this.cpu.i32[modeKeyWord] = number << 1;
    if (mode !== this.space.mode) this.space = this.spaceOf(mode);
  }

  /** The interpreter code for `pc`, -1 if its fetch faults. */
  private virtualCode(virtual: VirtualAddresses, pc: number): number {
    const address = this.target.address(pc);
    const page = virtual.codePage(address);
    if (page === 0) return -1;
    this.chooseSpace(address >>> pageShift, page);
    let known = this.space.addresses.get(pc);
    if (known === undefined) {
      this.pageCode(virtual, address);
      known = codeAt(this.space, pc) ?? this.translate(pc);
    }
    const second = this.space.crossing.get(pc);
    if (second !== undefined) {
      const page = virtual.codePage(endOfPage(address));
      if (page === 0) return -1;
      if (page !== second) return this.translate(pc);
    }
    this.cacheJump(pc, known);
    return known;
  }

  /** What was made of the page of `address` in the space at hand; at first what earlier runs have left. */
  private pageCode(virtual: VirtualAddresses, address: number): PageCode {
    const { space } = this;
    const number = address >>> pageShift;
    const known = space.pageCode.get(number);
    if (known) return known;
    const page = space.pages.get(number) ?? virtual.peekCodePage(address);
    const physical = (page & -pageSize) >>> 0;
    const stored = this.storedPages?.find(space.mode, number, physical);
    const made: PageCode = { kind: 'page', pages: [], space, number, blocks: [], outlines: [], stored, base: -1 };
    space.pageCode.set(number, made);
    virtual.protectCode(physical);
    this.codePages.note(physical, physical, made);
    if (stored) this.placePage(made, stored, this.storedPages!, page ^ this.cpu.i32[modeKeyWord]!);
    return made;
  }

  private placePage(page: PageCode, stored: Unit, pages: StoredPages, key: number): void {
    const { space } = page;
    const { threshold } = this.profile;
    const begun = Math.floor(machineHotThreshold * (1 - knownHotFraction));
    page.base = pages.place(stored, this.codeEnd, codeLimit, key, threshold, threshold - begun);
    if (page.base < 0) {
      page.stored = undefined;
      return;
    }
    this.codeEnd = page.base + stored.codeWords * 4;
    this.placedPages.push(page);
    stored.forEachCall(
      (callee) => space.functions.add(callee),
      (returnPc, offset) => space.indirectCalls.set(returnPc, page.base + offset),
    );
  }

  private dropPage(page: PageCode): void {
    const { space, stored, base } = page;
    this.keepPage(page);
    space.pageCode.delete(page.number);
    for (const { code } of page.blocks) this.dropBlock(space, code.pc, code);
    for (const pc of page.outlines) space.outlines.delete(pc);
    if (!stored || base < 0) return;
    this.deadBytes += stored.codeWords * 4;
    this.storedPages!.disable(stored, base);
    for (const pc of stored.pcs) forgetJump(this.engineWords, pc);
  }

  /** Keeps what was made of a page for later runs; its bytes must not have changed yet. */
  private keepPage(page: PageCode): void {
    const { space, pages } = page;
    if (this.storedPages === null) return;
    const wasHot = (pc: number): boolean => space.compiled.has(pc) || space.outlines.get(pc)?.inRegion === true;
    const physical = pages[0]! * pageSize;
    const kept = this.storedPages.keep(space.mode, page, physical, wasHot, this.codeEnd, codeLimit);
    if (page.base < 0) page.stored = kept;
  }

  private keepPages(): void {
    if (this.storedPages === null) return;
    for (const { pageCode } of this.allSpaces) for (const page of pageCode.values()) this.keepPage(page);
  }

  /** Makes a space the current one in which virtual page `number` is physical `page`, or which does not know it. */
  private chooseSpace(number: number, page: number): void {
    const { space } = this;
    const here = space.pages.get(number);
    if (here === page) return;
    const all = this.spacesOf(space.mode);
    const other = all.find(({ pages }) => pages.get(number) === page);
    if (other) {
      this.setSpace(other);
      return;
    }
    if (here === undefined) {
      space.pages.set(number, page);
      return;
    }
    const free = all.find(({ pages }) => !pages.has(number)) ?? this.addSpace(space.mode);
    free.pages.set(number, page);
    this.setSpace(free);
  }

  private codeReach(virtual: VirtualAddresses): CodeReach {
    const pageOf = (pc: number): number => this.target.address(pc) >>> pageShift;
    return {
      reaches: (entry, pc) => {
        const number = pageOf(pc);
        if (number === pageOf(entry)) return true;
        const known = this.space.pages.get(number);
        const page = virtual.steadyPage(pageOf(entry) * pageSize) ? virtual.steadyPage(number * pageSize) : 0;
        if (page === 0 || (known ?? page) !== page) return false;
        this.space.pages.set(number, page);
        return true;
      },
      pageEnd: (pc) => this.pageLimit(pc).pageEnd!,
      begin: (pc) => {
        this.readFrom(pc);
        return this.pageLimit(pc).pageEnd!;
      },
      crosses,
    };
  }

  /** The keys of the pages of the block at hand; that it runs on into another is noted. */
  private codeKeys(virtual: VirtualAddresses, block: IrBlock): CodeKeys {
    const first = this.codeKey(block.pc)!;
    if (!crosses(block)) return { first };
    const address = endOfPage(block.start);
    const page = virtual.codePage(address);
    this.space.crossing.set(block.pc, page);
    return { first, second: { address, key: page ^ this.cpu.i32[modeKeyWord]! } };
  }

  private spacesOf(mode: number): CodeSpace[] {
    let all = this.virtualSpaces.get(mode);
    if (!all) {
      all = [this.spaceOf(mode)];
      this.virtualSpaces.set(mode, all);
    }
    return all;
  }

  private addSpace(mode: number): CodeSpace {
    if (this.spacesOf(mode).length >= maxSpaces) this.flush();
    const added = newCodeSpace(mode);
    this.spacesOf(mode).push(added);
    return added;
  }

  private setSpace(space: CodeSpace): void {
    this.space = space;
    this.spaces.set(space.mode, space);
  }

  /** What is read as constant while code at `pc` is translated must be in its page. */
  private readFrom(pc: number): void {
    if (this.virtual) this.virtual.constantPage = this.target.address(pc) >>> pageShift;
  }

  private pageLimit(pc: number): { pageEnd?: number } {
    if (!this.virtual) return noLimit;
    // An instruction that may run on into the next page is a block of its own.
    return { pageEnd: endOfPage(this.target.address(pc)) + 1 - longestInstruction };
  }

  private codeKey(pc: number): number | undefined {
    if (!this.virtual) return undefined;
    return this.space.pages.get(this.target.address(pc) >>> pageShift)! ^ this.cpu.i32[modeKeyWord]!;
  }

  private noteVirtual(virtual: VirtualAddresses, start: number, end: number, translation: Translation): void {
    const last = (Math.max(start + 1, end) - 1) >>> pageShift;
    for (let number = start >>> pageShift; number <= last; number++) {
      const page = this.space.pages.get(number) ?? virtual.peekCodePage(number * pageSize);
      if (page === 0) continue;
      const physical = (page & -pageSize) >>> 0;
      virtual.protectCode(physical);
      this.codePages.note(physical, physical, translation);
    }
  }

  private refuseFetch(pc: number): ExitReason {
    const { i32 } = this.cpu;
    i32[pcWord] = pc;
    i32[reasonWord] = ExitReason.fetchFault;
    this.stats.exits[ExitReason.fetchFault]!++;
    return ExitReason.fetchFault;
  }

  /** The helper import's translation: an access of generated code that was not found in the tables. */
  private translateAccess(address: number, argument: number): number {
    const virtual = this.virtual!;
    if (argument < 0) {
      const site = this.sites[~argument]!;
      return virtual.access(address >>> 0, site.bytes, site.access, cpuBase + accessScratch);
    }
    const word = argument >> 2;
    const code = this.engineWords[word]!;
    return virtual.access(address >>> 0, t0AccessBytes[code]!, t0AccessKind[code]!, this.engineWords[word + 1]! >>> 0);
  }

  /** `PredecodedBlock.marks` for interpreter code `address`, whose addresses count from `from`. `block`: the last before it. */
  private marksAt(address: number, block: PredecodedBlock | undefined): { marks: readonly number[]; from: number } {
    const page = this.placedPages.findLast(({ base }) => base >= 0 && base <= address);
    const isNearer = block !== undefined && block.address <= address && block.address > (page?.base ?? -1);
    if (!page || isNearer) return { marks: block!.marks, from: 0 };
    const { stored, base } = page;
    const index = stored!.blockWith(address - base);
    return { marks: stored!.block(index).marks, from: base + stored!.offsets[index]! };
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
    const { marks, from } = this.marksAt(address, this.predecoded[low]);
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

/** A memory of `pages`. V8 counts what one is made with as used and collects garbage for it, what it grows by not. */
function reserveMemory(pages: number): WebAssembly.Memory {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: pages, shared: true });
  memory.grow(pages - 1);
  return memory;
}
