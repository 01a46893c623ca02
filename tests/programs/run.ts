import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Outcome, plainEnvironment, run, tsemuCommand } from '../support/run.ts';
import { freshWorkdir } from '../support/workdir.ts';
import type { ProgramCase } from './case.ts';
import { type Guest, guests } from './guest.ts';

/** The environment of a guest in a sysroot. */
export const sysrootEnvironment: Record<string, string> = {
  ...plainEnvironment,
  PATH: '/usr/bin:/bin:/usr/sbin:/sbin',
  LC_ALL: 'C.UTF-8',
};

/** Runs a case's script by the sysroot's shell, stdout and stderr in one; tsemu's own log goes to stderr. */
export async function runProgram(item: ProgramCase, sysroot: string, guest: Guest = guests.armhf): Promise<Outcome> {
  const cwd = freshWorkdir(`${guest.arch}-${item.name.replace(/\W+/g, '-')}`, item.files ?? {});
  const temporary = join(cwd, '..', 'tmp');
  mkdirSync(temporary, { recursive: true });
  const debug = { DEBUG: 'tsemu:process' };
  const env = { ...sysrootEnvironment, ...guest.environment, ...debug, TMPDIR: temporary, SYSROOT: sysroot };
  const shell = join(sysroot, 'bin/dash');
  const [command, args] = tsemuCommand(
    ['-L', sysroot, '-U', 'DEBUG', shell, '-c', `exec 2>&1\n${item.script}`],
    'auto',
    'auto',
    guest.command,
  );
  return run(command, args, { cwd, env, timeout: (item.timeout ?? 60) * 1000 });
}

/** What is wrong with a run, or null. */
export function complaint({ expected }: ProgramCase, { stdout, stderr, status, timedOut }: Outcome): string | null {
  if (timedOut) return 'does not end';
  // A program that the sysroot lacks is taken from the host, and then proves nothing.
  const foreign = /is host program .*/.exec(stderr.toString());
  if (foreign) return foreign[0];
  const output = stdout.toString();
  const same = typeof expected === 'string' ? output === expected : expected.test(output);
  if (same && status === 0) return null;
  const end = status === 0 ? '' : `status ${status}, `;
  return `${end}output:\n${output}${stderr.toString().replace(/^\S+ tsemu:process .*\n/gm, '')}`;
}
