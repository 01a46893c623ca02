// Writes docs/supported/syscalls*.md from the system-call table; with --check only compares.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { coverage, type SyscallArch } from '#syscalls/table.ts';

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

/** The document's text: every system call of the architecture, in the order of the numbers. */
export function supportedSyscalls({ arch, name }: Guest): string {
  const calls = coverage(arch);
  const served = calls.filter(([, , state]) => state !== 'ENOSYS');
  const partial = served.filter(([, , state]) => state !== 'complete');
  const lines = calls.map(([number, call, state]) => {
    const shown = number < 0xf0000 ? String(number) : `0x${number.toString(16)}`;
    const [support, missing] =
      state === 'complete' ? ['yes', ''] : state === 'ENOSYS' ? ['ENOSYS', ''] : ['partial', state.missing];
    return `| ${shown} | ${call} | ${support} | ${missing} |`;
  });
  return [
    `# Supported system calls: ${name}`,
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
