// Writes docs/supported/i386.md from the opcode map; with --check only compares.
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { CPU_MODELS } from '#src/option-table.ts';
import { type CpuModelName, cpuModels, identityOf } from '#target/i386/cpu-models.ts';
import { featureOf } from '#target/i386/features.ts';
import type { X86Row } from '#target/i386/row.ts';
import { rows } from '#target/i386/rows.ts';
import { type Campaign, campaignLines } from './campaigns.ts';

/** Where the document stands. */
export const i386Document: string = resolve(import.meta.dirname, '../docs/supported/i386.md');

const leftOut: readonly (readonly [what: string, why: string])[] = [
  ['AVX, AVX2, FMA, F16C, XSAVE', 'CPUID does not tell of them, and their encodings are undefined'],
  ['3DNow!, SSE4A, XOP, TBM', "AMD's own, which compilers emit only when told to"],
  ['RDRAND, RDSEED, RDPID, RTM, MPX, CET (beyond ENDBR32), PKU', 'CPUID does not tell of them'],
  ['16-bit code segments, VM86, call gates', 'far transfers stay within the code segment of user mode'],
  ['Debug registers and performance counters', 'user mode may not use them'],
];

const campaigns: readonly Campaign[] = [
  {
    insnClass: 'integer',
    options: '`--tier interp`',
    seed: 2000000,
    count: 1000,
    states: 256,
    length: 8,
    instructions: 943479,
    faults: 86761,
    differ: '0 (2: POPA that faulted half-way)',
  },
  {
    insnClass: 'integer',
    options: '`--tier region --hot 16`',
    seed: 1000000,
    count: 500,
    states: 256,
    length: 8,
    instructions: 454254,
    faults: 42945,
    differ: '0',
  },
  {
    insnClass: 'x87',
    options: '`--tier interp`',
    seed: 2000000,
    count: 375,
    states: 256,
    length: 8,
    instructions: 351196,
    faults: 16648,
    differ: '0',
  },
  {
    insnClass: 'x87',
    options: '`--tier region --hot 16`',
    seed: 1000000,
    count: 125,
    states: 256,
    length: 8,
    instructions: 102200,
    faults: 5191,
    differ: '0 (1: FLD of a denormal, see below)',
  },
  {
    insnClass: 'x87',
    options: '`--tier region --hot 16`',
    seed: 1000125,
    count: 250,
    states: 256,
    length: 8,
    instructions: 227794,
    faults: 10662,
    differ: '0 (1: FPREM1, mended since)',
  },
  {
    insnClass: 'simd',
    options: '`--tier interp`',
    seed: 2000000,
    count: 500,
    states: 256,
    length: 8,
    instructions: 511578,
    faults: 31165,
    differ: '0',
  },
  {
    insnClass: 'simd',
    options: '`--tier region --hot 16`',
    seed: 1000000,
    count: 375,
    states: 256,
    length: 8,
    instructions: 352795,
    faults: 23979,
    differ: '0',
  },
  {
    insnClass: 'sse',
    options: '`--tier interp`',
    seed: 2000000,
    count: 1000,
    states: 256,
    length: 8,
    instructions: 949123,
    faults: 62878,
    differ: '0',
  },
  {
    insnClass: 'sse',
    options: '`--tier interp --no-fp-flags`',
    seed: 2500000,
    count: 1000,
    states: 256,
    length: 8,
    instructions: 918619,
    faults: 62704,
    differ: '0',
  },
  {
    insnClass: 'sse',
    options: '`--tier region --hot 16 --no-fp-flags`',
    seed: 1000000,
    count: 375,
    states: 256,
    length: 8,
    instructions: 330324,
    faults: 23508,
    differ: '0',
  },
];

/** What random sequences do not compare, since processors differ or the manual leaves it open. */
const differences: readonly (readonly [what: string, clause: string])[] = [
  [
    'F2XM1, FYL2X, FYL2XP1, FPATAN, FPTAN, FSIN, FCOS, FSINCOS, RCP and RSQRT: the results, which processors approximate in their own ways',
    'SDM vol. 1, 8.3.10; vol. 2, RCPPS, RSQRTPS',
  ],
  [
    'FLD of a denormal whose exception is not masked: AMD pushes the number; here nothing is pushed',
    'SDM vol. 1, 8.5.2',
  ],
  ['POPA that faults half-way: AMD keeps what was loaded; here no register is changed', 'SDM vol. 2, POPA'],
  [
    'REP CMPS and REP SCAS that fault: flags before the instruction or those of the last round',
    'SDM vol. 2, REP: restartable',
  ],
  ['FLDENV and FRSTOR that fault: the address is any of the operand', 'SDM vol. 3, 6.15 (#PF, CR2)'],
  ['An access that runs past 2^32: #GP of the segment there, a page fault at its start here', 'SDM vol. 3, 5.3'],
  ['Flags that an instruction leaves undefined', 'SDM vol. 1, appendix A'],
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
    ...campaignLines('tests/random-i386/main.ts', campaigns),
    '## Where processors differ',
    '',
    '| what | manual |',
    '|---|---|',
    ...differences.map(([what, clause]) => `| ${what} | ${clause} |`),
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
