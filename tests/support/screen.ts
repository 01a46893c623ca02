import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { debianClosure, libraryPath, onPath } from './debian.ts';
import { plainEnvironment, run } from './run.ts';

/* Full-screen programs are watched through a tmux of the host: it is their terminal, and tells what they have drawn. */

interface Tmux {
  readonly path: string;
  readonly env: Record<string, string>;
}

/** tmux from PATH, else unpacked from Debian's package into the cache; throws Unavailable where neither is to be had. */
async function hostTmux(): Promise<Tmux> {
  const env = { ...plainEnvironment, LC_ALL: 'C.UTF-8', SHELL: '/bin/sh' };
  const installed = onPath('tmux');
  if (installed) return { path: installed, env };
  const root = await debianClosure('tmux', ['tmux']);
  return { path: join(root, 'usr/bin/tmux'), env: { ...env, LD_LIBRARY_PATH: libraryPath(root) } };
}

/** A terminal of 80 × 24 cells with one shell command on it. */
export class Screen {
  private readonly folder = mkdtempSync(join(tmpdir(), 'tsemu-screen-'));
  private readonly tmux: Tmux;

  private constructor(tmux: Tmux) {
    this.tmux = tmux;
  }

  /** Throws Unavailable where no screen can be opened. */
  static async available(): Promise<void> {
    await hostTmux();
  }

  /** Starts `command` by /bin/sh in `cwd`; throws Unavailable without a tmux. */
  static async open(command: string, cwd: string): Promise<Screen> {
    const screen = new Screen(await hostTmux());
    // Its end is no reason for tmux to close the screen.
    const script = `unset TMUX TMUX_PANE LD_LIBRARY_PATH; ${command}; exec sleep 1000`;
    await screen.ask('-f', '/dev/null', 'new-session', '-d', '-x', '80', '-y', '24', '-c', cwd, script);
    return screen;
  }

  private async ask(...args: string[]): Promise<string> {
    const { path, env } = this.tmux;
    const { status, stdout, stderr } = await run(path, ['-u', '-S', join(this.folder, 's'), ...args], { env });
    if (status !== 0) throw new Error(`tmux ${args.join(' ')}: ${stderr.toString()}`);
    return stdout.toString();
  }

  /** Types text as it is. */
  type(text: string): Promise<string> {
    return this.ask('send-keys', '-l', text);
  }

  /** Presses a key by tmux's name for it: `C-c`, `Up`, `Escape`. */
  press(key: string): Promise<string> {
    return this.ask('send-keys', key);
  }

  resize(columns: number, rows: number): Promise<string> {
    return this.ask('resize-window', '-x', String(columns), '-y', String(rows));
  }

  /**
   * What the terminal shows once that matches `wanted` and stays the same for a moment; without the blanks at the end.
   * @throws Error with what it shows if that does not come about within 60 seconds
   */
  async shows(wanted: RegExp): Promise<string> {
    let before = '';
    for (const end = Date.now() + 60_000; Date.now() < end; await sleep(100)) {
      const now = (await this.ask('capture-pane', '-p')).trimEnd();
      if (wanted.test(now) && now === before) return now;
      before = now;
    }
    throw new Error(`the terminal does not show ${wanted}, but:\n${before}`);
  }

  /** Ends the program, if it has not ended already. */
  async close(): Promise<void> {
    await this.ask('kill-server').catch(() => {});
    rmSync(this.folder, { recursive: true, force: true });
  }
}
