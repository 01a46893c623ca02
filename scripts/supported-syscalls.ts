// Writes docs/supported/syscalls*.md from the system-call table; with --check only compares.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type Coverage, coverage } from '#syscalls/table.ts';

/** The documents: one for each guest architecture. */
export const syscallsDocuments = [
  { arch: 'arm', title: 'ARM', path: document('syscalls.md') },
  { arch: 'i386', title: 'i386', path: document('syscalls-i386.md') },
] as const;
export type SyscallsDocument = (typeof syscallsDocuments)[number];

function document(name: string): string {
  return resolve(import.meta.dirname, '../docs/supported', name);
}

/** The words for the columns "served" and "what is missing". */
function words(state: Coverage): readonly [served: string, remark: string] {
  if (state === 'complete') return ['yes', ''];
  if (state === 'ENOSYS') return ['not yet', 'ENOSYS'];
  return 'missing' in state ? ['partial', state.missing] : [state.errno, state.reason];
}

/** A document's text: every system call of the architecture, in the order of the numbers. */
export function supportedSyscalls({ arch, title }: SyscallsDocument): string {
  const rows = coverage(arch).map(([number, name, state]) => ({ number, name, words: words(state) }));
  const count = (served: string): number => rows.filter((each) => each.words[0] === served).length;
  const [whole, partial, open] = ['yes', 'partial', 'not yet'].map(count);
  const lines = rows.map(({ number, name, words: [served, remark] }) => {
    const shown = number < 0xf0000 ? String(number) : `0x${number.toString(16)}`;
    return `| ${shown} | ${name} | ${served} | ${remark} |`;
  });
  return [
    `# Supported system calls: ${title}`,
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
  for (const each of syscallsDocuments) {
    const text = supportedSyscalls(each);
    if (process.argv.includes('--check')) {
      if (readFileSync(each.path, 'utf8') !== text) process.exitCode = 1;
    } else {
      mkdirSync(dirname(each.path), { recursive: true });
      writeFileSync(each.path, text);
    }
  }
}
