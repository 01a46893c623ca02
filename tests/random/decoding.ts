import { decodeA32 } from '#target/arm/a32.decode.ts';
import { a32Rows } from '#target/arm/a32.rows.ts';
import { ArmContext } from '#target/arm/context.ts';
import { type CpuModelName, cpuModels } from '#target/arm/cpu-models.ts';
import { decodeT16, decodeT32 } from '#target/arm/t32.decode.ts';
import { t32Rows } from '#target/arm/t32.rows.ts';
import { armTargetOf } from '#target/arm/target.ts';
import { Builder } from '#tcg/builder.ts';
import { ExitReason } from '#tcg/cpu-page.ts';
import { rowBits } from '#tcg/decode.ts';
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
    fetch8: (address) => (at(address & ~1) >> (8 * (address & 1))) & 0xff,
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

/** Whether the last translation met something UNPREDICTABLE. */
let met = false;
const prototype: { unpredictable: (this: ArmContext) => void } = ArmContext.prototype;
const original = prototype.unpredictable;
prototype.unpredictable = function noted(this: ArmContext): void {
  met = true;
  original.call(this);
};

/** Whether tsemu makes an encoding undefined because the manual calls it UNPREDICTABLE. */
export function isUnpredictable(encoding: Encoding, cpu: CpuModelName): boolean {
  met = false;
  return isUndefined(encoding, cpu) && (met || isRefused(encoding));
}

/** True if a row has the encoding's bits but refuses its operands: R15, nearly always. */
function isRefused({ thumb, width, word }: Encoding): boolean {
  const isUnconditional = !thumb && word >>> 28 === 15;
  return (thumb ? t32Rows : a32Rows).some((row) => {
    const { mask, value, width: bits, when } = rowBits(row);
    const inSpace = thumb || row.pattern.startsWith('1111') === isUnconditional;
    return when !== undefined && bits === width && inSpace && ((word ^ value) & mask) === 0;
  });
}
