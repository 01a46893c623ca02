import { decodeA32 } from '#target/arm/a32.decode.ts';
import { type CpuModelName, cpuModels } from '#target/arm/cpu-models.ts';
import { decodeT16, decodeT32 } from '#target/arm/t32.decode.ts';
import { armTargetOf } from '#target/arm/target.ts';
import { Builder } from '#tcg/builder.ts';
import { ExitReason } from '#tcg/cpu-page.ts';
import { Op } from '#tcg/ops.ts';
import type { CodeReader } from '#tcg/target.ts';
import { translateBlock } from '#tcg/translator.ts';
import type { Encoding } from './definedness.ts';

const builder = new Builder();
const targets = new Map<CpuModelName, ReturnType<typeof armTargetOf>>();

function targetOf(cpu: CpuModelName): ReturnType<typeof armTargetOf> {
  const known = targets.get(cpu) ?? armTargetOf(cpuModels[cpu]);
  targets.set(cpu, known);
  return known;
}

/** Whether tsemu takes an instruction to be undefined. */
export function isUndefined({ thumb, width, word }: Encoding, cpu: CpuModelName): boolean {
  const halves = width === 16 ? [word] : thumb ? [word >>> 16, word & 0xffff] : [word & 0xffff, word >>> 16];
  const at = (address: number): number => halves[address >> 1] ?? 0;
  const code: CodeReader = {
    fetch16: at,
    fetch32: (address) => at(address) | (at(address + 2) << 16),
    fetchable: () => true,
    constant: () => false,
  };
  translateBlock(targetOf(cpu), builder, code, thumb ? 1 : 0, 0, { maxInstructions: 1 });
  const { block } = builder;
  for (let i = 0; i < block.length; i++) {
    if (block.op[i] === Op.exit && block.x[i] === ExitReason.undefined) return true;
  }
  return false;
}

/** The name of the row that an encoding decodes to. */
export function rowNameOf({ thumb, width, word }: Encoding, cpu: CpuModelName): string {
  const { features } = cpuModels[cpu];
  const row = !thumb ? decodeA32(word, features) : (width === 16 ? decodeT16 : decodeT32)(word, features);
  return row?.name ?? `none (${word.toString(16).slice(0, 2)})`;
}
