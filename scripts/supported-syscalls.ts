// Writes docs/supported/syscalls.md from the system-call table; with --check only compares.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type Coverage, coverage } from '#syscalls/table.ts';

/** Where the document stands. */
export const syscallsDocument: string = resolve(import.meta.dirname, '../docs/supported/syscalls.md');

/** The words for the columns "served" and "what is missing". */
function words(state: Coverage): readonly [served: string, remark: string] {
  if (state === 'complete') return ['yes', ''];
  if (state === 'ENOSYS') return ['not yet', 'ENOSYS'];
  return 'missing' in state ? ['partial', state.missing] : [state.errno, state.reason];
}

/** The document's text: every system call of the ARM EABI, in the order of the numbers. */
export function supportedSyscalls(): string {
  const rows = coverage('arm').map(([number, name, state]) => ({ number, name, words: words(state) }));
  const count = (served: string): number => rows.filter((each) => each.words[0] === served).length;
  const [whole, partial, open] = ['yes', 'partial', 'not yet'].map(count);
  const lines = rows.map(({ number, name, words: [served, remark] }) => {
    const shown = number < 0xf0000 ? String(number) : `0x${number.toString(16)}`;
    return `| ${shown} | ${name} | ${served} | ${remark} |`;
  });
  return [
    '# Supported system calls: ARM',
    '',
    'Written by `node scripts/supported-syscalls.ts` from the table in `syscalls/`; do not edit. A call that is',
    'refused on purpose has its error in the third column: what a kernel without that feature, or a process without',
    'the privilege, is told.',
    '',
    `${rows.length} calls: ${whole} whole, ${partial} in part, ` +
      `${rows.length - whole - partial - open} refused on purpose, ${open} not there yet.`,
    '',
    '| number | name | served | what is missing, or why |',
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
