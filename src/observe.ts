// What --stats, --stats-json and --profile do. Loaded only with one of them. Of what every run needs it imports types
// alone: the bundler would wrap such modules in functions to be evaluated late, which costs every start.
import { closeSync, openSync } from 'node:fs';
import { runInThisContext } from 'node:vm';
import type { Engine, EngineOptions } from '#accel/engine.ts';
import { writeWhole } from '#linux-user/host-write.ts';
import type { ImageDirectory } from '#linux-user/images.ts';
import type { SyscallTable } from '#linux-user/syscall-table.ts';
import type { Target } from '#tcg/target.ts';
import { UsageError } from './option-table.ts';
import type { UserConfig } from './options.ts';
import type { Frame, Group } from './profile/call-tree.ts';
import { systemCallPrefix } from './profile/classify.ts';
import { cpuprofileText } from './profile/cpuprofile.ts';
import { flameGraph } from './profile/flame-graph.ts';
import type { GuestNames, Sampler } from './profile/sampler.ts';
import { collectStats, statsText } from './stats.ts';

/** What things are called. */
export interface Names {
  /** Of each system call, by number. */
  readonly syscalls: readonly (readonly [number: number, name: string, ...unknown[]])[];
  /** Of each `ExitReason`, in order. */
  readonly exitReasons: readonly string[];
}

export type ObserverConfig = Pick<UserConfig, 'stats' | 'statsFile' | 'profile' | 'argv'>;

/** Counts and samples a run and tells about it at its end. */
export class Observer {
  readonly engineOptions: Pick<EngineOptions, 'count'>;
  private readonly config: ObserverConfig;
  private readonly target: Target;
  private readonly names: Names;
  private readonly engines: Engine[] = [];
  private readonly images: ImageDirectory[] = [];
  private readonly files: { readonly stats: number; readonly profile: number };
  private readonly sampler: Sampler;
  private readonly frames = new Map<number, Frame>();
  private interpreted = 0;
  private ended = false;

  constructor(config: ObserverConfig, target: Target, names: Names, startSampling: (names: GuestNames) => Sampler) {
    this.config = config;
    this.target = target;
    this.names = names;
    const counting = config.stats || config.statsFile !== null;
    this.engineOptions = { count: counting ? 'all' : 'interpreter' };
    this.files = {
      stats: config.statsFile === null ? -1 : openOutput('--stats-json', config.statsFile),
      profile: config.profile === null ? -1 : openOutput('--profile', config.profile),
    };
    this.sampler = startSampling({
      region: (pc) => this.region(pc),
      interpreted: (pc) => this.interpretedFunction(pc),
      takeInterpreted: () => this.takeInterpreted(),
    });
  }

  addEngine(engine: Engine): void {
    this.engines.push(engine);
  }

  addImages(images: ImageDirectory): void {
    this.images.push(images);
  }

  /** The same system calls, each called through a function of its name, by which profiles know it. */
  named(table: SyscallTable): SyscallTable {
    const methods = this.names.syscalls.map(
      ([number, name]) => `${number}: function ${systemCallPrefix}${name}(task) { return table.dispatch(task); }`,
    );
    const other = `function ${systemCallPrefix}unknown(task) { return table.dispatch(task); }`;
    const make = runInThisContext(`(table) => [{ ${methods.join(', ')} }, ${other}]`) as (
      table: SyscallTable,
    ) => [Readonly<Record<number, SyscallTable['dispatch']>>, SyscallTable['dispatch']];
    const [calls, unknown] = make(table);
    return {
      dispatch: (task) => (calls[task.abi.syscallNumber(task.cpu)] ?? unknown)(task),
      signal: (task, info) => table.signal?.(task, info),
      ended: (process) => table.ended?.(process),
      finish: () => table.finish?.(),
    };
  }

  /** The guest has ended: writes everything. */
  readonly end = (): void => {
    if (this.ended) return;
    this.ended = true;
    this.sampler.stop();
    const { profile } = this.sampler;
    const { config, files } = this;
    if (files.profile >= 0) {
      const title = config.argv.join(' ');
      const text = config.profile!.endsWith('.svg') ? flameGraph(profile, title) : cpuprofileText(profile);
      write(files.profile, text);
    }
    if (!config.stats && files.stats < 0) return;
    const stats = collectStats(this.engines, this.names.exitReasons, this.interpreted, profile.byGroup());
    if (files.stats >= 0) write(files.stats, `${JSON.stringify(stats, null, 2)}\n`);
    if (config.stats) write(2, statsText(stats));
  };

  private takeInterpreted(): Map<number, number> {
    const all = new Map<number, number>();
    for (const engine of this.engines) {
      for (const [pc, count] of engine.takeInterpreted()) {
        all.set(pc, (all.get(pc) ?? 0) + count);
        this.interpreted += count;
      }
    }
    return all;
  }

  private region(pc: number): Frame {
    let frame = this.frames.get(pc);
    if (frame === undefined) {
      frame = this.frameAt(pc, 'regions');
      this.frames.set(pc, frame);
    }
    return frame;
  }

  private interpretedFunction(pc: number): Frame {
    const frame = this.frameAt(pc, 'interpreter');
    return { ...frame, name: frame.name.replace(/\+0x[0-9a-f]+$/, '') };
  }

  private frameAt(pc: number, group: Group): Frame {
    const address = this.target.address(pc) >>> 0;
    const plain = `0x${address.toString(16)}`;
    for (const images of this.images.toReversed()) {
      const place = images.locate(address);
      if (place === null) continue;
      return { name: place.symbol ?? `0x${place.offset.toString(16)}`, group, url: place.path };
    }
    return { name: plain, group, url: '' };
  }
}

/** Opens the files and starts sampling. Throws UsageError. */
export async function createObserver(config: ObserverConfig, target: Target, names: Names): Promise<Observer> {
  try {
    const { Sampler } = await import('./profile/sampler.ts');
    return new Observer(config, target, names, (guest) => new Sampler(guest));
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ERR_INSPECTOR_NOT_AVAILABLE') throw error;
    throw new UsageError('--stats and --profile need a Node.js that is built with its inspector');
  }
}

function openOutput(option: string, path: string): number {
  try {
    return openSync(path, 'w');
  } catch (error) {
    throw new UsageError(`${option} ${path}: ${(error as Error).message}`);
  }
}

/** Writes a text whole and closes its file, unless that is stderr; a full disk is reported and no reason to fail. */
function write(fd: number, text: string): void {
  try {
    writeWhole(fd, Buffer.from(text));
    if (fd !== 2) closeSync(fd);
  } catch (error) {
    if (fd !== 2) process.stderr.write(`tsemu: statistics or profile not written: ${(error as Error).message}\n`);
  }
}
