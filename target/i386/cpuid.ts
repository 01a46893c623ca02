import type { CpuView } from '#tcg/target.ts';
import { Reg, type X86Context } from './context.ts';
import { defineHelper } from './helpers.ts';
import { slotR } from './state.ts';

/** CPUID.1 EDX (SDM vol. 2, CPUID). */
export const Features = {
  fpu: 1 << 0,
  tsc: 1 << 4,
  cx8: 1 << 8,
  sep: 1 << 11,
  cmov: 1 << 15,
  mmx: 1 << 23,
  fxsr: 1 << 24,
  sse: 1 << 25,
  sse2: 1 << 26,
} as const;

/** CPUID.1 ECX. */
export const Features2 = {
  sse3: 1 << 0,
  pclmulqdq: 1 << 1,
  ssse3: 1 << 9,
  cx16: 1 << 13,
  sse41: 1 << 19,
  sse42: 1 << 20,
  movbe: 1 << 22,
  popcnt: 1 << 23,
  aes: 1 << 25,
} as const;

/** AVX and XSAVE are not advertised. */
export const features: number =
  Features.fpu |
  Features.tsc |
  Features.cx8 |
  Features.sep |
  Features.cmov |
  Features.mmx |
  Features.fxsr |
  Features.sse |
  Features.sse2;
export const features2: number =
  Features2.sse3 |
  Features2.pclmulqdq |
  Features2.ssse3 |
  Features2.sse41 |
  Features2.sse42 |
  Features2.movbe |
  Features2.popcnt |
  Features2.aes;
/** CPUID.7.0 EBX: the SHA extensions. */
const features7 = 1 << 29;
/** CPUID.80000001 ECX: LAHF in 64-bit mode, LZCNT. */
const extendedFeatures2 = 1 | (1 << 5);

/** Family 6, as a Pentium Pro and all later Intel CPUs: model 0x2a, stepping 1. */
export const signature = 0x000206a1;
const vendor = 'GenuineIntel';
const brand = 'tsemu i386 CPU';

/** Four letters as a word. */
const letters = (text: string, at: number): number =>
  [0, 1, 2, 3].reduce((word, i) => word | ((text.charCodeAt(at + i) || 0) << (8 * i)), 0);

/** EAX EBX ECX EDX of a leaf. */
function leaf(eax: number, ecx: number): readonly [number, number, number, number] {
  switch (eax >>> 0) {
    case 0:
      return [7, letters(vendor, 0), letters(vendor, 8), letters(vendor, 4)];
    case 1:
      // CLFLUSH works on 64 bytes; one logical processor, number 0.
      return [signature, 0x0001_0800, features2, features];
    case 2:
      // No cache descriptors: leaf 4 tells.
      return [0x00ff_ff01, 0, 0, 0];
    case 4:
      return cacheLeaf(ecx);
    case 7:
      return [0, ecx === 0 ? features7 : 0, 0, 0];
    case 0x8000_0000:
      return [0x8000_0004 | 0, 0, 0, 0];
    case 0x8000_0001:
      return [0, 0, extendedFeatures2, 0];
    case 0x8000_0002:
    case 0x8000_0003:
    case 0x8000_0004: {
      const at = 16 * ((eax >>> 0) - 0x8000_0002);
      return [letters(brand, at), letters(brand, at + 4), letters(brand, at + 8), letters(brand, at + 12)];
    }
    default:
      return [0, 0, 0, 0];
  }
}

/** Data and instruction cache of 32 KiB, then 256 KiB and 8 MiB for both; 8 to 16 ways, lines of 64 bytes. */
function cacheLeaf(index: number): readonly [number, number, number, number] {
  const cache = (type: number, level: number, ways: number, sets: number) =>
    [type | (level << 5) | (1 << 8), 63 | ((ways - 1) << 22), sets - 1, 0] as const;
  const caches = [cache(1, 1, 8, 64), cache(2, 1, 8, 64), cache(3, 2, 8, 512), cache(3, 3, 16, 8192)];
  return caches[index] ?? [0, 0, 0, 0];
}

const helper = defineHelper({
  name: 'cpuid',
  call(cpu: CpuView, eax, ecx) {
    const [a, b, c, d] = leaf(eax, ecx);
    cpu.i32[slotR(Reg.eax) >> 2] = a;
    cpu.i32[slotR(Reg.ebx) >> 2] = b;
    cpu.i32[slotR(Reg.ecx) >> 2] = c;
    cpu.i32[slotR(Reg.edx) >> 2] = d;
    return 0;
  },
});

/** CPUID */
export function cpuid(c: X86Context): void {
  c.b.helper(helper, false, c.reg(Reg.eax), c.reg(Reg.ecx));
}
