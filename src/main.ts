// Entry point: the name of the program says which command it is.
import { writeSync } from 'node:fs';
import { postponeOptimization } from './optimization.ts';
import { readCommandLine, UsageError } from './options.ts';
import { runUser } from './user.ts';

/** Exit code of a failure that is neither the guest's nor the user's (sysexits.h: EX_SOFTWARE). */
const internalError = 70;

/** A bug of ours: its message; under DEBUG also where it happened. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return process.env.DEBUG === undefined
    ? `${error.message} (DEBUG=tsemu:* tells where)`
    : (error.stack ?? error.message);
}

/** Runs `command` with this process's arguments and ends the process with its exit code. */
export async function main(command: string): Promise<void> {
  process.exit(await runCommand(command, process.argv.slice(2), postponeOptimization));
}

/** Runs `command` with `args`; `onBusy` is called before much of our JavaScript runs. Returns its exit code. */
export async function runCommand(command: string, args: readonly string[], onBusy?: () => void): Promise<number> {
  try {
    if (args[0] === '--system' || args[0] === '-system') {
      return await (await import('./system.ts')).runSystemCommand(command, args.slice(1));
    }
    if (command === 'tsemu-img') return (await import('./img.ts')).runImageCommand(command, args);
    const invocation = await readCommandLine(command, args, process.env);
    if (invocation.kind === 'print') {
      writeSync(1, invocation.text);
      return 0;
    }
    return await runUser(invocation.config, onBusy);
  } catch (error) {
    if (error instanceof UsageError) {
      writeSync(2, `${command}: ${error.message}\n`);
      return 1;
    }
    writeSync(2, `${command}: internal error, please report it: ${describe(error)}\n`);
    return internalError;
  }
}

if (import.meta.main) void main('tsemu');
