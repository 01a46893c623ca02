import type { Engine, EngineStats } from '#accel/engine.ts';
import { type Group, groups } from './profile/call-tree.ts';

/** What `--stats` tells, and the form of `--stats-json`. */
export interface Stats {
  /** Guest instructions that ran, by tier. Of a block that a fault leaves, all count. */
  readonly instructions: { readonly interpreter: number; readonly regions: number };
  /** Milliseconds by what they were spent on: sampled, so right to some milliseconds. */
  readonly sampledMilliseconds: Partial<Record<Group, number>>;
  /** How often generated code was left for the dispatcher, by `ExitReason`; those that never happened left out. */
  readonly exits: Readonly<Record<string, number>>;
  /** What refuses bad accesses of compiled code. */
  readonly protection: Engine['protection'];
  readonly engine: Omit<EngineStats, 'exits'>;
}

/** Of all engines together; `reasons`: the names of `ExitReason`; `interpreted`: what their `takeInterpreted` gave. */
export function collectStats(
  engines: readonly Engine[],
  reasons: readonly string[],
  interpreted: number,
  sampled: Partial<Record<Group, number>>,
): Stats {
  const total = { ...engines[0].stats };
  const exits: number[] = reasons.map(() => 0);
  engines.forEach(({ stats }, n) => {
    stats.exits.forEach((count, reason) => {
      exits[reason] += count;
    });
    if (n === 0) return;
    for (const [name, value] of Object.entries(stats)) {
      if (typeof value === 'number') (total as Record<string, unknown>)[name] = value + Number(total[name as 'runs']);
    }
  });
  const { exits: _, ...engine } = total;
  const regions = engines.reduce((sum, { regionInstructionsRun }) => sum + regionInstructionsRun, 0);
  return {
    instructions: { interpreter: interpreted, regions },
    sampledMilliseconds: Object.fromEntries(Object.entries(sampled).map(([group, us]) => [group, us / 1000])),
    exits: Object.fromEntries(reasons.map((name, reason) => [name, exits[reason]]).filter(([, count]) => count !== 0)),
    protection: engines[0].protection,
    engine,
  };
}

const grouped = (value: number): string => value.toFixed(0).replace(/\B(?=(\d{3})+$)/g, ' ');
const line = (name: string, value: string, note = ''): string =>
  `  ${name.padEnd(22)}${value.padStart(16)}${note === '' ? '' : `  ${note}`}\n`;
const share = (part: number, whole: number): string => `${((100 * part) / (whole || 1)).toFixed(1).padStart(5)} %`;

/** The lines of `--stats`. */
export function statsText({ instructions, sampledMilliseconds, exits, protection, engine }: Stats): string {
  const all = instructions.interpreter + instructions.regions;
  const times = Object.entries(sampledMilliseconds) as [Group, number][];
  const time = times.reduce((sum, [, value]) => sum + value, 0);
  return [
    'tsemu: guest instructions\n',
    line('all', grouped(all)),
    line('interpreter', grouped(instructions.interpreter), share(instructions.interpreter, all)),
    line('regions', grouped(instructions.regions), share(instructions.regions, all)),
    'tsemu: time, sampled, while instructions were counted\n',
    line('all', `${time.toFixed(0)} ms`),
    ...times.map(([group, ms]) => line(group, `${ms.toFixed(0)} ms`, `${share(ms, time)}  ${groups[group]}`)),
    'tsemu: translation\n',
    line('blocks', grouped(engine.blocks), `for the interpreter, of ${grouped(engine.blockInstructions)} instructions`),
    line('regions', grouped(engine.regions), `of ${grouped(engine.regionInstructions)} instructions`),
    line('modules', grouped(engine.modules), `of ${grouped(engine.moduleBytes)} bytes of WebAssembly`),
    line('compiling', `${engine.compileMilliseconds} ms`),
    line('protection', protection, 'what refuses bad accesses of compiled code'),
    line('invalidations', grouped(engine.invalidations), 'guest code that changed'),
    line('flushes', grouped(engine.flushes), 'all translations thrown away'),
    'tsemu: generated code was left for\n',
    ...Object.entries(exits).map(([name, count]) => line(name, grouped(count), exitNotes[name])),
    line('system calls', grouped(engine.syscalls), `${grouped(engine.served)} of them served without leaving`),
  ].join('');
}

const exitNotes: Readonly<Record<string, string>> = {
  budget: 'a look at timers and signals was due',
  syscall: 'a system call that had to wait, or ended the program',
  miss: 'code not translated yet, or not in the jump cache',
  hot: 'a block that is worth compiling',
};
