// Writes docs/supported/syscalls*.md from the system-call table; with --check only compares.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type Coverage, coverage, type SyscallArch } from '#syscalls/table.ts';

/** A guest architecture and its document. */
export interface Guest {
  readonly arch: SyscallArch;
  readonly name: string;
  readonly file: string;
}

export const guests: readonly Guest[] = [
  { arch: 'arm', name: 'ARM', file: 'syscalls.md' },
  { arch: 'i386', name: 'i386', file: 'i386-syscalls.md' },
];

/** Where the document stands. */
export const syscallsDocument = ({ file }: Guest): string => resolve(import.meta.dirname, '../docs/supported', file);

/** The words for the columns "served" and "what is missing". */
function words(state: Coverage): readonly [served: string, remark: string] {
  if (state === 'complete') return ['yes', ''];
  if (state === 'ENOSYS') return ['not yet', 'ENOSYS'];
  return 'missing' in state ? ['partial', state.missing] : [state.errno, state.reason];
}

/** The document's text: every system call of the architecture, in the order of the numbers. */
export function supportedSyscalls({ arch, name }: Guest): string {
  const rows = coverage(arch).map(([number, call, state]) => ({ number, call, words: words(state) }));
  const count = (served: string): number => rows.filter((each) => each.words[0] === served).length;
  const [whole, partial, open] = ['yes', 'partial', 'not yet'].map(count);
  const lines = rows.map(({ number, call, words: [served, remark] }) => {
    const shown = number < 0xf0000 ? String(number) : `0x${number.toString(16)}`;
    return `| ${shown} | ${call} | ${served} | ${remark} |`;
  });
  return [
    `# Supported system calls: ${name}`,
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
  for (const guest of guests) {
    const text = supportedSyscalls(guest);
    const path = syscallsDocument(guest);
    if (process.argv.includes('--check')) {
      if (readFileSync(path, 'utf8') !== text) process.exitCode = 1;
    } else {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
    }
  }
}
