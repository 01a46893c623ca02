import { join } from 'node:path';
import { repoRoot, Unavailable } from './cache.ts';
import { closureTool, debianClosure } from './debian.ts';
import { type Outcome, run } from './run.ts';

/** What a program printed, both streams, and its exit code. */
export interface Printed {
  readonly out: string;
  readonly error: string;
  readonly status: number;
}

export type ImageTool = (...args: readonly string[]) => Promise<Printed>;

const printed = ({ stdout, stderr, status }: Outcome): Printed => ({
  out: stdout.toString(),
  error: stderr.toString(),
  status,
});

/**
 * Debian's qemu-img, working in `cwd`.
 * @throws Unavailable
 */
export async function qemuImg(cwd: string): Promise<ImageTool> {
  const root = await debianClosure('qemu-utils', ['qemu-utils']);
  const tool: ImageTool = async (...args) => printed(await closureTool(root, 'usr/bin/qemu-img', args, cwd));
  const { status, error } = await tool('--version');
  if (status !== 0) throw new Unavailable(`Debian's qemu-img does not run here: ${error.trim()}`);
  return tool;
}

/** Our own, working in `cwd`. */
export const tsemuImg =
  (cwd: string): ImageTool =>
  async (...args) =>
    printed(await run(process.execPath, [join(repoRoot, 'bin', 'tsemu-img.cjs'), ...args], { cwd }));
