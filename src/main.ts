// Entry point: the name of the program says which command it is.
import { writeSync } from 'node:fs';
import { readCommandLine, UsageError } from './options.ts';
import { runUser } from './user.ts';

/** Runs `command` with this process's arguments and ends the process with its exit code. */
export async function main(command: string): Promise<void> {
  process.exit(await runCommand(command, process.argv.slice(2)));
}

/** Runs `command` with `args`. Returns its exit code. */
export async function runCommand(command: string, args: readonly string[]): Promise<number> {
  try {
    const invocation = await readCommandLine(command, args, process.env);
    if (invocation.kind === 'print') {
      writeSync(1, invocation.text);
      return 0;
    }
    return await runUser(invocation.config);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    writeSync(2, `${command}: ${error.message}\n`);
    return 1;
  }
}

if (import.meta.main) await main('tsemu');
