import type { CpuView, Target } from '#tcg/target.ts';
import { ArmContext } from './context.ts';
import type { CpuModel } from './cpu-models.ts';
import { armHelpers } from './helpers.ts';
import { ModeBits } from './mode-bits.ts';
import { neonA32, neonT32 } from './neon.ts';
import type { ArmRow } from './row.ts';
import {
  checkFp,
  exceptionReturn,
  type RunningCore,
  type SystemTranslation,
  systemHelperNumbers,
  systemHelpers,
} from './system.ts';
import { decodeSystem } from './system-rows.ts';
import { Mode, systemLayout, systemState } from './system-state.ts';
import { armTarget } from './target.ts';
import type { ArmBlock } from './translation.ts';
import { vfpA32, vfpT32 } from './vfp.ts';

/** Instructions that are undefined while CPACR or FPEXC switches floating point off. */
const floatingPoint: ReadonlySet<ArmRow> = new Set([...vfpA32, ...vfpT32, ...neonA32, ...neonT32]);

const counterBit = ModeBits.userCounters / 3;
const wordMode = systemState.offset('mode') >> 2;

/** Whole ARMv7-A cores, all alike: `armTarget` with its privileged side. `running`: the core whose turn it is. */
export function createSystemTarget(running: () => RunningCore, model: CpuModel): Target<ArmBlock> {
  const helpers = systemHelperNumbers(armHelpers.length);
  const translation = (mode: number): SystemTranslation => ({
    privileged: (mode & ModeBits.privileged) !== 0,
    userCounters: (mode & ModeBits.userCounters) / counterBit,
    fpAccess: (mode & ModeBits.fpAccess) !== 0,
    helpers,
    control: running().control,
    decode: decodeSystem,
    before(c, row) {
      if (floatingPoint.has(row)) checkFp(c);
    },
    exceptionReturn,
  });
  /** By the bits of the mode that they depend on. */
  const translations = new Map<number, SystemTranslation>();
  return {
    ...armTarget,
    layout: systemLayout,
    helpers: [...armHelpers, ...systemHelpers(running)],
    mode(cpu: CpuView) {
      const { control } = running();
      const bits =
        cpu.i32[wordMode] === Mode.user
          ? (control.cntkctl & 3) * counterBit
          : ModeBits.privileged | (control.fpAccessible ? ModeBits.fpAccess : 0);
      return armTarget.mode(cpu) | bits;
    },
    begin(pc, mode, b, code) {
      const key = mode & (ModeBits.privileged | ModeBits.userCounters | ModeBits.fpAccess);
      const system = translations.get(key) ?? translation(key);
      translations.set(key, system);
      const itstate = mode & ModeBits.itstate;
      const c = new ArmContext(b, code, (pc & 1) !== 0, mode, model, system);
      return { c, startItstate: itstate, first: true, openCond: -1 };
    },
  };
}
