// Writes docs/supported/arm.md from the decode tables and the CPU models; with --check only compares.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { CPU_MODELS } from '#src/option-table.ts';
import { bitsA32, bitsT32 } from '#target/arm/bits.ts';
import { branchA32Rows, branchT32Rows } from '#target/arm/branch.ts';
import { type CpuModelName, cpuModels, identityOf } from '#target/arm/cpu-models.ts';
import { dataProcessingA32 } from '#target/arm/data-processing-a32.ts';
import { dataProcessingT32 } from '#target/arm/data-processing-t32.ts';
import { loadStoreA32, loadStoreT32 } from '#target/arm/load-store.ts';
import { mediaA32, mediaT32 } from '#target/arm/media.ts';
import { multiplyA32, multiplyT32 } from '#target/arm/multiply.ts';
import { neonA32, neonT32 } from '#target/arm/neon.ts';
import type { ArmRow } from '#target/arm/row.ts';
import { statusA32, statusT32 } from '#target/arm/status.ts';
import { vfpA32, vfpT32 } from '#target/arm/vfp.ts';
import { type Campaign, campaignLines } from './campaigns.ts';

/** Where the document stands. */
export const armDocument: string = resolve(import.meta.dirname, '../docs/supported/arm.md');

const classes: readonly (readonly [title: string, a32: readonly ArmRow[], t32: readonly ArmRow[]])[] = [
  ['Branches', branchA32Rows, branchT32Rows],
  ['Status, hints, barriers, system', statusA32, statusT32],
  ['Data processing', dataProcessingA32, dataProcessingT32],
  ['Multiply and divide', multiplyA32, multiplyT32],
  ['Bits and bytes', bitsA32, bitsT32],
  ['Media, saturation, CRC32', mediaA32, mediaT32],
  ['Loads and stores', loadStoreA32, loadStoreT32],
  ['Floating point', vfpA32, vfpT32],
  ['Advanced SIMD and cryptography', neonA32, neonT32],
];

const leftOut: readonly (readonly [what: string, why: string])[] = [
  [
    'Privileged instructions (SMC, HVC, ERET, RFE, SRS, banked MRS and MSR)',
    'undefined or without effect in user mode',
  ],
  [
    'HLT, and semihosting by SVC, BKPT and HLT',
    'a debugger serves them, and there is none: undefined, or the signal of BKPT',
  ],
  [
    'FPA (coprocessors 1 and 2)',
    'no ARMv5 or later CPU has it; Linux and QEMU emulate it in software for OABI programs',
  ],
  ['XScale and iWMMXt coprocessors', 'no CPU model has them'],
  ['Jazelle', 'BXJ acts as BX, as on CPUs with the trivial implementation'],
  ['ThumbEE', 'removed from the architecture by ARMv8; HWCAP does not promise it'],
  ['The halves of a BL apart from each other in Thumb before Thumb-2', 'compilers emit them together'],
  ['Performance counters and the generic timer (CP15 c9, c14)', 'undefined in user mode, as under qemu-arm'],
  ['Trapped floating-point exceptions (FPSCR enable bits)', 'no Cortex-A implements them; the bits read as 0'],
  ['Alignment hints of element loads and stores', 'not checked, as by Linux with alignment fix-up'],
];

const differences: readonly (readonly [what: string, clause: string])[] = [
  [
    'UNPREDICTABLE operands (R15 where it has no meaning, write-back to a loaded base, lists beyond D31) are undefined; QEMU mostly goes on',
    'DDI 0406C A1.7',
  ],
  ['CBZ, CBNZ, IT and 16-bit hints on CPUs before ARMv6T2: undefined; QEMU has them', 'DDI 0406C A6.2, A8.8.29'],
  [
    'VLDR.16 and VSTR.16 on CPUs without half-precision arithmetic: undefined; QEMU has them',
    'DDI 0487 F6.1 (VLDR, FEAT_FP16)',
  ],
  ['VFMA and VFMS of Advanced SIMD on CPUs without VFPv4: undefined; QEMU has them', 'DDI 0406C A8.8.317'],
  [
    'arm926: a word loaded from an unaligned address is rotated; QEMU loads the unaligned word',
    'DDI 0406C appendix D15.3',
  ],
  [
    'STREX after LDREX with SETEND between them succeeds; in QEMU it fails, since it compares values in data order',
    'DDI 0406C A3.4',
  ],
  ['uname of a model names its architecture; qemu-arm says armv7l for all', 'arch/arm/kernel/setup.c'],
];

const escape = (text: string): string => text.replaceAll('|', '\\|');

/** Row names in table order, each once. */
const namesOf = (rows: readonly ArmRow[]): string[] => [...new Set(rows.map(({ name }) => name))];

const campaigns: readonly Campaign[] = [
  {
    insnClass: 'a32',
    options: '`--tier interp`',
    seed: 2000000,
    count: 650,
    states: 256,
    length: 12,
    instructions: 954774,
    faults: 10540,
    differ: '0',
  },
  {
    insnClass: 'a32',
    options: '`--tier region --hot 16`',
    seed: 1000000,
    count: 650,
    states: 256,
    length: 12,
    instructions: 935982,
    faults: 10343,
    differ: '0',
  },
  {
    insnClass: 't32',
    options: '`--tier interp`',
    seed: 2000000,
    count: 500,
    states: 256,
    length: 12,
    instructions: 993868,
    faults: 8330,
    differ: '0',
  },
  {
    insnClass: 't32',
    options: '`--tier region --hot 16`',
    seed: 1000000,
    count: 500,
    states: 256,
    length: 12,
    instructions: 968730,
    faults: 5941,
    differ: '0',
  },
  {
    insnClass: 'a32',
    options: '`--tier region --hot 16 --no-handlers`',
    seed: 3000000,
    count: 125,
    states: 256,
    length: 12,
    instructions: 165267,
    faults: 5,
    differ: '0 (1: an address that only qemu-arm has mapped)',
  },
  {
    insnClass: 't32',
    options: '`--tier region --hot 16 --no-handlers`',
    seed: 3000000,
    count: 125,
    states: 256,
    length: 12,
    instructions: 231465,
    faults: 5,
    differ: '0',
  },
  {
    insnClass: 'vfp',
    options: '`--tier region --hot 16 --no-handlers`',
    seed: 3000000,
    count: 125,
    states: 256,
    length: 12,
    instructions: 179319,
    faults: 5,
    differ: '0',
  },
  {
    insnClass: 'neon',
    options: '`--tier region --hot 16 --no-handlers`',
    seed: 3000000,
    count: 125,
    states: 256,
    length: 12,
    instructions: 133230,
    faults: 5,
    differ: '0',
  },
  {
    insnClass: 'vfp',
    options: '`--tier interp`',
    seed: 2000000,
    count: 650,
    states: 256,
    length: 12,
    instructions: 981703,
    faults: 3712,
    differ: '0 (3: stores of several registers that faulted half-way)',
  },
  {
    insnClass: 'vfp',
    options: '`--tier region --hot 16`',
    seed: 1000000,
    count: 650,
    states: 256,
    length: 12,
    instructions: 977037,
    faults: 5354,
    differ: '0 (1: a store of several registers that faulted half-way)',
  },
  {
    insnClass: 'neon',
    options: '`--tier interp`',
    seed: 2000000,
    count: 650,
    states: 256,
    length: 12,
    instructions: 839465,
    faults: 39753,
    differ: '0',
  },
  {
    insnClass: 'neon',
    options: '`--tier region --hot 16`',
    seed: 1000000,
    count: 650,
    states: 256,
    length: 12,
    instructions: 814431,
    faults: 36461,
    differ: '0',
  },
];

/** The document's text. */
export function supportedArm(): string {
  const models = Object.entries(cpuModels).map(([name, model]) => {
    const { machine, platform, features } = identityOf(model);
    return `| ${name} | ${CPU_MODELS.arm[name as CpuModelName]} | ${machine} | ${platform} | ${features.join(' ')} |`;
  });
  const instructions = classes.flatMap(([title, a32, t32]) => [
    `### ${title}`,
    '',
    `${a32.length} A32 and ${t32.length} T32 encodings.`,
    '',
    namesOf([...a32, ...t32]).join('; '),
    '',
  ]);
  return [
    '# Supported instructions: ARM',
    '',
    'Written by `node scripts/supported-arm.ts` from the decode tables and CPU models of `target/arm/`; do not edit.',
    '',
    'User mode of AArch32: ARMv7-A (DDI 0406C) and what ARMv8 adds to A32 and T32 (DDI 0487). An encoding that no row',
    'takes raises SIGILL, and the report names it. What is undefined is compared with qemu-arm for every CPU model',
    '(`tests/random/definedness.ts`), what instructions do by random sequences (`tests/random/main.ts`);',
    '`node tests/random/coverage-table.ts` prints how often each row is met.',
    '',
    '## CPU models',
    '',
    'Chosen by `-cpu` or `QEMU_CPU`. Rows whose feature a model lacks are undefined in it.',
    '',
    '| name | what it is | uname | AT_PLATFORM | features, as in /proc/cpuinfo |',
    '|---|---|---|---|---|',
    ...models,
    '',
    '## Instructions',
    '',
    ...instructions,
    ...campaignLines('tests/random/main.ts', campaigns),
    '## Left out',
    '',
    '| what | why |',
    '|---|---|',
    ...leftOut.map(([what, why]) => `| ${escape(what)} | ${escape(why)} |`),
    '',
    '## Where QEMU 7.2 differs',
    '',
    '| what | manual |',
    '|---|---|',
    ...differences.map(([what, clause]) => `| ${escape(what)} | ${escape(clause)} |`),
    '',
  ].join('\n');
}

if (import.meta.main) {
  const text = supportedArm();
  if (process.argv.includes('--check')) {
    process.exitCode = readFileSync(armDocument, 'utf8') === text ? 0 : 1;
  } else {
    mkdirSync(dirname(armDocument), { recursive: true });
    writeFileSync(armDocument, text);
  }
}
