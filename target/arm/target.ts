import { cpuHeader } from '#tcg/cpu-page.ts';
import type { CpuView, Target } from '#tcg/target.ts';
import { type CpuModel, cpuModels, identityOf } from './cpu-models.ts';
import { describeState } from './describe-state.ts';
import { fpMode, slotFpNzcv } from './fp-mode.ts';
import { loadTranslation } from './lazy.ts';
import { ModeBits } from './mode-bits.ts';
import { armState } from './state.ts';
import type { ArmBlock } from './translation.ts';

const slotItstate = armState.offset('itstate');
const slotEndian = armState.offset('endian');

/** AArch32 in user mode, as a CPU model has it. A PC in the engine's encoding has the Thumb state in bit 0. */
export const armTargetOf = (model: CpuModel): Target<ArmBlock> => ({
  name: 'arm',
  layout: armState,
  lazySlots: [
    [armState.offset('nf'), armState.offset('vf') + 4],
    [slotFpNzcv, slotFpNzcv + 4],
  ],
  get helpers() {
    return loadTranslation().armHelpers;
  },
  identity: identityOf(model),
  address: (pc) => (pc & ~1) >>> 0,
  mode(cpu: CpuView) {
    const { i32 } = cpu;
    const endian = i32[slotEndian >> 2]! === 0 ? 0 : ModeBits.bigEndian;
    return (i32[slotItstate >> 2]! & ModeBits.itstate) | endian | fpMode(cpu);
  },
  begin: (pc, mode, b, code) => loadTranslation().begin(model, pc, mode, b, code),
  insn: (context) => loadTranslation().insn(context),
  canStop: ({ target }) => target.c.nextItstate === 0 && target.openCond < 0,
  restoreAux(cpu, aux) {
    cpu.i32[slotItstate >> 2] = aux;
  },
  encodePc: ({ pc, target }) => pc | (target.c.thumb ? 1 : 0) | 0,
  reset(cpu, pc, stackPointer) {
    cpu.u8.fill(0, armState.start, armState.end);
    cpu.i32[armState.offset('zf') >> 2] = 1;
    cpu.i32[armState.offset('exclusiveAddress') >> 2] = -1;
    cpu.i32[armState.offset('r', 13) >> 2] = stackPointer;
    cpu.i32[cpuHeader.offset('pc') >> 2] = pc;
  },
  describe: (code, pc) => loadTranslation().describe(code, pc),
  describeState,
});

/** The largest model. */
export const armTarget: Target<ArmBlock> = armTargetOf(cpuModels.max);
