import { cpuHeader } from '#tcg/cpu-page.ts';
import type { CpuView } from '#tcg/target.ts';
import type { StateLayout } from '#util/state-layout.ts';

/** EFLAGS bits (SDM vol. 1, 3.4.3). */
export const Eflags = {
  cf: 1,
  fixed: 2,
  pf: 4,
  af: 0x10,
  zf: 0x40,
  sf: 0x80,
  tf: 0x100,
  if: 0x200,
  df: 0x400,
  of: 0x800,
  nt: 0x4000,
  rf: 0x1_0000,
  ac: 0x4_0000,
  id: 0x20_0000,
} as const;

/** General registers by number. */
export const Reg = { eax: 0, ecx: 1, edx: 2, ebx: 3, esp: 4, ebp: 5, esi: 6, edi: 7 } as const;
/** Segment registers by number. */
export const Seg = { es: 0, cs: 1, ss: 2, ds: 3, fs: 4, gs: 5 } as const;

/** Selectors of user mode, and the index of the first TLS descriptor in the GDT (arch/x86/include/asm/segment.h). */
export const Selector = { userCode: 0x73, userData: 0x7b, firstTls: 6, tlsCount: 3 } as const;

/** A descriptor as the CPU has it, in two words. */
export type DescriptorWords = readonly [low: number, high: number];
/** Those of the flat segments, and none. */
export const flatData: DescriptorWords = [0xffff, 0x00cf_f300];
export const flatCode: DescriptorWords = [0xffff, 0x00cf_fb00];
export const noDescriptor: DescriptorWords = [0, 0];

/** The base of a descriptor. */
export const baseOf = (low: number, high: number): number =>
  ((low >>> 16) | ((high & 0xff) << 16) | (high & 0xff00_0000)) >>> 0;

const pcIndex = cpuHeader.offset('pc') >> 2;

const slotNames = [
  'zf',
  'sf',
  'cf',
  'of',
  'af',
  'df',
  'eflags',
  'ldt',
  'ldtLimit',
  'segments',
  'stepped',
  'sysenter',
  'syscall',
  'fctrl',
  'fstat',
  'ftop',
  'ftag',
  'fop',
  'fip',
  'fdp',
  'mxcsr',
  'sseTracked',
] as const;
type SlotName = (typeof slotNames)[number];

/** The i386 registers of a CPU view by name, as the kernel layer uses them. Values are u32. */
export class I386Registers {
  private readonly general: number;
  private readonly segments: number;
  private readonly bases: number;
  private readonly descriptors: number;
  private readonly hidden: number;
  private readonly index: Readonly<Record<SlotName, number>>;
  /** Byte offsets of the x87 and XMM registers, 16 bytes each. */
  readonly st: number;
  readonly xmm: number;

  constructor(layout: StateLayout) {
    const word = (name: string): number => layout.offset(name) >> 2;
    this.general = word('r');
    this.segments = word('segment');
    this.bases = word('base');
    this.descriptors = word('tls');
    this.hidden = word('descriptor');
    this.index = Object.fromEntries(slotNames.map((name) => [name, word(name)])) as Record<SlotName, number>;
    this.st = layout.offset('st');
    this.xmm = layout.offset('xmm');
  }

  get(cpu: CpuView, n: number): number {
    return cpu.i32[this.general + n] >>> 0;
  }

  set(cpu: CpuView, n: number, value: number): void {
    cpu.i32[this.general + n] = value;
  }

  slot(cpu: CpuView, name: SlotName): number {
    return cpu.i32[this.index[name]] >>> 0;
  }

  setSlot(cpu: CpuView, name: SlotName, value: number): void {
    cpu.i32[this.index[name]] = value;
  }

  pc(cpu: CpuView): number {
    return cpu.i32[pcIndex] >>> 0;
  }

  setPc(cpu: CpuView, pc: number): void {
    cpu.i32[pcIndex] = pc;
  }

  selector(cpu: CpuView, segment: number): number {
    return cpu.i32[this.segments + segment];
  }

  base(cpu: CpuView, segment: number): number {
    return cpu.i32[this.bases + segment] >>> 0;
  }

  /** TLS descriptor n (0…2) as its two words. */
  descriptor(cpu: CpuView, n: number): DescriptorWords {
    const at = this.descriptors + 2 * n;
    return [cpu.i32[at], cpu.i32[at + 1]];
  }

  setDescriptor(cpu: CpuView, n: number, low: number, high: number): void {
    const at = this.descriptors + 2 * n;
    cpu.i32[at] = low;
    cpu.i32[at + 1] = high;
  }

  /** Loads a segment register with a selector and its descriptor. */
  setSegment(cpu: CpuView, segment: number, selector: number, [low, high]: DescriptorWords): void {
    cpu.i32[this.segments + segment] = selector;
    cpu.i32[this.bases + segment] = baseOf(low, high);
    cpu.i32[this.hidden + 2 * segment] = low;
    cpu.i32[this.hidden + 2 * segment + 1] = high;
    this.setSlot(cpu, 'segments', 0);
  }

  eflags(cpu: CpuView): number {
    const sf = this.slot(cpu, 'sf') | 0;
    let parity = sf & 0xff;
    parity ^= parity >> 4;
    parity ^= parity >> 2;
    parity ^= parity >> 1;
    return (
      (this.slot(cpu, 'cf') |
        Eflags.fixed |
        ((parity & 1) !== 0 ? 0 : Eflags.pf) |
        ((this.slot(cpu, 'af') ^ sf) & Eflags.af) |
        (this.slot(cpu, 'zf') === 0 ? Eflags.zf : 0) |
        (sf < 0 ? Eflags.sf : 0) |
        Eflags.if |
        ((this.slot(cpu, 'df') | 0) < 0 ? Eflags.df : 0) |
        ((this.slot(cpu, 'of') | 0) < 0 ? Eflags.of : 0) |
        this.slot(cpu, 'eflags')) >>>
      0
    );
  }

  /** Sets the status and direction flags, and of the others those in `kept`. */
  setEflags(cpu: CpuView, eflags: number, kept: number): void {
    this.setSlot(cpu, 'zf', (eflags & Eflags.zf) === 0 ? 1 : 0);
    const odd = (eflags & Eflags.pf) === 0 ? 1 : 0;
    this.setSlot(cpu, 'sf', ((eflags & Eflags.sf) << 24) | odd);
    this.setSlot(cpu, 'cf', eflags & 1);
    this.setSlot(cpu, 'of', eflags << 20);
    this.setSlot(cpu, 'af', eflags & Eflags.af);
    this.setSlot(cpu, 'df', (eflags & Eflags.df) !== 0 ? -1 : 1);
    this.setSlot(cpu, 'eflags', (this.slot(cpu, 'eflags') & ~kept) | (eflags & kept));
  }
}
