import type { CpuView } from '#tcg/target.ts';
import { Reg, type X86Context } from './context.ts';
import { type CpuModel, cpuModels } from './cpu-models.ts';
import { defineHelper } from './helpers.ts';
import { slotR } from './state.ts';

const models: readonly CpuModel[] = Object.values(cpuModels);

const vendor = 'GenuineIntel';

/** Four letters as a word. */
const letters = (text: string, at: number): number =>
  [0, 1, 2, 3].reduce((word, i) => word | ((text.charCodeAt(at + i) || 0) << (8 * i)), 0);

type Words = readonly [eax: number, ebx: number, ecx: number, edx: number];

/** EAX EBX ECX EDX of a leaf; one that the model lacks has nothing (SDM vol. 2, CPUID). */
function leaf({ name, level, extendedLevel, signature, words }: CpuModel, eax: number, ecx: number): Words {
  const number = eax >>> 0;
  if (number > (number >= 0x8000_0000 ? Math.max(extendedLevel, 0x8000_0000) : level)) return [0, 0, 0, 0];
  switch (number) {
    case 0:
      return [level, letters(vendor, 0), letters(vendor, 8), letters(vendor, 4)];
    case 1: {
      const edx = words.edx1 ?? 0;
      // CLFLUSH works on 64 bytes; one logical processor, number 0.
      return [signature, 0x0001_0000 | ((edx >> 19) & 1 ? 0x800 : 0), words.ecx1 ?? 0, edx];
    }
    case 2:
      // Descriptors of caches, or that leaf 4 tells.
      return level < 4 ? [1, 0, 0x4d, 0x002c_307d] : [0x00ff_ff01, 0, 0, 0];
    case 4:
      return cacheLeaf(ecx);
    case 7:
      return [0, ecx === 0 ? (words.ebx7 ?? 0) : 0, 0, 0];
    case 0x8000_0000:
      return [extendedLevel | 0, 0, 0, 0];
    case 0x8000_0001:
      return [0, 0, words.ecx8 ?? 0, words.edx8 ?? 0];
    case 0x8000_0002:
    case 0x8000_0003:
    case 0x8000_0004: {
      const at = 16 * (number - 0x8000_0002);
      return [letters(name, at), letters(name, at + 4), letters(name, at + 8), letters(name, at + 12)];
    }
    case 0x8000_0008:
      // Bits of physical and of linear addresses.
      return [0x2020, 0, 0, 0];
    default:
      return [0, 0, 0, 0];
  }
}

/** Data and instruction cache of 32 KiB, then 256 KiB and 8 MiB for both; 8 to 16 ways, lines of 64 bytes. */
function cacheLeaf(index: number): Words {
  const cache = (type: number, level: number, ways: number, sets: number) =>
    [type | (level << 5) | (1 << 8), 63 | ((ways - 1) << 22), sets - 1, 0] as const;
  const caches = [cache(1, 1, 8, 64), cache(2, 1, 8, 64), cache(3, 2, 8, 512), cache(3, 3, 16, 8192)];
  return caches[index] ?? [0, 0, 0, 0];
}

const helper = defineHelper({
  name: 'cpuid',
  call(cpu: CpuView, eax, ecx, model) {
    const [a, b, c, d] = leaf(models[model]!, eax, ecx);
    cpu.i32[slotR(Reg.eax) >> 2] = a;
    cpu.i32[slotR(Reg.ebx) >> 2] = b;
    cpu.i32[slotR(Reg.ecx) >> 2] = c;
    cpu.i32[slotR(Reg.edx) >> 2] = d;
    return 0;
  },
});

/** CPUID */
export function cpuid(c: X86Context): void {
  const { b } = c;
  b.helper(helper, false, c.reg(Reg.eax), c.reg(Reg.ecx), b.i32(models.indexOf(c.model)));
}
