// Writes docs/supported/i386.md from the opcode map; with --check only compares.
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { X86Row } from '#target/i386/row.ts';
import { rows } from '#target/i386/rows.ts';

/** Where the document stands. */
export const i386Document: string = resolve(import.meta.dirname, '../docs/supported/i386.md');

/** The document's text: the mnemonics of the opcode map with their encodings. */
export function supportedI386(): string {
  const byName = new Map<string, X86Row[]>();
  for (const row of rows) byName.set(row.name, [...(byName.get(row.name) ?? []), row]);
  const names = [...byName].sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    '# Supported instructions: i386',
    '',
    'Written by `node scripts/supported-i386.ts` from the opcode map in `target/i386/`; do not edit. Opcodes and operands',
    'are in the notation of the Intel manual (volume 2, appendix A). What user mode may not do (IN, HLT, MOV CR0…) raises',
    'the exception that the CPU would.',
    '',
    `${rows.length} encodings of ${names.length} instructions.`,
    '',
    '| instruction | encodings |',
    '|---|---|',
    ...names.map(
      ([name, own]) => `| ${name} | ${own.map(({ opcode, codes }) => `${opcode} ${codes}`.trim()).join('; ')} |`,
    ),
    '',
  ].join('\n');
}

if (import.meta.main) {
  const text = supportedI386();
  if (!process.argv.includes('--check')) writeFileSync(i386Document, text);
  else process.exitCode = readFileSync(i386Document, 'utf8') === text ? 0 : 1;
}
