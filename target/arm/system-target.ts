import type { CpuView, Target } from '#tcg/target.ts';
import { ArmContext } from './context.ts';
import type { ControlRegisters } from './control-registers.ts';
import type { ArmCore } from './core.ts';
import type { CpuModel } from './cpu-models.ts';
import { armHelpers } from './helpers.ts';
import { ModeBits } from './mode-bits.ts';
import { neonA32, neonT32 } from './neon.ts';
import type { ArmRow } from './row.ts';
import { checkFp, exceptionReturn, type SystemTranslation, systemHelperNumbers, systemHelpers } from './system.ts';
import { decodeSystem } from './system-rows.ts';
import { Mode, systemLayout, systemState } from './system-state.ts';
import { armTarget } from './target.ts';
import type { ArmBlock } from './translation.ts';
import { vfpA32, vfpT32 } from './vfp.ts';

/** Instructions that are undefined while CPACR or FPEXC switches floating point off. */
const floatingPoint: ReadonlySet<ArmRow> = new Set([...vfpA32, ...vfpT32, ...neonA32, ...neonT32]);

const wordMode = systemState.offset('mode') >> 2;

/** A whole ARMv7-A core: `armTarget` with its privileged side. */
export function createSystemTarget(core: ArmCore, control: ControlRegisters, model: CpuModel): Target<ArmBlock> {
  const helpers = systemHelperNumbers(armHelpers.length);
  const translation = (privileged: boolean): SystemTranslation => ({
    privileged,
    helpers,
    control,
    decode: decodeSystem,
    before(c, row) {
      if (floatingPoint.has(row)) checkFp(c);
    },
    exceptionReturn,
  });
  const user = translation(false);
  const privileged = translation(true);
  return {
    ...armTarget,
    layout: systemLayout,
    helpers: [...armHelpers, ...systemHelpers(core, control)],
    mode(cpu: CpuView) {
      const bit = cpu.i32[wordMode] === Mode.user ? 0 : ModeBits.privileged;
      return armTarget.mode(cpu) | bit;
    },
    begin(pc, mode, b, code) {
      const system = mode & ModeBits.privileged ? privileged : user;
      const itstate = mode & ModeBits.itstate;
      const c = new ArmContext(b, code, (pc & 1) !== 0, mode, model, system);
      return { c, startItstate: itstate, first: true, openCond: -1 };
    },
  };
}
