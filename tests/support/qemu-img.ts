import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { repoRoot, Unavailable } from './cache.ts';
import { debianClosure } from './debian.ts';
import { run } from './run.ts';

/** What a program printed, both streams, and its exit code. */
export interface Printed {
  readonly out: string;
  readonly error: string;
  readonly status: number | null;
}

export type ImageTool = (...args: readonly string[]) => Promise<Printed>;

async function start(
  program: string,
  args: readonly string[],
  env: Record<string, string>,
  cwd: string,
): Promise<Printed> {
  const { stdout, stderr, status } = await run(program, args, { env, cwd });
  return { out: stdout.toString(), error: stderr.toString(), status };
}

/**
 * Debian's qemu-img, working in `cwd`.
 * @throws Unavailable
 */
export async function qemuImg(cwd: string): Promise<ImageTool> {
  const root = await debianClosure('qemu-utils', ['qemu-utils']);
  const program = join(root, 'usr', 'bin', 'qemu-img');
  const libraries = ['usr/lib', 'lib'].flatMap((folder) =>
    existsSync(join(root, folder))
      ? readdirSync(join(root, folder), { withFileTypes: true })
          .filter((entry) => entry.isDirectory() && entry.name.includes('-linux-'))
          .map((entry) => join(root, folder, entry.name))
      : [],
  );
  const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C', LD_LIBRARY_PATH: libraries.join(':') };
  const { status, error } = await start(program, ['--version'], env, cwd);
  if (status !== 0) throw new Unavailable(`Debian's qemu-img does not run here: ${error.trim()}`);
  return (...args) => start(program, args, env, cwd);
}

/** Our own, working in `cwd`. */
export const tsemuImg =
  (cwd: string): ImageTool =>
  (...args) =>
    start(process.execPath, [join(repoRoot, 'bin', 'tsemu-img.cjs'), ...args], { PATH: '/usr/bin:/bin' }, cwd);
