// tsemu-img: disk images. A bundle of its own, which programs and machines never load.
import { writeSync } from 'node:fs';
import { runImageTool } from '#system/block/tool/commands.ts';

/** Runs `tsemu-img args`; returns the exit code. */
export function runImageCommand(command: string, args: readonly string[]): number {
  return runImageTool(args, {
    out: (text) => void writeSync(1, text),
    error: (text) => void writeSync(2, `${command}: ${text}\n`),
  });
}
