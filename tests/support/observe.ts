import type { GuestProgram, Variant } from './guest-programs.ts';
import { runQemu } from './oracle.ts';
import { type Outcome, type Protection, plainEnvironment, runTsemu, type Tier } from './run.ts';
import { describeTree, freshWorkdir } from './workdir.ts';

const env = { ...plainEnvironment, TSEMU_TEST: 'set by the test' };

type Runner = (args: string[], options: { cwd: string; env: Record<string, string> }) => Promise<Outcome>;

async function observe(program: GuestProgram, path: string, workName: string, runner: Runner): Promise<object> {
  const cwd = freshWorkdir(workName, program.files ?? {});
  const outcome = await runner([path, ...(program.args ?? [])], { cwd, env });
  // A fatal signal is announced on stderr, by each in its own words.
  const stderr = outcome.signal === null ? outcome.stderr.toString('latin1') : '';
  const { status, timedOut } = outcome;
  return { status, timedOut, stdout: outcome.stdout.toString('latin1'), stderr, tree: describeTree(cwd) };
}

/** Everything of a run under qemu-arm that must be equal under tsemu, its known errors put right. */
export async function observeOracle(program: GuestProgram, path: string, workName: string): Promise<object> {
  return observe(program, path, workName, async (args, options) => {
    const outcome = await runQemu(args, options);
    let stdout = outcome.stdout.toString('latin1');
    for (const [wrong, right] of program.oracleErrors ?? []) stdout = stdout.replace(`${wrong}\n`, `${right}\n`);
    return { ...outcome, stdout: Buffer.from(stdout, 'latin1') };
  });
}

/** The same of a run under tsemu. */
export function observeTsemu(
  program: GuestProgram,
  path: string,
  workName: string,
  tier: Tier,
  protection: Protection = 'auto',
): Promise<object> {
  return observe(program, path, workName, (args, options) => runTsemu(args, { ...options, tier, protection }));
}

/** A folder name for a program in a variant. */
export const workName = (program: GuestProgram, variant: Variant): string =>
  `guest-${program.name}-${variant.name.replace(/\W+/g, '-')}`;
