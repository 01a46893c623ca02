import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { repoRoot, Unavailable } from './support/cache.ts';
import type { GuestArch } from './support/debian.ts';
import { debianSysroot } from './support/debian-sysroot.ts';
import { type Outcome, run, tsemuCommand } from './support/run.ts';
import { buildGuest, type Triple } from './support/toolchain.ts';
import { freshWorkdir } from './support/workdir.ts';

/*
 * Debian's strace and gdb for the guest's CPU trace a guest program: ptrace(2) as it is used by the programs that it is
 * for.
 */

interface Guest {
  readonly command: string;
  readonly arch: GuestArch;
  readonly triple: Triple;
}

const guests: Guest[] = [
  { command: 'tsemu-arm', arch: 'armhf', triple: 'arm-linux-gnueabihf' },
  { command: 'tsemu-i386', arch: 'i386', triple: 'i686-linux-gnu' },
];

/** The debugger `name` run with `args` on the program, in a folder of its own. */
type Debug = (name: string, args: readonly string[]) => Promise<{ readonly outcome: Outcome; readonly folder: string }>;

async function prepare({ command, arch, triple }: Guest): Promise<Debug | string> {
  try {
    const sysroot = await debianSysroot('debuggers', ['strace', 'gdb-minimal'], arch);
    const sources = [join(repoRoot, 'fixtures/c/debugged.c')];
    const program = await buildGuest({ triple, sources, flags: ['-g', '-O0', '-static'], libraries: ['-lpthread'] });
    return async (name, args) => {
      const folder = freshWorkdir(`debuggers-${name}-${arch}`, {});
      const guest = ['-L', sysroot, join(sysroot, 'usr/bin', name), ...args, program];
      return {
        outcome: await run(...tsemuCommand(guest, 'auto', 'auto', command), { cwd: folder, timeout: 100_000 }),
        folder,
      };
    };
  } catch (error) {
    if (error instanceof Unavailable) return error.message;
    throw error;
  }
}

describe.each(guests)('$arch', (guest) => {
  test('strace follows threads and children', { timeout: 200_000 }, async ({ skip }) => {
    const debug = await prepare(guest);
    if (typeof debug === 'string') return skip(debug);
    const { outcome, folder } = await debug('strace', ['-f', '-o', 'trace']);
    const { status, stdout, stderr } = outcome;
    expect({ status, stdout: stdout.toString(), stderr: stderr.toString() }).toEqual({
      status: 5,
      stdout: '43 3\n',
      stderr: '',
    });
    const trace = readFileSync(join(folder, 'trace'), 'utf8');
    expect(trace).toMatch(/^\d+ +execve\(/);
    expect(trace).toContain('write(1, "43 3\\n", 5) ');
    expect(trace).toContain('--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, ');
    expect([...trace.matchAll(/\+\+\+ exited with (\d+) \+\+\+/g)].map(([, code]) => code)).toEqual(['0', '3', '5']);
  });

  test('gdb stops at breakpoints, walks the stack, changes variables', { timeout: 200_000 }, async ({ skip }) => {
    const debug = await prepare(guest);
    if (typeof debug === 'string') return skip(debug);
    const commands = [
      'set startup-with-shell off',
      'break twice',
      'run',
      'backtrace',
      'set var n = 30',
      'print depth',
      'stepi',
      'finish',
      'continue',
    ];
    const { outcome } = await debug('gdb', ['-q', '-nx', '-batch', ...commands.flatMap((each) => ['-ex', each])]);
    const text = outcome.stdout.toString();
    expect(text).toMatch(/Breakpoint 1, twice \(n=20\)/);
    expect(text).toMatch(
      /#1 .* in depth \(n=0\)[^]*#2 .* in depth \(n=1\)[^]*#3 .* in depth \(n=2\)[^]*#4 .* in main \(\)/,
    );
    expect(text).toContain('Value returned is $2 = 60');
    expect(text).toContain('63 3\n');
    expect(text).toMatch(/exited with code 05/);
  });
});
