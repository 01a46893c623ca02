import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { cachePath, contentKey, makeOnce, repoRoot } from './support/cache.ts';
import { onPath } from './support/debian.ts';
import { type Outcome, plainEnvironment, run, runTsemu } from './support/run.ts';
import { buildGuest, toolchainOrReason } from './support/toolchain.ts';
import { freshWorkdir } from './support/workdir.ts';

/*
 * Programs about files and terminals. What they print on Linux is beside their sources (`.out`): qemu-arm lacks some of
 * the calls. Each runs on the host's files, and again in a tree of its own.
 */

const names = ['file-calls', 'inotify', 'ptys', 'shared-files'];
const tools = await toolchainOrReason('arm-linux-gnueabihf');
const reason = 'reason' in tools ? tools.reason : undefined;

const source = (name: string): string => join(repoRoot, 'fixtures/c', `${name}.c`);
const expected = (name: string): string => readFileSync(join(repoRoot, 'fixtures/c', `${name}.out`), 'utf8');
const flags = ['-O2', '-D_GNU_SOURCE', '-w'];

const visible = ({ status, stdout, stderr }: Outcome): object => ({
  status,
  stdout: stdout.toString(),
  stderr: stderr.toString(),
});

describe.skipIf(reason !== undefined)(`files and terminals${reason ? ` (skipped: ${reason})` : ''}`, () => {
  test.each(names)(
    '%s',
    async (name) => {
      const program = await buildGuest({
        triple: 'arm-linux-gnueabihf',
        sources: [source(name)],
        flags: [...flags, '-static'],
      });
      const cwd = freshWorkdir(`files-${name}`, {});
      const wanted = { status: 0, stdout: expected(name), stderr: '' };
      expect(visible(await runTsemu([program], { cwd, timeout: 60_000 }))).toEqual(wanted);
      const inside = freshWorkdir(`files-${name}`, {});
      const share = `${program}:/program`;
      const outcome = await runTsemu(['--root', inside, '--ro', share, '/program'], { cwd: inside, timeout: 60_000 });
      expect(visible(outcome), 'in a tree of its own').toEqual(wanted);
    },
    150_000,
  );
});

const cc = onPath('cc');

test.skipIf(cc === undefined || process.platform !== 'linux')(
  'the host prints the same',
  async () => {
    for (const name of names) {
      const path = cachePath('host', `${name}-${contentKey(readFileSync(source(name)))}`);
      await makeOnce(path, async () => {
        const built = await run(cc!, [...flags, '-o', path, source(name), '-lutil'], { env: plainEnvironment });
        expect(built.stderr.toString()).toBe('');
      });
      const cwd = freshWorkdir(`files-host-${name}`, {});
      expect(visible(await run(path, [], { cwd })), name).toEqual({ status: 0, stdout: expected(name), stderr: '' });
    }
  },
  60_000,
);
