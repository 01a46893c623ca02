import { describe, expect, test } from 'vitest';
import { I386Abi } from '#linux-user/abi/i386.ts';
import { type CpuModel, type CpuModelName, cpuModels, featuresOf, identityOf } from '#target/i386/cpu-models.ts';
import { featureOf } from '#target/i386/features.ts';
import { rows } from '#target/i386/rows.ts';
import { i386State } from '#target/i386/state.ts';
import { i386TargetOf } from '#target/i386/target.ts';
import { Builder } from '#tcg/builder.ts';
import { printBlock } from '#tcg/text.ts';
import { translateBlock } from '#tcg/translator.ts';
import { byteReader, codeStart } from './support/i386-ir.ts';

/** The IR of an instruction on a CPU. */
function ir(cpu: CpuModelName, bytes: readonly number[]): string {
  const b = new Builder();
  const target = i386TargetOf(cpuModels[cpu] as CpuModel);
  const reader = byteReader([...bytes, 0, 0, 0, 0, 0, 0, 0, 0]);
  translateBlock(target, b, reader, codeStart, 0, { maxInstructions: 1 });
  return printBlock(b.block, i386State);
}

// EDX of CPUID.1 as under qemu-i386 -cpu NAME, and what Linux makes of the family (arch/x86/kernel/cpu/common.c).
test.each<[CpuModelName, number, string]>([
  ['486', 0x9, 'i486'],
  ['pentium', 0x80_01bd, 'i586'],
  ['pentium3', 0x383_fbfd, 'i686'],
  ['n270', 0xfc9_fbfd, 'i686'],
  ['qemu32', 0x781_abfd, 'i686'],
])('%s: auxiliary vector, uname and /proc/cpuinfo', (name, hwcap, machine) => {
  const abi = new I386Abi(i386State, identityOf(cpuModels[name] as CpuModel));
  expect([abi.hwcap, abi.platform, abi.machine]).toEqual([hwcap, machine, machine]);
  expect(abi.cpuInfo()).toContain(`cpu family\t: ${machine[1]}\n`);
});

test('what rows need, CPUID has a bit for', () => {
  const known = new Set([...featuresOf(cpuModels.max as CpuModel), 'i686']);
  const needed = new Set(rows.map(featureOf).filter((feature) => feature !== null));
  expect([...needed].filter((feature) => !known.has(feature))).toEqual([]);
  // Nothing is told of that no row has; these change what no program of user mode sees.
  const silent = 'fpu de pse msr pae mce apic mtrr pge mca pat pse36 acpi ss nx lahf_lm';
  expect([...known].filter((feature) => !needed.has(feature)).sort()).toEqual(silent.split(' ').sort());
});

describe('encodings follow the model', () => {
  const asked: CpuModelName[] = ['486', 'pentium', 'pentium2', 'pentium3', 'qemu32', 'n270', 'core2duo', 'max'];
  const from = (first: CpuModelName): CpuModelName[] => asked.slice(asked.indexOf(first));
  const cases: [what: string, bytes: number[], has: CpuModelName[]][] = [
    ['bswap eax', [0x0f, 0xc8], asked],
    ['rdtsc', [0x0f, 0x31], from('pentium')],
    ['cmpxchg8b [eax]', [0x0f, 0xc7, 0x08], from('pentium')],
    ['paddb mm0, mm1', [0x0f, 0xfc, 0xc1], from('pentium')],
    ['cmovz eax, ecx', [0x0f, 0x44, 0xc1], from('pentium2')],
    ['fcomi st, st(1)', [0xdb, 0xf1], from('pentium2')],
    ['nop [eax]', [0x0f, 0x1f, 0x00], from('pentium2')],
    ['addps xmm0, xmm1', [0x0f, 0x58, 0xc1], from('pentium3')],
    ['pminub mm0, mm1', [0x0f, 0xda, 0xc1], from('pentium3')],
    ['addsd xmm0, xmm1', [0xf2, 0x0f, 0x58, 0xc1], from('qemu32')],
    ['pminub xmm0, xmm1', [0x66, 0x0f, 0xda, 0xc1], from('qemu32')],
    ['paddq mm0, mm1', [0x0f, 0xd4, 0xc1], from('qemu32')],
    ['haddps xmm0, xmm1', [0xf2, 0x0f, 0x7c, 0xc1], from('qemu32')],
    ['pshufb xmm0, xmm1', [0x66, 0x0f, 0x38, 0x00, 0xc1], from('n270')],
    ['movbe eax, [eax]', [0x0f, 0x38, 0xf0, 0x00], ['n270', 'max']],
    ['ptest xmm0, xmm1', [0x66, 0x0f, 0x38, 0x17, 0xc1], ['max']],
    ['popcnt eax, ecx', [0xf3, 0x0f, 0xb8, 0xc1], ['max']],
    ['andn eax, ecx, edx', [0xc4, 0xe2, 0x70, 0xf2, 0xc2], ['max']],
    ['vaddps xmm0, xmm1, xmm2', [0xc5, 0xf0, 0x58, 0xc2], []],
    ['vzeroupper', [0xc5, 0xf8, 0x77], []],
    ['xgetbv', [0x0f, 0x01, 0xd0], []],
  ];
  test.each(cases)('%s', (_what, bytes, has) => {
    expect(asked.filter((cpu) => !ir(cpu, bytes).includes('undefined'))).toEqual(has);
  });

  test('TZCNT and LZCNT are BSF and BSR on a CPU without them', () => {
    expect(ir('core2duo', [0xf3, 0x0f, 0xbc, 0xc1])).toContain('select');
    expect(ir('core2duo', [0xf3, 0x0f, 0xbd, 0xc1])).toContain('select');
    expect(ir('max', [0xf3, 0x0f, 0xbc, 0xc1])).not.toContain('select');
  });
});
