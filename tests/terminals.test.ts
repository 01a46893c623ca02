import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { sysrootEnvironment } from './programs/run.ts';
import { Unavailable } from './support/cache.ts';
import { debianSysroot } from './support/debian-sysroot.ts';
import { qemuArm } from './support/oracle.ts';
import { tsemuCommand } from './support/run.ts';
import { Screen } from './support/screen.ts';
import { shellCommand } from './support/terminal.ts';
import { describeTree, freshWorkdir } from './support/workdir.ts';

/* Programs that own the terminal: what they draw, also after the window has changed its size, and what they leave. */

async function prepare(): Promise<{ sysroot: string; qemu: string } | { reason: string }> {
  try {
    await Screen.available();
    const packages = ['bash', 'coreutils', 'vim', 'less', 'procps', 'ncurses-base', 'dash'];
    return { sysroot: await debianSysroot('terminals', packages), qemu: await qemuArm() };
  } catch (error) {
    if (error instanceof Unavailable) return { reason: error.message };
    throw error;
  }
}

const found = await prepare();
const reason = 'reason' in found ? found.reason : undefined;
const { sysroot, qemu } = 'reason' in found ? { sysroot: '', qemu: '' } : found;

const lines = Array.from({ length: 300 }, (_, i) => `${i} the fox ${(i * 7919) % 1009}\n`).join('');
const files = { lines, three: 'one\ntwo\nthree\n' };

type Runner = readonly string[];
const tsemu: Runner = [...tsemuCommand(['-L', sysroot])].flat();

/**
 * Runs a program on a terminal, with `use` at the keys; gives what `use` gives, what the terminal shows at the end and
 * what the program has left in its folder.
 */
async function onScreen(
  runner: Runner,
  args: readonly string[],
  use: (screen: Screen) => Promise<string[]>,
): Promise<{ screens: string[]; tree: string[] }> {
  const cwd = freshWorkdir('terminals', files);
  const env = { ...sysrootEnvironment, TERM: 'screen', PS1: '> ' };
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const command = shellCommand(['env', '-i', ...variables, ...runner, join(sysroot, args[0]), ...args.slice(1)]);
  const after = 'echo "status $?"; [ "$(stty -g)" = "$was" ] && echo restored';
  // The shell in the same process group gets ^C as well, and is to live.
  writeFileSync(join(cwd, 'run'), `trap : INT; was=$(stty -g); ${command}; ${after}\n`);
  const screen = await Screen.open('. ./run; rm run', cwd);
  try {
    const screens = await use(screen);
    screens.push(await screen.shows(/status \d+\nrestored$/));
    return { screens, tree: describeTree(cwd) };
  } finally {
    await screen.close();
  }
}

describe.skipIf(reason !== undefined)(`full-screen programs${reason ? ` (skipped: ${reason})` : ''}`, () => {
  /** The same with qemu-arm, screen by screen. */
  const compare = async (args: string[], use: (screen: Screen) => Promise<string[]>): Promise<string[]> => {
    const expected = await onScreen([qemu, '-L', sysroot], args, use);
    expect(await onScreen(tsemu, args, use)).toEqual(expected);
    return expected.tree;
  };

  test('bash edits lines, completes, searches its history and controls jobs', async () => {
    await onScreen(tsemu, ['bin/bash', '--norc', '--noprofile', '-i'], async (screen) => {
      await screen.shows(/^> ?$/);
      await screen.type('ech');
      await screen.press('Tab');
      await screen.type('hello\r');
      await screen.shows(/\nhello\n> ?$/);
      await screen.press('Up');
      for (const key of ['C-a', 'M-f', 'C-k']) await screen.press(key);
      await screen.type(' thr');
      await screen.press('Tab');
      await screen.shows(/> echo three ?$/);
      await screen.press('C-c');
      await screen.shows(/\^C\n> ?$/);
      await screen.press('C-r');
      await screen.type('hel');
      await screen.shows(/search\)`hel': echo hello$/);
      await screen.type('\rsleep 100\r');
      await screen.shows(/> sleep 100$/);
      await screen.press('C-z');
      await screen.shows(/Stopped.*\n> ?$/);
      await screen.type('bg; jobs; fg\r');
      await screen.shows(/Running.*\nsleep 100$/);
      await screen.press('C-c');
      await screen.shows(/\^C\n> ?$/);
      await screen.resize(60, 16);
      await screen.type('stty size; echo $LINES $COLUMNS\r');
      await screen.shows(/16 60\n16 60\n> ?$/);
      await screen.type('exit 5\r');
      return [];
    });
  }, 200_000);

  test('vim edits, splits its window and draws it anew in another size', async () => {
    const tree = await compare(['usr/bin/vim.basic', '-u', 'NONE', '-N', 'three'], async (screen) => {
      const first = await screen.shows(/^one\n[^]*"three" 3L/);
      await screen.type('ddix\ty');
      await screen.press('Escape');
      await screen.type(':split\r:set nu\r');
      const split = await screen.shows(/^ {2}1 x +ytwo$/m);
      await screen.resize(60, 16);
      await screen.type(":%s/thre/THRE/g | redraw! | echo 'drawn'\r");
      const smaller = await screen.shows(/THREe\n[^]*THREe\n[^]*drawn$/);
      await screen.type(':wqa\r');
      return [first, split, smaller];
    });
    expect(tree).toContain('three 644 1 x\tytwo\nTHREe\n');
  }, 200_000);

  test('less turns pages and searches', async () => {
    await compare(['usr/bin/less', 'lines'], async (screen) => {
      const first = await screen.shows(/^0 the[^]*lines$/);
      await screen.press('Space');
      const second = await screen.shows(/^23 the/);
      await screen.type('/299 the\r');
      await screen.shows(/^299 the/m);
      await screen.type('g');
      await screen.shows(/^0 the/);
      await screen.resize(50, 10);
      await screen.type('G');
      const last = await screen.shows(/^291 the[^]*END\)$/);
      await screen.type('q');
      return [first, second, last];
    });
  }, 200_000);

  test('top shows the processes and its help', async () => {
    const { screens } = await onScreen(tsemu, ['usr/bin/top', '-d', '5'], async (screen) => {
      await screen.shows(/^top - [^]* PID USER .*\n *\d+ /);
      await screen.type('h');
      await screen.shows(/^Help for Interactive Commands/);
      await screen.press('Escape');
      await screen.resize(60, 16);
      const smaller = await screen.shows(/^top - [^]* PID USER .*\n *\d+ /);
      await screen.type('q');
      return [smaller];
    });
    expect(screens[0].split('\n').length).toBeLessThanOrEqual(16);
    expect(screens[0]).toMatch(/^Tasks: +\d+ total/m);
  }, 200_000);
});
