/** Limits of the engine, each with unit and reason. */

/**
 * Guest instructions a program runs in the interpreter before anything is compiled, some 30 ms: the region compiler's
 * own code is cold then, and its first region costs 60–90 ms.
 */
export const coldBudget = 2_500_000;
/**
 * System calls within such a budget that make a program one that waits for them, not for its own code: its functions are
 * lukewarm, and compiling them costs more than they take in all. `find` over 10,000 files takes 0.75 of the time.
 */
export const manyCalls = 500;
/**
 * How many such budgets may be interpreted: some 0.5 s, about what compiling takes. `tar` of 10,000 files takes 0.7 of the
 * time that it takes without.
 */
export const coldBudgets = 16;
/** Entries of a block before its region is compiled. Liftoff pays back after some 500–1000 executions. */
export const hotThreshold = 4000;
/**
 * The same for a program that has run so many blocks: what runs in much code is only lukewarm, and the compiler with V8's
 * on top takes 0.1 to 0.2 ms for a guest instruction, in which the interpreter runs thousands. cc1 takes 7.6 s of CPU rather
 * than 11.5 for 2,000 lines of C, python3 13.4 rather than 14.4 to compile what it imports.
 */
export function thresholdFor(blocks: number): number {
  if (blocks < 5000) return hotThreshold;
  if (blocks < 12_000) return 2 * hotThreshold;
  return (blocks < 50_000 ? 4 : 8) * hotThreshold;
}
/**
 * The same in machine mode: a kernel has much code that is only lukewarm. A boot of Debian's with the work of a shell takes
 * 32 s of CPU rather than 38.
 */
export const machineHotThreshold = 16_000;
/** A callee joins the module being built if it is this far (of the threshold) on its way to being hot. */
export const batchFraction = 1 / 32;
/** Entries of a function that make it worth compiling as a whole when a block within it is hot. */
export const functionEntries = 8;
/**
 * How much hotter (than the threshold) a block must be to be compiled on its own once a region runs through it. What
 * begins with it is much the same code again, in some 20 ms; the interpreter has run so many blocks in 1 to 2.
 */
export const onStackFactor = 4;
/** Regions per module: module creation has a fixed cost, long modules a latency. */
export const maxBatch = 24;
/** Guest instructions of an interpreter block: short enough to be interrupted, long enough for the passes to work. */
export const interpreterBlockInstructions = 32;
/** Guest instructions of a region: V8's TurboFan is superlinear in function size. */
export const maxRegionInstructions = 2000;
/** Beyond this many guest instructions a region takes in only code that has run. */
export const eagerRegionInstructions = 60;
/** Guest instructions of one IR block of a region. */
export const regionBlockInstructions = 400;
/**
 * Operations a NaN is traced back through before it is tested for: each is emitted again where the result is made exact,
 * and what they were computed from is kept in locals until then.
 */
export const maxNanRecipe = 4;
/**
 * Per run(): one for each back-edge and call of a region, one for each instruction of the interpreter. About 1–20 ms
 * between looks at timers and signals.
 */
export const runBudget = 2_000_000;
/**
 * Region table size: regions and call targets. Growing a table costs milliseconds when modules have it, and making it
 * two, so it gets its size with the first region.
 */
export const tableSize = 1 << 16;
/** Live modules before everything is thrown away: V8 keeps memory maps for each. */
export const maxModules = 4000;
/** Fault sites before everything is thrown away: some 50 MB. Those of dropped modules count, but take a word each. */
export const maxSites = 1 << 20;
/**
 * Bytes of dropped interpreter code before all interpreter code is thrown away, if they are the greater part: what is
 * kept in JavaScript beside a block takes twice as much.
 */
export const maxDeadCode = 4 << 20;
/** What a system call served within generated code takes of that budget: it runs some microseconds. */
export const syscallCost = 1000;
/** A function is inlined if it is this far (of the threshold) on its way to being hot. */
export const inlineFraction = 1 / 8;
/** Guest instructions of a function that is inlined where it is called: a call costs about as much as 20. */
export const maxInlineInstructions = 60;
/** Guest instructions a region takes in by inlining. */
export const maxInlineTotal = 600;
/**
 * Guest instructions of the copies of a function inlined in one another in itself; one copy is always taken. Fibonacci
 * numbers (11 instructions, three copies) take 0.79 of the time they take with one.
 */
export const maxRecursionInstructions = 36;
/** Functions inlined in one another. */
export const maxInlineDepth = 4;
/** Guest instructions a region may copy to make its irreducible loops reducible. */
export const maxSplitInstructions = 300;
/** Bytes that are worth a host call and new page faults to be made zero; the C library maps blocks from 128 KiB on. */
export const discardBytes = 128 << 10;
/** How often a guest that gives up its fault handlers gets code without exact state again: each time costs a flush. */
export const maxExactReturns = 4;
/**
 * Blocks kept of one text, some 80 MB. Those of cc1, 110,000 in 42 MB, take a first run 1.5 s of CPU more to keep (9.4 s
 * instead of 7.8), and later ones 2.5 s less: they are put in place as a whole.
 */
export const maxStoredBlocks = 200_000;
/** Units kept of one text before they are made one: each run that translates something adds one. */
export const maxUnits = 8;
/** Machine mode: what is kept of one virtual page in one CPU mode, by what it held. */
export const maxPageUnits = 8;
/** Machine mode: words kept of all pages. A kernel's boot to a shell takes 5 million. */
export const maxPageWords = 15 << 20;
/** Machine mode: the part of what is kept that must be new for all of it to be written, 25 MB in most cases. */
export const leastNews = 1 / 64;
/** Machine mode: a block that was compiled in an earlier run is hot after this part of the entries. */
export const knownHotFraction = 1 / 16;
/** Compiled modules kept of one text or machine, in words; and how many that begin at one PC, by what the guest had there. */
export const maxModuleWords = 8 << 20;
export const maxModuleVersions = 4;
/** Entries after which a block is hot whose region an earlier run has left: it takes half a millisecond to load. */
export const storedHotThreshold = 64;
/** Bytes of guest code after a block that its translation may have looked at. */
export const translationLookAhead = 64;
/** Machine mode: spaces of code of one CPU mode, one for each set of programs whose pages differ. Then all code goes. */
export const maxSpaces = 16;
