import { Engine } from '#accel/engine.ts';
import { createEntropy } from '#linux-user/entropy.ts';
import { Prot } from '#linux-user/mm/vma.ts';
import type { Process } from '#linux-user/process.ts';
import { detectArchitecture, LoadError, startProcess } from '#linux-user/start.ts';
import { coverage, createSyscallTable, type SyscallArch } from '#syscalls/table.ts';
import { ExitReason } from '#tcg/cpu-page.ts';
import { otherTargets, targetFor } from './architectures.ts';
import { FileCodeStore } from './code-store.ts';
import { confine } from './confinement.ts';
import { interpreterBytes } from './interpreter.ts';
import { UsageError, type UserConfig } from './options.ts';

/** Bytes of code that take little translation: it is over before V8 takes notice of it. */
const smallCode = 16384;

function codeBytes({ mm }: Process): number {
  let bytes = 0;
  for (const { start, end, prot } of mm.vmas) if ((prot & Prot.EXEC) !== 0) bytes += end - start;
  return bytes;
}

/** Where translations are kept, if they are the usual ones: not while they are looked at, counted or made otherwise. */
function codeStore({ cache, tier, oneInsnPerTb, cpu }: UserConfig): FileCodeStore | null {
  const { build } = import.meta as { readonly build?: string };
  if (cache === null || build === undefined || tier === 'region' || oneInsnPerTb) return null;
  return new FileCodeStore(cache, `${build}-${cpu}`);
}

/** Runs one guest program to its end; `onBusy` is called before much of our JavaScript runs. Returns its exit code. */
export async function runUser(config: UserConfig, onBusy?: () => void): Promise<number> {
  try {
    const entropy = createEntropy(config.seed);
    const { fs, credentials, networkGate } = confine(config, entropy);
    const arch = config.arch ?? detectArchitecture(config.program, fs.programs(null));
    const target = targetFor(arch, config.cpu);
    if (target === null) throw new UsageError(`no CPU model '${config.cpu}' of ${arch}; -cpu help lists them`);
    if (!target) throw new UsageError(`${config.program}: no translator for ${arch} in this build`);
    const others = () => otherTargets(arch);
    const dump =
      config.log.size === 0 ? null : await (await import('./dump.ts')).createDump(config, [target, ...others()]);
    const log = dump?.log;
    let busy = onBusy === undefined;
    let hasMuchCode = false;
    const becomeBusy = (): void => {
      if (!busy) onBusy?.();
      busy = true;
    };
    const interpreter = interpreterBytes();
    const observed = config.stats || config.statsFile !== null || config.profile !== null;
    const names = () => ({ syscalls: coverage(arch as SyscallArch), exitReasons: Object.keys(ExitReason) });
    const observer = observed ? await (await import('./observe.ts')).createObserver(config, target, names()) : null;
    const store = dump === null && observer === null ? codeStore(config) : null;
    const table = createSyscallTable({
      strace: log && config.log.has('strace') ? log : null,
      traceForm: config.strace,
      unimplemented: log && config.log.has('unimp') ? (line) => log(`${line}\n`) : null,
      release: config.uname,
      entropy,
    });
    return await startProcess(
      {
        program: config.program,
        argv: config.argv,
        environment: config.env,
        fs,
        credentials,
        networkGate,
        release: config.uname,
        ...(config.memory !== null && { memoryLimit: config.memory }),
        ...(config.cpuTime !== null && { cpuLimit: config.cpuTime }),
        streamsOnly: fs.confined,
        releasesOrphans: !config.sandbox && config.cpuTime === null && dump === null && observer === null,
        stackBytes: config.stackSize,
        addressSpaceEnd: config.reservedVa,
        seed: config.seed,
        entropy,
        protection: config.protection,
        target,
        otherTargets: others,
        report: null,
        watch(process, images) {
          dump?.watch(process);
          observer?.addImages(images);
          hasMuchCode = config.tier === 'region' || codeBytes(process) > smallCode;
        },
        ...(observer && { ended: observer.end }),
        ...(store && { settle: () => store.flush() }),
      },
      observer?.named(table) ?? table,
      (memory, guest) => {
        const engine = new Engine(guest, memory, {
          interpreter,
          tier: config.tier,
          hot: config.hot,
          oneInstruction: config.oneInsnPerTb,
          onWarm: becomeBusy,
          onTranslate() {
            if (hasMuchCode) becomeBusy();
          },
          ...(store !== null && { store }),
          ...observer?.engineOptions,
          ...dump?.engineOptions(memory, guest),
        });
        observer?.addEngine(engine);
        return engine;
      },
    );
  } catch (error) {
    if (!(error instanceof LoadError)) throw error;
    process.stderr.write(`${config.command}: ${error.message}\n`);
    return error.exitCode;
  }
}
