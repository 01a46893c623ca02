// Writes docs/supported/syscalls.md from the system-call table; with --check only compares.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { coverage } from '#syscalls/table.ts';

/** Where the document stands. */
export const syscallsDocument: string = resolve(import.meta.dirname, '../docs/supported/syscalls.md');

/** The document's text: every system call of the ARM EABI, in the order of the numbers. */
export function supportedSyscalls(): string {
  const calls = coverage('arm');
  const served = calls.filter(([, , state]) => state !== 'ENOSYS');
  const partial = served.filter(([, , state]) => state !== 'complete');
  const lines = calls.map(([number, name, state]) => {
    const shown = number < 0xf0000 ? String(number) : `0x${number.toString(16)}`;
    const [support, missing] =
      state === 'complete' ? ['yes', ''] : state === 'ENOSYS' ? ['ENOSYS', ''] : ['partial', state.missing];
    return `| ${shown} | ${name} | ${support} | ${missing} |`;
  });
  return [
    '# Supported system calls: ARM',
    '',
    'Written by `node scripts/supported-syscalls.ts` from the table in `syscalls/`; do not edit.',
    '',
    `${calls.length} calls: ${served.length - partial.length} whole, ${partial.length} in part, ` +
      `${calls.length - served.length} answered with ENOSYS.`,
    '',
    '| number | name | served | what is missing |',
    '|---|---|---|---|',
    ...lines,
    '',
  ].join('\n');
}

if (import.meta.main) {
  const text = supportedSyscalls();
  if (process.argv.includes('--check')) {
    process.exitCode = readFileSync(syscallsDocument, 'utf8') === text ? 0 : 1;
  } else {
    mkdirSync(dirname(syscallsDocument), { recursive: true });
    writeFileSync(syscallsDocument, text);
  }
}
