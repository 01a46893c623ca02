import { describe, expect, test } from 'vitest';
import { Unavailable } from './support/cache.ts';
import { type Arch, debianFile, onPath } from './support/debian.ts';
import { type DebianCase, type DebianProgram, debianCases, packagePaths } from './support/debian-cases.ts';
import { qemuArm, runQemu } from './support/oracle.ts';
import { type Outcome, plainEnvironment, runTsemu, type Tier, tsemuCommand } from './support/run.ts';
import { onTerminal, shellCommand, type TerminalOutcome } from './support/terminal.ts';
import { describeTree, freshWorkdir } from './support/workdir.ts';

const arches: Arch[] = ['armhf', 'armel'];

interface Ready {
  programs: Map<string, string>;
  /** Why nothing can be run, or undefined. */
  reason: string | undefined;
}

async function prepare(): Promise<Ready> {
  const programs = new Map<string, string>();
  try {
    await qemuArm();
    for (const arch of arches) {
      for (const [name, [pkg, path]] of Object.entries(packagePaths)) {
        programs.set(`${name} ${arch}`, await debianFile(pkg, arch, path));
      }
    }
    return { programs, reason: undefined };
  } catch (error) {
    if (error instanceof Unavailable) return { programs, reason: error.message };
    throw error;
  }
}

const { programs, reason } = await prepare();

const program = (name: DebianProgram, arch: Arch): string => programs.get(`${name} ${arch}`)!;

/** Everything of a run that must be equal on both sides, with what may differ written over. */
function comparable(item: DebianCase, outcome: Outcome, tree: string[]): object {
  const clean = (bytes: Buffer): string => {
    const text = bytes.toString('latin1');
    const cleaned = (item.normalise ?? []).reduce((all, [pattern, to]) => all.replace(pattern, to), text);
    return item.sortLines ? cleaned.split('\n').sort().join('\n') : cleaned;
  };
  return {
    status: outcome.status,
    timedOut: outcome.timedOut,
    stdout: clean(outcome.stdout),
    stderr: clean(outcome.stderr),
    tree,
  };
}

type Runner = (args: string[], cwd: string) => Promise<Outcome>;

async function observe(item: DebianCase, arch: Arch, workName: string, runner: Runner): Promise<object> {
  const cwd = freshWorkdir(workName, item.files ?? {});
  const outcome = await runner([program(item.program, arch), ...item.args], cwd);
  return comparable(item, outcome, describeTree(cwd));
}

describe.skipIf(reason !== undefined)(
  `Debian programs as under qemu-arm${reason ? ` (skipped: ${reason})` : ''}`,
  () => {
    describe.each(arches)('%s', (arch) => {
      test.concurrent.each(debianCases.map((item, index) => ({ title: item.title, item, index })))(
        '$title',
        async ({ item, index }) => {
          const workName = `debian-${arch}-${index}`;
          const options = (cwd: string) => ({
            cwd,
            env: { ...plainEnvironment, ...item.env },
            stdin: item.stdin ?? '',
          });
          const expected = await observe(item, arch, workName, (args, cwd) => runQemu(args, options(cwd)));
          const tiers: Tier[] = item.allTiers ? ['auto', 'interp', 'region'] : ['auto'];
          // What takes regions long to compile is compiled once.
          if (item.slowInRegions && arch === 'armel') tiers.pop();
          for (const tier of tiers) {
            const got = await observe(item, arch, workName, (args, cwd) => runTsemu(args, { ...options(cwd), tier }));
            expect(got, `tier ${tier}`).toEqual(expected);
          }
        },
        120_000,
      );

      test.skipIf(!onPath('script'))(
        'vi starts and quits on a terminal',
        async () => {
          // The shell shows afterwards whether the terminal is as it was.
          const quit = async (command: string, args: string[]): Promise<TerminalOutcome & { tree: string[] }> => {
            const cwd = freshWorkdir(`debian-${arch}-vi`, { 'a.txt': 'one\ntwo\nthree\n' });
            const before = 'was=$(stty -g)';
            const after = '[ "$(stty -g)" = "$was" ] && echo restored';
            const vi = shellCommand([command, ...args, program('busybox', arch), 'vi', 'a.txt']);
            const outcome = await onTerminal(`${before}; ${vi} && ${after}`, cwd, ['dd', 'ix\x1b', ':wq\r']);
            return { ...outcome, tree: describeTree(cwd) };
          };
          const expected = await quit(await qemuArm(), []);
          expect(expected.screen).toContain('restored');
          expect(expected).toMatchObject({ status: 0, tree: ['a.txt 644 1 xtwo\nthree\n'] });
          const [command, args] = tsemuCommand([]);
          expect(await quit(command, args)).toEqual(expected);
        },
        60_000,
      );
    });
  },
);
