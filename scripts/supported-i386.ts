// Writes docs/supported/i386.md from the opcode map; with --check only compares.
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { CPU_MODELS } from '#src/option-table.ts';
import { type CpuModelName, cpuModels, identityOf } from '#target/i386/cpu-models.ts';
import { featureOf } from '#target/i386/features.ts';
import type { X86Row } from '#target/i386/row.ts';
import { rows } from '#target/i386/rows.ts';

/** Where the document stands. */
export const i386Document: string = resolve(import.meta.dirname, '../docs/supported/i386.md');

const leftOut: readonly (readonly [what: string, why: string])[] = [
  ['AVX, AVX2, FMA, F16C, XSAVE', 'CPUID does not tell of them, and their encodings are undefined'],
  ['3DNow!, SSE4A, XOP, TBM', "AMD's own, which compilers emit only when told to"],
  ['RDRAND, RDSEED, RDPID, RTM, MPX, CET (beyond ENDBR32), PKU', 'CPUID does not tell of them'],
  ['16-bit code segments, VM86, call gates', 'far transfers stay within the code segment of user mode'],
  ['Debug registers and performance counters', 'user mode may not use them'],
];

/** The document's text: CPU models, and the mnemonics of the opcode map with their encodings. */
export function supportedI386(): string {
  const byName = new Map<string, X86Row[]>();
  for (const row of rows) byName.set(row.name, [...(byName.get(row.name) ?? []), row]);
  const models = Object.entries(cpuModels).map(([name, model]) => {
    const { machine, features, hwcap } = identityOf(model);
    const word = `0x${(hwcap ?? 0).toString(16)}`;
    return `| ${name} | ${CPU_MODELS.i386[name as CpuModelName]} | ${machine} | ${word} | ${features.join(' ')} |`;
  });
  const names = [...byName].sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    '# Supported instructions: i386',
    '',
    'Written by `node scripts/supported-i386.ts` from the opcode map in `target/i386/`; do not edit. Opcodes and operands',
    'are in the notation of the Intel manual (volume 2, appendix A). What user mode may not do (IN, HLT, MOV CR0…) raises',
    'the exception that the CPU would. What instructions do is compared with the host, an x86 CPU, by random sequences',
    '(`tests/random-i386/main.ts`); `node tests/random-i386/coverage-table.ts` prints how often each encoding is met.',
    '',
    '## CPU models',
    '',
    'Chosen by `-cpu` or `QEMU_CPU`. Instructions of a feature that a model lacks are undefined in it.',
    '',
    '| name | what it is | uname, AT_PLATFORM | AT_HWCAP | features, as in /proc/cpuinfo |',
    '|---|---|---|---|---|',
    ...models,
    '',
    '## Instructions',
    '',
    `${rows.length} encodings of ${names.length} instructions.`,
    '',
    '| instruction | feature | encodings |',
    '|---|---|---|',
    ...names.map(
      ([name, own]) =>
        `| ${name} | ${featuresOf(own)} | ${own.map(({ opcode, codes }) => `${opcode} ${codes}`.trim()).join('; ')} |`,
    ),
    '',
    '## Left out',
    '',
    '| what | why |',
    '|---|---|',
    ...leftOut.map(([what, why]) => `| ${what} | ${why} |`),
    '',
  ].join('\n');
}

/** What rows need, each once. */
const featuresOf = (own: readonly X86Row[]): string =>
  [...new Set(own.map(featureOf))].filter((feature) => feature !== null).join(', ');

if (import.meta.main) {
  const text = supportedI386();
  if (!process.argv.includes('--check')) writeFileSync(i386Document, text);
  else process.exitCode = readFileSync(i386Document, 'utf8') === text ? 0 : 1;
}
