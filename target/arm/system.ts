import type { Value } from '#tcg/builder.ts';
import { ExitReason } from '#tcg/cpu-page.ts';
import type { Helper } from '#tcg/target.ts';
import type { ArmContext } from './context.ts';
import { wideKey } from './control-keys.ts';
import type { ControlRegisters } from './control-registers.ts';
import type { ArmCore } from './core.ts';
import type { ArmRow } from './row.ts';
import { armState } from './state.ts';
import { systemState } from './system-state.ts';

/** Where the helpers of machine mode begin among the target's. */
export interface SystemHelpers {
  readonly read: number;
  readonly write: number;
  readonly readWide: number;
  readonly writeWide: number;
  readonly leave: number;
  readonly writeCpsr: number;
  readonly stackPointer: number;
  readonly setStackPointer: number;
  readonly readFp: number;
  readonly writeFp: number;
  readonly exchangeHigh: number;
}

/** What translate functions of the privileged instructions get besides the `ArmContext`. */
export interface SystemTranslation {
  /** The code runs at PL1. */
  readonly privileged: boolean;
  /** At PL0: 1 if the physical counter may be read, 2 if the virtual one. */
  readonly userCounters: number;
  /** At PL1: floating-point system registers may be accessed. */
  readonly fpAccess: boolean;
  readonly helpers: SystemHelpers;
  readonly control: ControlRegisters;
  /** The privileged row of the instruction, if it has one. */
  decode(c: ArmContext): ArmRow | undefined;
  /** Called before an instruction is translated by `row`. */
  before(c: ArmContext, row: ArmRow): void;
  /** Returns from an exception to `pc` with CPSR = SPSR. */
  exceptionReturn(c: ArmContext, pc: Value): void;
}

const wordR = armState.offset('r') >> 2;
const wordSpsr = systemState.offset('spsr') >> 2;
const wordFpscr = armState.offset('fpscr') >> 2;
const wordFpNzcv = armState.offset('fpNzcv') >> 2;

/** MVFR1 and MVFR0; FPINST and FPINST2 read as 0. */
const fpRegisters: Readonly<Record<number, number>> = { 6: 0x11111111, 7: 0x10110222, 9: 0, 10: 0 };
const fpexc = 8;

/** The core that runs. */
export interface RunningCore {
  readonly core: ArmCore;
  readonly control: ControlRegisters;
}

/** The helpers of a machine's cores, in the order of `SystemHelpers`. */
export function systemHelpers(running: () => RunningCore): Helper[] {
  return [
    { name: 'cp_read', call: (_cpu, key) => running().control.read(key) },
    {
      name: 'cp_write',
      call(_cpu, key, value) {
        running().control.write(key, value);
        return 0;
      },
    },
    {
      name: 'cp_read_wide',
      call({ i32 }, key, rt, rt2) {
        const { control } = running();
        i32[wordR + rt] = control.readWide(key);
        i32[wordR + rt2] = control.high;
        return 0;
      },
    },
    {
      name: 'cp_write_wide',
      call(_cpu, key, low, top) {
        running().control.writeWide(key, low, top);
        return 0;
      },
    },
    { name: 'exception_return', call: (_cpu, pc, psr) => running().core.leave(pc, psr) },
    {
      name: 'write_cpsr',
      call(_cpu, value, bits) {
        running().core.writeCpsr(value, bits);
        return 0;
      },
    },
    { name: 'stack_pointer', call: (_cpu, mode) => running().core.stackPointer(mode) },
    {
      name: 'set_stack_pointer',
      call(_cpu, mode, value) {
        running().core.setStackPointer(mode, value);
        return 0;
      },
    },
    {
      name: 'read_fp',
      call({ i32 }, register) {
        if (register === fpexc) return running().control.fpexc;
        if (register === 0) return running().control.fpsid;
        if (register === 1) return i32[wordFpscr]! | i32[wordFpNzcv]!;
        return fpRegisters[register] ?? 0;
      },
    },
    {
      name: 'write_fp',
      call({ i32 }, register, value) {
        if (register === fpexc) running().control.setFpexc(value);
        if (register === 1) {
          i32[wordFpscr] = value & fpscrBits;
          i32[wordFpNzcv] = value & nzcvBits;
        }
        return 0;
      },
    },
    {
      name: 'exchange_high',
      call() {
        running().core.exchangeHigh();
        return 0;
      },
    },
  ];
}
const nzcvBits = 0xf0000000 | 0;
const fpscrBits = 0x0fff009f;

export const systemHelperNumbers = (first: number): SystemHelpers => ({
  read: first,
  write: first + 1,
  readWide: first + 2,
  writeWide: first + 3,
  leave: first + 4,
  writeCpsr: first + 5,
  stackPointer: first + 6,
  setStackPointer: first + 7,
  readFp: first + 8,
  writeFp: first + 9,
  exchangeHigh: first + 10,
});

/** Argument of a yield: the core waits for an event, not only for its next turn. */
export const waitForEvent = 1;

/** Leaves for `reason` after this instruction if `condition` is not 0. */
export function leaveIf(c: ArmContext, condition: Value, reason: ExitReason, argument = 0): void {
  const { b } = c;
  b.if(condition);
  if (c.nextItstate !== 0) b.set32(armState.offset('itstate'), b.i32(c.nextItstate));
  b.exit(reason, c.nextPc, argument);
  b.endif();
}

/** Leaves if an interrupt is pending that `mask` lets through. */
export function leaveIfInterrupted(c: ArmContext, mask: Value): void {
  const { b } = c;
  leaveIf(c, b.and(b.get32(systemState.offset('lines')), b.not(mask)), ExitReason.budget);
}

/** Returns from an exception to `pc` with CPSR = SPSR. */
export function exceptionReturn(c: ArmContext, pc: Value): void {
  const spsr = c.b.get32(wordSpsr << 2);
  returnWith(c, pc, spsr);
}

/** Returns from an exception to `pc` with CPSR = `psr`. */
export function returnWith(c: ArmContext, pc: Value, psr: Value): void {
  c.bxWritePC(c.b.helper(c.system!.helpers.leave, false, pc, psr));
}

/** Floating-point instructions are undefined while they are switched off. */
export function checkFp(c: ArmContext): void {
  const { b } = c;
  b.if(b.eqz(b.get32(systemState.offset('fpEnabled'))));
  if (c.itstate !== 0) b.set32(armState.offset('itstate'), b.i32(c.itstate));
  b.exit(ExitReason.undefined, c.currentPc, c.encoding);
  b.endif();
}

export { wideKey };
