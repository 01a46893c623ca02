import { describe, expect, test } from 'vitest';
import { ArmAbi } from '#linux-user/abi/arm.ts';
import { type CpuModelName, cpuModels, identityOf } from '#target/arm/cpu-models.ts';
import { armState } from '#target/arm/state.ts';
import { armTargetOf } from '#target/arm/target.ts';
import { Builder } from '#tcg/builder.ts';
import { printBlock } from '#tcg/text.ts';
import { translateBlock } from '#tcg/translator.ts';
import { codeReader, codeStart } from './support/arm-ir.ts';

function ir(cpu: CpuModelName, word: number): string {
  const b = new Builder();
  translateBlock(armTargetOf(cpuModels[cpu]), b, codeReader([word], 4), codeStart, 0, { maxInstructions: 1 });
  return printBlock(b.block, armState);
}

const isUndefined = (cpu: CpuModelName, word: number): boolean => ir(cpu, word).includes('undefined');

// Under qemu-arm -cpu NAME, but for HWCAP_THUMBEE, which no program needs and ARMv8 has taken back.
test.each<[CpuModelName, number, number, string, string]>([
  ['cortex-a7', 0x1fb0d7, 0, 'v7l', 'armv7l'],
  ['cortex-a8', 0x08b0d7, 0, 'v7l', 'armv7l'],
  ['cortex-a9', 0x08b0d7, 0, 'v7l', 'armv7l'],
  ['cortex-a15', 0x1fb0d7, 0, 'v7l', 'armv7l'],
  ['cortex-a53', 0x1fb0d7, 0x1f, 'v8l', 'armv8l'],
  ['arm1176', 0x80d7, 0, 'v6l', 'armv6l'],
  ['arm926', 0xd7, 0, 'v5l', 'armv5tejl'],
])('%s: auxiliary vector and uname', (name, hwcap, hwcap2, platform, machine) => {
  const abi = new ArmAbi(armState, identityOf(cpuModels[name]));
  expect([abi.hwcap, abi.hwcap2, abi.platform, abi.machine]).toEqual([hwcap, hwcap2, platform, machine]);
  expect(abi.cpuInfo()).toContain(`(${platform})\nBogoMIPS`);
});

describe('encodings follow the model', () => {
  const cases: [what: string, word: number, has: CpuModelName[]][] = [
    ['udiv r0, r1, r2', 0xe730f211, ['max', 'cortex-a7', 'cortex-a15', 'cortex-a53']],
    ['movw r0, #0', 0xe3000000, ['max', 'cortex-a7', 'cortex-a8', 'cortex-a9', 'cortex-a15', 'cortex-a53']],
    ['ldrex r0, [r1]', 0xe1910f9f, ['max', 'cortex-a8', 'arm1176']],
    ['vadd.i8 d0, d1, d2', 0xf2010802, ['max', 'cortex-a8']],
    ['vadd.f64 d0, d1, d2', 0xee310b02, ['max', 'cortex-a8', 'arm1176', 'arm926']],
    ['vadd.f64 d16, d1, d2', 0xee710b02, ['max', 'cortex-a8']],
    ['vfma.f32 s0, s1, s2', 0xeea00a81, ['max', 'cortex-a7']],
    ['crc32b r0, r1, r2', 0xe1010042, ['max', 'cortex-a53']],
    ['aese.8 q0, q1', 0xf3b00302, ['max', 'cortex-a53']],
    ['vsdot.s8 d0, d1, d2', 0xfc210d02, ['max']],
    ['clz r0, r1', 0xe16f0f11, ['max', 'arm926', 'arm1176']],
    ['swp r0, r1, [r2]', 0xe1020091, ['max', 'arm926']],
  ];
  const asked: CpuModelName[] = ['max', 'cortex-a7', 'cortex-a8', 'cortex-a53', 'arm1176', 'arm926'];
  test.each(cases)('%s', (_what, word, has) => {
    const expected = asked.filter((cpu) => has.includes(cpu));
    const found = asked.filter((cpu) => !isUndefined(cpu, word));
    expect(found.filter((cpu) => has.includes(cpu))).toEqual(expected);
    if (!has.includes('arm926')) expect(found).not.toContain('arm926');
  });
});

test('arm926 rotates words from unaligned addresses, and ignores the lowest bits elsewhere', () => {
  expect(ir('arm926', 0xe5910002)).toContain('rotr_i32');
  expect(ir('cortex-a8', 0xe5910002)).not.toContain('rotr_i32');
  expect(ir('arm926', 0xe5810002)).toContain('and_i32');
  expect(ir('arm926', 0xe891000c)).toContain('and_i32');
});
