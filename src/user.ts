import { Engine } from '#accel/engine.ts';
import { createEntropy } from '#linux-user/entropy.ts';
import { detectArchitecture, LoadError, startProcess } from '#linux-user/start.ts';
import { createSyscallTable } from '#syscalls/table.ts';
import { architectures } from './architectures.ts';
import { createDump } from './dump.ts';
import { interpreterBytes } from './interpreter.ts';
import { UsageError, type UserConfig } from './options.ts';

/** Runs one guest program to its end. Returns its exit code. */
export async function runUser(config: UserConfig): Promise<number> {
  try {
    const arch = config.arch ?? detectArchitecture(config.program, config.ldPrefix);
    const target = architectures[arch];
    if (!target) throw new UsageError(`${config.program}: no translator for ${arch} in this build`);
    const dump = config.log.size === 0 ? null : await createDump(config, target);
    const log = dump?.log;
    const interpreter = interpreterBytes();
    const engines: Engine[] = [];
    const exitCode = await startProcess(
      {
        program: config.program,
        argv: config.argv,
        environment: config.env,
        prefix: config.ldPrefix,
        stackBytes: config.stackSize,
        addressSpaceEnd: config.reservedVa,
        seed: config.seed,
        target,
        report: null,
        ...(dump && { watch: dump.watch }),
      },
      createSyscallTable({
        strace: log && config.log.has('strace') ? log : null,
        unimplemented: log && config.log.has('unimp') ? (line) => log(`${line}\n`) : null,
        release: config.uname,
        entropy: config.seed === null ? null : createEntropy(config.seed),
      }),
      (memory) => {
        const engine = new Engine(target, memory, {
          interpreter,
          tier: config.tier,
          oneInstruction: config.oneInsnPerTb,
          ...dump?.engineOptions(memory),
        });
        if (config.stats) engines.push(engine);
        return engine;
      },
    );
    for (const { stats } of engines) process.stderr.write(`${JSON.stringify(stats)}\n`);
    return exitCode;
  } catch (error) {
    if (!(error instanceof LoadError)) throw error;
    process.stderr.write(`${config.command}: ${error.message}\n`);
    return error.exitCode;
  }
}
