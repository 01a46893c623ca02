import { spawn } from 'node:child_process';
import { plainEnvironment } from './run.ts';

/** What a pseudo-terminal showed, and the exit code of the shell command that ran on it. */
export interface TerminalOutcome {
  status: number | null;
  screen: string;
}

const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;

/** A command as a shell reads it. */
export const shellCommand = (words: readonly string[]): string => words.map(quoted).join(' ');

/**
 * Runs a shell command on a pseudo-terminal of 80 × 24 and types each text once the screen has been quiet for a while.
 * Needs script(1).
 */
export function onTerminal(command: string, cwd: string, keys: readonly string[]): Promise<TerminalOutcome> {
  // Long enough for a loaded machine: what is typed before the program reads is echoed at another moment.
  const QUIET_MS = 1500;
  return new Promise((resolve) => {
    const child = spawn('script', ['-qec', `stty rows 24 cols 80; ${command}`, '/dev/null'], {
      cwd,
      env: { ...plainEnvironment, SHELL: '/bin/sh' },
    });
    let screen = '';
    let quiet: NodeJS.Timeout | undefined;
    const left = [...keys];
    const kill = setTimeout(() => child.kill('SIGKILL'), 25_000);
    child.stdin.on('error', () => {});
    child.stdout.on('data', (chunk: Buffer) => {
      screen += chunk.toString('latin1');
      clearTimeout(quiet);
      quiet = setTimeout(() => {
        const next = left.shift();
        if (next !== undefined) child.stdin.write(next, 'latin1');
      }, QUIET_MS);
    });
    child.on('close', (status) => {
      clearTimeout(quiet);
      clearTimeout(kill);
      resolve({ status, screen });
    });
  });
}
