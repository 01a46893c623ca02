import { cpuHeader } from '#tcg/cpu-page.ts';
import type { CpuView, Target } from '#tcg/target.ts';
import { type CpuModel, cpuModels, identityOf } from './cpu-models.ts';
import { describeState } from './describe-state.ts';
import { loadTranslation } from './lazy.ts';
import { cpuMode } from './modes.ts';
import {
  flatCodeHigh,
  flatDataHigh,
  flatLow,
  i386State,
  Reg,
  Seg,
  Selector,
  slotDescriptor,
  slotR,
  slotSegment,
} from './state.ts';
import type { X86Block } from './translation.ts';

const slotZf = i386State.offset('zf');
const slotAf = i386State.offset('af');

/** IA-32 in user mode, as a CPU model has it. A PC is an address. */
export const i386TargetOf = (model: CpuModel): Target<X86Block> => ({
  name: 'i386',
  layout: i386State,
  lazySlots: [[slotZf, slotAf + 4]],
  get helpers() {
    return loadTranslation().i386Helpers;
  },
  coherentCode: true,
  address: (pc) => pc >>> 0,
  mode: cpuMode,
  identity: identityOf(model),
  begin: () => ({ c: undefined, model }),
  insn: (context) => loadTranslation().insn(context),
  canStop: () => true,
  encodePc: ({ pc }) => pc | 0,
  reset(cpu: CpuView, pc, stackPointer) {
    cpu.u8.fill(0, i386State.start, i386State.end);
    const set = (offset: number, value: number): void => {
      cpu.i32[offset >> 2] = value;
    };
    set(slotZf, 1);
    // One bit in the low byte: PF is clear.
    set(i386State.offset('sf'), 1);
    set(slotAf, 1);
    set(i386State.offset('df'), 1);
    for (const segment of [Seg.es, Seg.ss, Seg.ds]) set(slotSegment(segment), Selector.userData);
    set(slotSegment(Seg.cs), Selector.userCode);
    for (const segment of [Seg.es, Seg.ss, Seg.ds, Seg.cs]) {
      set(slotDescriptor(segment), flatLow);
      set(slotDescriptor(segment) + 4, segment === Seg.cs ? flatCodeHigh : flatDataHigh);
    }
    set(i386State.offset('fctrl'), 0x37f);
    set(i386State.offset('ftag'), 0xff);
    set(i386State.offset('mxcsr'), 0x1f80);
    set(slotR(Reg.esp), stackPointer);
    set(cpuHeader.offset('pc'), pc);
  },
  describe: (code, pc) => loadTranslation().describe(code, pc),
  describeState,
});

/** The largest model. */
export const i386Target: Target<X86Block> = i386TargetOf(cpuModels.max);
