import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Outcome, plainEnvironment, run, tsemuCommand } from '../support/run.ts';
import { freshWorkdir } from '../support/workdir.ts';
import type { ProgramCase } from './case.ts';

/** Runs a case's script by the sysroot's shell; stdout and stderr come in one. */
export async function runProgram(item: ProgramCase, sysroot: string): Promise<Outcome> {
  const cwd = freshWorkdir(`program-${item.name.replace(/\W+/g, '-')}`, item.files ?? {});
  mkdirSync(join(cwd, '..', 'tmp'), { recursive: true });
  const env = {
    ...plainEnvironment,
    PATH: '/usr/bin:/bin:/usr/sbin:/sbin',
    TMPDIR: join(cwd, '..', 'tmp'),
    LC_ALL: 'C.UTF-8',
  };
  const [command, args] = tsemuCommand(['-L', sysroot, join(sysroot, 'bin/dash'), '-c', `exec 2>&1\n${item.script}`]);
  return run(command, args, { cwd, env, timeout: (item.timeout ?? 60) * 1000 });
}
export const holds = (item: ProgramCase, output: string): boolean =>
  typeof item.expected === 'string' ? output === item.expected : item.expected.test(output);
