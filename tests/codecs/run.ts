import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ArmAbi } from '#linux-user/abi/arm.ts';
import { cpuModels, identityOf } from '#target/arm/cpu-models.ts';
import { armState } from '#target/arm/state.ts';
import { debianSysroot } from '../support/debian-sysroot.ts';
import { qemuArm } from '../support/oracle.ts';
import { plainEnvironment, run, type Tier, tsemuCommand } from '../support/run.ts';
import { freshWorkdir } from '../support/workdir.ts';
import type { CodecCase } from './cases.ts';

type Command = readonly [command: string, args: readonly string[]];

/** What the commands of a case print and leave behind, as text. */
async function outcomeOf(item: CodecCase, sysroot: string, [command, prefix]: Command): Promise<string[]> {
  const cwd = freshWorkdir(`codec-${item.name}`, item.files ?? {});
  const temporary = join(cwd, '..', 'tmp');
  mkdirSync(temporary, { recursive: true });
  const env = { ...plainEnvironment, LC_ALL: 'C.UTF-8', TMPDIR: temporary, PYTHONHASHSEED: '0' };
  const lines: string[] = [];
  for (const line of item.commands.split('\n')) {
    const [name, ...args] = line.split(' ');
    const program = join(sysroot, 'usr/bin', name!);
    const { status, stdout, stderr, timedOut } = await run(command, [...prefix, program, ...args], {
      cwd,
      env,
      timeout: 900_000,
    });
    lines.push(`${line}: ${timedOut ? 'does not end' : status}`, stdout.toString('latin1'), stderr.toString('latin1'));
  }
  for (const name of readdirSync(cwd).sort())
    lines.push(
      `${name} ${createHash('sha256')
        .update(readFileSync(join(cwd, name)))
        .digest('hex')}`,
    );
  return lines;
}

/** The outcomes of a case under both, after what ran. Throws Unavailable. */
export async function bothOutcomes(item: CodecCase, tier: Tier): Promise<{ oracle: string[]; ours: string[] }> {
  const sysroot = await debianSysroot(`codecs-${item.name}`, item.packages);
  // Programs choose their NEON code by this file, and qemu-arm would show the host's.
  mkdirSync(join(sysroot, 'proc'), { recursive: true });
  writeFileSync(join(sysroot, 'proc/cpuinfo'), new ArmAbi(armState, identityOf(cpuModels.max)).cpuInfo());
  const oracle = await outcomeOf(item, sysroot, [await qemuArm(), ['-cpu', 'max', '-L', sysroot]]);
  return { oracle, ours: await outcomeOf(item, sysroot, tsemuCommand(['-L', sysroot], tier)) };
}
