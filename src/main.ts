// Entry point: the name of the program says which command it is.
import { writeSync } from 'node:fs';
import { readCommandLine, UsageError } from './options.ts';

/** Runs `command` with this process's arguments and ends the process with its exit code. */
export async function main(command: string): Promise<void> {
  process.exit(await runCommand(command));
}

async function runCommand(command: string): Promise<number> {
  try {
    const invocation = await readCommandLine(command, process.argv.slice(2), process.env);
    if (invocation.kind === 'print') {
      writeSync(1, invocation.text);
      return 0;
    }
    const { runUser } = await import('./user.ts');
    return await runUser(invocation.config);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    writeSync(2, `${command}: ${error.message}\n`);
    return 1;
  }
}

if (import.meta.main) await main('tsemu');
