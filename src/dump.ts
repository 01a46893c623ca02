// The logs of -d. Loaded only if something is logged.
import type { EngineOptions, EngineTrace } from '#accel/engine.ts';
import type { GuestMemory } from '#accel/guest-memory.ts';
import type { Optimization } from '#accel/optimizations.ts';
import type { Process } from '#linux-user/process.ts';
import { cpuHeader, ExitReason } from '#tcg/cpu-page.ts';
import type { Target } from '#tcg/target.ts';
import { printBlock } from '#tcg/text.ts';
import type { Disassembler } from './dump-asm.ts';
import { type LogWriter, openLog } from './dump-log.ts';
import type { LogItem, UserConfig } from './options.ts';

/** What a run with -d does more than one without. */
export interface Dump {
  readonly log: LogWriter;
  /** Takes the process before it runs. */
  readonly watch: (process: Process) => void;
  /** What goes into the options of the engine of `memory`. */
  engineOptions(
    memory: GuestMemory,
    guest: Target,
  ): Pick<EngineOptions, 'trace'> & Partial<Pick<EngineOptions, 'tier' | 'everyBlock' | 'without'>>;
}

const switches: readonly (readonly [LogItem, Optimization])[] = [
  ['nosimplify', 'simplify'],
  ['nodeadcode', 'deadCode'],
  ['noinline', 'inline'],
  ['nosplit', 'split'],
  ['nosink', 'sink'],
  ['noentry', 'entry'],
  ['nogroup', 'group'],
  ['noforward', 'forward'],
  ['noreturn', 'return'],
  ['novector', 'vector'],
  ['nointerrupt', 'interrupt'],
  ['nonest', 'nest'],
];

export type DumpConfig = Pick<UserConfig, 'log' | 'logFile' | 'logFilter'>;

const hex = (value: number): string => (value >>> 0).toString(16).padStart(8, '0');
const reasonNames = Object.fromEntries(Object.entries(ExitReason).map(([name, reason]) => [reason, name]));

/** Opens the log and loads what its items need. Throws UsageError. */
export async function createDump(config: DumpConfig, targets: readonly Target[]): Promise<Dump> {
  const wants = (item: LogItem): boolean => config.log.has(item);
  const log = openLog(config.logFile);
  const inRange = (address: number): boolean =>
    config.logFilter.length === 0 || config.logFilter.some(({ first, last }) => address >= first && address <= last);
  const filtered = (start: number, end: number): boolean =>
    config.logFilter.length === 0 || config.logFilter.some(({ first, last }) => first < end && last >= start);
  /** Code that in_asm has shown: a block may be translated for both tiers. */
  const shown = new Set<string>();
  const disassemblers = new Map<Target, Disassembler>();
  if (wants('in_asm')) {
    const { createDisassembler } = await import('./dump-asm.ts');
    for (const target of targets) disassemblers.set(target, await createDisassembler(target));
  }
  const printWat = wants('out_asm') ? await (await import('./dump-wat.ts')).createWatPrinter() : null;
  const everyBlock = wants('exec') || wants('cpu');

  const traceOf = (memory: GuestMemory, target: Target, disassemble = disassemblers.get(target)): EngineTrace => ({
    ...((disassemble || wants('op') || wants('op_opt')) && {
      block: (block, stage) => {
        if (!inRange(target.address(block.pc))) return;
        const extent = `${block.pc} ${block.end}`;
        if (disassemble && stage === 'op' && !shown.has(extent)) {
          shown.add(extent);
          log(`----------------\nIN: \n${disassemble(memory, block.pc, block.start, block.end)}\n`);
        }
        if (!wants(stage)) return;
        log(`${stage === 'op' ? 'OP' : 'OP after optimization'}:\n${printBlock(block, target.layout)}\n`);
      },
    }),
    ...(wants('op_opt') && {
      region: (region) => {
        if (!region.blocks.some(({ start, end }) => filtered(start, end))) return;
        log(`OP after optimization, region 0x${hex(region.pc)}:\n`);
        for (const block of region.blocks) log(`${printBlock(block, target.layout)}\n`);
      },
    }),
    ...(printWat && {
      module: (bytes, regions) => {
        if (!regions.some(({ ranges }) => ranges.some(([start, end]) => filtered(start, end)))) return;
        const names = regions.map(({ pc, instructions }) => `0x${hex(pc)} (${instructions} instructions)`);
        log(`OUT: [${bytes.length} bytes] ${names.join(', ')}\n${printWat(bytes)}\n`);
      },
    }),
    ...(everyBlock && {
      exec: (pc) => {
        if (!inRange(target.address(pc))) return;
        if (wants('exec')) log(`Trace 0: [${hex(target.address(pc))}/${hex(target.mode(memory.cpu))}] \n`);
        if (wants('cpu')) log(target.describeState?.(memory.cpu, wants('fpu')) ?? '');
      },
    }),
    ...(wants('int') && { exit: (reason) => log(describeExit(memory, target, reason)) }),
  });

  return {
    log,
    watch: (process) => {
      if (wants('page')) watchMaps(process, log);
    },
    engineOptions: (memory, guest) => ({
      trace: traceOf(memory, guest),
      without: new Set(switches.filter(([item]) => wants(item)).map(([, optimization]) => optimization)),
      ...(everyBlock && ({ tier: 'interp', everyBlock } as const)),
    }),
  };
}

/** A line for an exception the guest took. Ends of time slices are none. */
function describeExit({ cpu }: GuestMemory, target: Target, reason: ExitReason): string {
  if (reason === ExitReason.budget || reason === ExitReason.none) return '';
  const header = (field: 'pc' | 'exitArg' | 'faultAddress'): number => cpu.i32[cpuHeader.fields[field].offset >> 2]!;
  const at = `pc 0x${hex(target.address(header('pc')))}`;
  if (reason === ExitReason.fault) {
    const access = header('exitArg') === 1 ? 'read' : 'write';
    return `Taking exception: ${access} fault at 0x${hex(header('faultAddress'))}, ${at}\n`;
  }
  const addressed = reason === ExitReason.fetchFault || reason === ExitReason.alignment;
  const argument = addressed ? `at 0x${hex(header('faultAddress'))}` : `0x${(header('exitArg') >>> 0).toString(16)}`;
  return `Taking exception: ${reasonNames[reason]} ${argument}, ${at}\n`;
}

/** Logs the memory map now and after each call that changes it. */
function watchMaps({ mm }: Process, log: LogWriter): void {
  let shown = mm.mapsText();
  log(`memory map at the start\n${shown}`);
  const report = (call: string): void => {
    const text = mm.mapsText();
    if (text === shown) return;
    shown = text;
    log(`memory map after ${call}\n${text}`);
  };
  for (const call of ['mmap', 'munmap', 'mprotect', 'mremap', 'brk'] as const) {
    const plain = mm[call].bind(mm) as (...given: unknown[]) => unknown;
    Object.defineProperty(mm, call, {
      value: (...given: unknown[]): unknown => {
        const result = plain(...given);
        report(call);
        return result;
      },
    });
  }
}
