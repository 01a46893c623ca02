import type { Value } from '#tcg/builder.ts';
import { ExitReason } from '#tcg/cpu-page.ts';
import { Decoder, indexRows } from '#tcg/decode.ts';
import type { ArmContext } from './context.ts';
import { registerKey, wideKey } from './control-keys.ts';
import { dataKinds, loadData, storeData } from './guest-data.ts';
import { type ArmRow, row } from './row.ts';
import { expandA32 } from './shift.ts';
import { armState, slotR } from './state.ts';
import { checkFp, leaveIf, leaveIfInterrupted, returnWith, waitForEvent } from './system.ts';
import { Mode, Psr, systemState } from './system-state.ts';

/*
 * The instructions that mean something else at PL1 than in a process (DDI 0406C B9.3), and the coprocessor registers.
 * They are looked for before the ordinary rows. The execution state changes are calls of helpers; interrupt masks are
 * written in place, since kernels do that all the time.
 */

const slotEvent = systemState.offset('event');
const slotEventSent = systemState.offset('eventSent');
const slotMask = systemState.offset('mask');
const slotMode = systemState.offset('mode');
const slotSpsr = systemState.offset('spsr');
const slotQ = armState.offset('qf');
const slotGe = armState.offset('ge');

/** `MRS<c> <Rd>, CPSR` */
function mrs(c: ArmContext, f: { rd: number }): void {
  const { b } = c;
  const q = b.shlImm(b.get32(slotQ), 27);
  const ge = b.shlImm(b.get32(slotGe), 16);
  const control = c.system!.privileged
    ? b.or(b.or(b.get32(slotMask), b.get32(slotMode)), b.i32(c.bigEndian ? Psr.e : 0))
    : b.i32(Mode.user | (c.bigEndian ? Psr.e : 0));
  c.setReg(f.rd, b.or(b.or(c.flags.nzcv(), q), b.or(ge, control)));
}

/** `MRS<c> <Rd>, SPSR` */
function mrsSpsr(c: ArmContext, f: { rd: number }): void {
  if (c.system!.privileged) c.setReg(f.rd, c.b.get32(slotSpsr));
  else c.undefined();
}

/** MSR to CPSR. */
function writeStatus(c: ArmContext, mask: number, value: Value): void {
  const { b } = c;
  if (mask & 8) {
    c.flags.setNzcv(value);
    b.set32(slotQ, b.andImm(b.shrUImm(value, 27), 1));
  }
  if (mask & 4) b.set32(slotGe, b.andImm(b.shrUImm(value, 16), 15));
  const { privileged, helpers } = c.system!;
  if (mask & 2) {
    b.helper(helpers.writeCpsr, false, value, b.i32(privileged ? Psr.e | Psr.a : Psr.e));
    c.exit(ExitReason.mode, c.nextPc);
  }
  if ((mask & 1) === 0 || !privileged) return;
  const otherMode = b.andImm(b.xor(value, b.get32(slotMode)), Psr.modeMask);
  b.if(otherMode);
  b.helper(helpers.writeCpsr, false, value, b.i32(Psr.modeMask | Psr.i | Psr.f));
  b.else();
  const both = Psr.i | Psr.f;
  b.set32(slotMask, b.or(b.andImm(b.get32(slotMask), ~both), b.andImm(value, both)));
  b.endif();
  leaveIf(c, otherMode, ExitReason.mode);
  if ((mask & 2) === 0) leaveIfInterrupted(c, b.get32(slotMask));
}

const msrRegister = (c: ArmContext, f: { mask: number; rn: number }): void => writeStatus(c, f.mask, c.reg(f.rn));
const msrImmediate = (c: ArmContext, f: { mask: number; imm: number }): void =>
  writeStatus(c, f.mask, c.b.i32(expandA32(f.imm)));

/** MSR to SPSR. */
function writeSpsr(c: ArmContext, mask: number, value: Value): void {
  const { b } = c;
  if (!c.system!.privileged) return c.undefined();
  const bits =
    (mask & 8 ? 0xff000000 : 0) | (mask & 4 ? 0xff0000 : 0) | (mask & 2 ? 0xff00 : 0) | (mask & 1 ? 0xff : 0);
  b.set32(slotSpsr, b.or(b.andImm(b.get32(slotSpsr), ~bits), b.andImm(value, bits)));
}
const msrSpsrRegister = (c: ArmContext, f: { mask: number; rn: number }): void => writeSpsr(c, f.mask, c.reg(f.rn));
const msrSpsrImmediate = (c: ArmContext, f: { mask: number; imm: number }): void =>
  writeSpsr(c, f.mask, c.b.i32(expandA32(f.imm)));

interface ChangeState {
  readonly imod: number;
  readonly m: number;
  readonly a: number;
  readonly i: number;
  readonly f: number;
  readonly mode: number;
}

/** `CPS<effect> <iflags>{, #<mode>}` (B9.3.2): nothing in User mode. */
function cps(c: ArmContext, f: ChangeState): void {
  const { b } = c;
  const { privileged, helpers } = c.system!;
  if (!privileged) return;
  const bits = (f.a ? Psr.a : 0) | (f.i ? Psr.i : 0) | (f.f ? Psr.f : 0);
  if (f.imod === 3) b.set32(slotMask, b.or(b.get32(slotMask), b.i32(bits)));
  if (f.imod === 2) b.set32(slotMask, b.andImm(b.get32(slotMask), ~bits));
  if (f.m) {
    b.helper(helpers.writeCpsr, false, b.i32(f.mode), b.i32(Psr.modeMask));
    c.exit(ExitReason.mode, c.nextPc);
    return;
  }
  if (f.imod === 2) leaveIfInterrupted(c, b.get32(slotMask));
}

const cpsT16 = (c: ArmContext, f: { im: number; a: number; i: number; f: number }): void =>
  cps(c, { imod: f.im ? 3 : 2, m: 0, a: f.a, i: f.i, f: f.f, mode: 0 });

/** `NOP`, `YIELD`, `WFE`, `WFI`, `SEV`, `SEVL`, and hints that do nothing. */
function hint(c: ArmContext, f: { op: number }): void {
  const { b } = c;
  switch (f.op) {
    case 1:
      c.exit(ExitReason.yield, c.nextPc);
      break;
    case 2:
      leaveIf(c, b.eqz(b.get32(slotEvent)), ExitReason.yield, waitForEvent);
      b.set32(slotEvent, b.i32(0));
      break;
    case 3:
      c.exit(ExitReason.halt, c.nextPc);
      break;
    case 4:
      b.set32(slotEventSent, b.i32(1));
      b.set32(slotEvent, b.i32(1));
      break;
    case 5:
      b.set32(slotEvent, b.i32(1));
      break;
  }
}

/** `HVC`, `SMC`: the machine looks at the encoding. */
const callUp = (c: ArmContext): void => c.undefined();

// ---- returns from exceptions

/** `SUBS PC, LR, #<imm8>`, `ERET` */
function subsPcLr(c: ArmContext, f: { imm: number }): void {
  if (!c.system!.privileged) return c.undefined();
  returnWith(c, c.b.addImm(c.reg(14), -f.imm), c.b.get32(slotSpsr));
}

interface Multiple {
  readonly p: number;
  readonly u: number;
  readonly w: number;
  readonly rn: number;
}

/** Lowest address and stepped base of a transfer of `count` words. */
function range(c: ArmContext, f: Multiple, base: Value, count: number): { address: Value; stepped: Value } {
  const { b } = c;
  const stepped = b.addImm(base, f.u ? 4 * count : -4 * count);
  if (f.u) return { address: f.p ? b.addImm(base, 4) : base, stepped };
  return { address: f.p ? stepped : b.addImm(stepped, 4), stepped };
}

/** `RFE{<amode>} <Rn>{!}` (B9.3.13) */
function rfe(c: ArmContext, f: Multiple): void {
  if (!c.system!.privileged || f.rn === 15) return c.undefined();
  const { address, stepped } = range(c, f, c.reg(f.rn), 2);
  const pc = loadData(c, dataKinds.word, address);
  const psr = loadData(c, dataKinds.word, address, 4);
  if (f.w) c.setReg(f.rn, stepped);
  returnWith(c, pc, psr);
}

/** `SRS{<amode>} SP{!}, #<mode>` (B9.3.16) */
function srs(c: ArmContext, f: { p: number; u: number; w: number; mode: number }): void {
  const { b } = c;
  const { privileged, helpers } = c.system!;
  if (!privileged) return c.undefined();
  const mode = b.i32(f.mode);
  const { address, stepped } = range(c, { ...f, rn: 13 }, b.helper(helpers.stackPointer, false, mode), 2);
  storeData(c, dataKinds.word, address, c.reg(14));
  storeData(c, dataKinds.word, address, b.get32(slotSpsr), 4);
  if (f.w) b.helper(helpers.setStackPointer, false, mode, stepped);
}

function countRegisters(list: number): number {
  let count = 0;
  for (let rest = list; rest !== 0; rest &= rest - 1) count++;
  return count;
}

/** Where User mode's register n is while another mode than User and System runs, within `withUserHigh`. */
function userSlot(n: number): number {
  if (n === 13) return systemState.offset('userSp');
  return n === 14 ? systemState.offset('userLr') : slotR(n);
}

/** Calls `act` so that R8 to R12 are User mode's in what it emits, if any of them is in `list`: FIQ mode has its own. */
function withUserHigh(c: ArmContext, list: number, act: () => void): void {
  if ((list & highRegisters) === 0) return act();
  const { b } = c;
  const exchange = (): void => {
    b.if(b.eqz(b.xor(b.get32(slotMode), b.i32(Mode.fiq))));
    b.helper(c.system!.helpers.exchangeHigh, false);
    b.endif();
  };
  exchange();
  act();
  exchange();
}
const highRegisters = 0x1f00;

/** `LDM{<amode>} <Rn>{!}, <registers>^`: User mode's registers, or an exception return if R15 is in the list. */
function ldmBanked(c: ArmContext, f: Multiple & { list: number }): void {
  const { b } = c;
  const count = countRegisters(f.list);
  if (!c.system!.privileged || count === 0 || f.rn === 15) return c.undefined();
  const { address, stepped } = range(c, f, c.reg(f.rn), count);
  const values: Value[] = [];
  for (let i = 0; i < count; i++) values.push(loadData(c, dataKinds.word, address, 4 * i));
  const returns = (f.list & 0x8000) !== 0;
  if (f.w) c.setReg(f.rn, stepped);
  const write = (): void => {
    for (let n = 0, i = 0; n < 15; n++) {
      if (f.list & (1 << n)) b.set32(returns ? slotR(n) : userSlot(n), values[i++]!);
    }
  };
  if (returns) write();
  else withUserHigh(c, f.list, write);
  if (returns) returnWith(c, values[count - 1]!, b.get32(slotSpsr));
}

/** `STM{<amode>} <Rn>, <registers>^`: User mode's registers. */
function stmBanked(c: ArmContext, f: Multiple & { list: number }): void {
  const { b } = c;
  const count = countRegisters(f.list);
  if (!c.system!.privileged || count === 0 || f.rn === 15) return c.undefined();
  const { address, stepped } = range(c, f, c.reg(f.rn), count);
  const values: Value[] = [];
  withUserHigh(c, f.list, () => {
    for (let n = 0; n < 15; n++) if (f.list & (1 << n)) values.push(b.get32(userSlot(n)));
  });
  if (f.list & 0x8000) values.push(c.reg(15));
  for (const [i, value] of values.entries()) storeData(c, dataKinds.word, address, value, 4 * i);
  if (f.w) c.setReg(f.rn, stepped);
}

// ---- coprocessor registers

interface Transfer {
  readonly opc1: number;
  readonly crn: number;
  readonly rt: number;
  readonly opc2: number;
  readonly crm: number;
}

/** Registers that are state slots: what User mode may do with them besides PL1 (1 read, 2 write). */
const slotRegisters = new Map<number, { readonly slot: number; readonly user: number }>([
  [registerKey(15, 13, 0, 0, 2), { slot: armState.offset('tpidrurw'), user: 3 }],
  [registerKey(15, 13, 0, 0, 3), { slot: armState.offset('tpidruro'), user: 1 }],
  [registerKey(15, 13, 0, 0, 4), { slot: systemState.offset('tpidrprw'), user: 0 }],
]);
const dacr = registerKey(15, 3, 0, 0, 0);
/** Barriers that User mode may ask for. */
const barriers = new Set(
  [
    [5, 4],
    [10, 4],
    [10, 5],
  ].map(([crm, opc2]) => registerKey(15, 7, 0, crm!, opc2!)),
);
const counterKeys = { virtual: wideKey(15, 14, 1), physical: wideKey(15, 14, 0) };

function mrc(c: ArmContext, f: Transfer, coprocessor: number): void {
  const { b } = c;
  const { privileged, helpers, control } = c.system!;
  const key = registerKey(coprocessor, f.crn, f.opc1, f.crm, f.opc2);
  const slot = slotRegisters.get(key);
  let value: Value;
  if (slot && (privileged || slot.user & 1)) value = b.get32(slot.slot);
  else if (privileged && key === dacr) value = b.get32(systemState.offset('dacr'));
  else if (privileged && control.has(key, false)) value = b.helper(helpers.read, false, b.i32(key));
  else {
    control.unknown(key, false);
    return c.undefined();
  }
  if (f.rt === 15) c.flags.setNzcv(value);
  else c.setReg(f.rt, value);
}

function mcr(c: ArmContext, f: Transfer, coprocessor: number): void {
  const { b } = c;
  const { privileged, helpers, control } = c.system!;
  const key = registerKey(coprocessor, f.crn, f.opc1, f.crm, f.opc2);
  const slot = slotRegisters.get(key);
  if (slot && (privileged || slot.user & 2)) {
    b.set32(slot.slot, c.reg(f.rt));
    return;
  }
  if (!privileged && barriers.has(key)) return;
  if (!privileged || !control.has(key, true)) {
    control.unknown(key, true);
    return c.undefined();
  }
  if (coprocessor === 15 && f.crn === 7 && f.crm !== 8 && f.crm !== 4) {
    if (f.crm === 0) c.exit(ExitReason.halt, c.nextPc);
    return;
  }
  b.helper(helpers.write, false, b.i32(key), c.reg(f.rt));
  // What changes how code is translated or fetched, or raises an interrupt, ends the block.
  if (f.crn === 1 || f.crn === 12 || f.crn === 14) c.exit(ExitReason.mode, c.nextPc);
}

interface WideTransfer {
  readonly rt: number;
  readonly rt2: number;
  readonly opc: number;
  readonly crm: number;
}

/** What User mode may read of the counters. */
function userMayRead(c: ArmContext, key: number): boolean {
  const { userCounters } = c.system!;
  if (key === counterKeys.physical) return (userCounters & 1) !== 0;
  return key === counterKeys.virtual && (userCounters & 2) !== 0;
}

function mrrc(c: ArmContext, f: WideTransfer, coprocessor: number): void {
  const { b } = c;
  const { privileged, helpers, control } = c.system!;
  const key = wideKey(coprocessor, f.crm, f.opc);
  if (!control.has(key, false) || f.rt === 15 || f.rt2 === 15 || !(privileged || userMayRead(c, key))) {
    control.unknown(key, false);
    return c.undefined();
  }
  b.helper(helpers.readWide, false, b.i32(key), b.i32(f.rt), b.i32(f.rt2));
}

function mcrr(c: ArmContext, f: WideTransfer, coprocessor: number): void {
  const { privileged, helpers, control } = c.system!;
  const key = wideKey(coprocessor, f.crm, f.opc);
  if (!privileged || !control.has(key, true)) {
    control.unknown(key, true);
    return c.undefined();
  }
  c.b.helper(helpers.writeWide, false, c.b.i32(key), c.reg(f.rt), c.reg(f.rt2));
  c.exit(ExitReason.mode, c.nextPc);
}

// ---- floating-point system registers

const fpscr = 1;
const fpexc = 8;

/** `VMRS<c> <Rt>, <spec_reg>` at PL1 (B9.3.20): FPSCR is read to be saved, not for its flags. */
function vmrs(c: ArmContext, f: { reg: number; rt: number }): void {
  const { b } = c;
  const { helpers } = c.system!;
  if (f.reg === fpscr) checkFp(c);
  if (f.reg === fpscr && f.rt === 15) {
    c.flags.setNzcv(b.get32(armState.offset('fpNzcv')));
    return;
  }
  if (!c.system!.fpAccess || !fpReadable.has(f.reg) || f.rt === 15) return c.undefined();
  c.setReg(f.rt, b.helper(helpers.readFp, false, b.i32(f.reg)));
}
const fpReadable = new Set([0, 1, 6, 7, 8, 9, 10]);

/** `VMSR<c> <spec_reg>, <Rt>` at PL1. */
function vmsr(c: ArmContext, f: { reg: number; rt: number }): void {
  const { b } = c;
  if (f.reg === fpscr) checkFp(c);
  if (!c.system!.fpAccess || !fpReadable.has(f.reg) || f.rt === 15) return c.undefined();
  b.helper(c.system!.helpers.writeFp, false, b.i32(f.reg), c.reg(f.rt));
  if (f.reg === fpscr || f.reg === fpexc) c.exit(ExitReason.mode, c.nextPc);
}

const transfers = (cond: 'cond:4' | '1110'): ArmRow[] =>
  (['1110', '1111'] as const).flatMap((coprocessor) => {
    const number = coprocessor === '1111' ? 15 : 14;
    return [
      row(`MRC p${number}`, `${cond} 1110 opc1:3 1 crn:4 rt:4 ${coprocessor} opc2:3 1 crm:4`, (c, f) =>
        mrc(c, f, number),
      ),
      row(`MCR p${number}`, `${cond} 1110 opc1:3 0 crn:4 rt:4 ${coprocessor} opc2:3 1 crm:4`, (c, f) =>
        mcr(c, f, number),
      ),
      row(`MRRC p${number}`, `${cond} 11000101 rt2:4 rt:4 ${coprocessor} opc:4 crm:4`, (c, f) => mrrc(c, f, number)),
      row(`MCRR p${number}`, `${cond} 11000100 rt2:4 rt:4 ${coprocessor} opc:4 crm:4`, (c, f) => mcrr(c, f, number)),
    ];
  });

export const systemA32: readonly ArmRow[] = [
  row('CPS', '1111 00010000 imod:2 m:1 0 (0)(0)(0)(0)(0)(0)(0) a:1 i:1 f:1 0 mode:5', cps),
  row('RFE', '1111 100 p:1 u:1 0 w:1 1 rn:4 (0)(0)(0)(0)(1)(0)(1)(0)(0)(0)(0)(0)(0)(0)(0)(0)', rfe),
  row('SRS', '1111 100 p:1 u:1 1 w:1 0 (1)(1)(0)(1)(0)(0)(0)(0)(0)(1)(0)(1)(0)(0)(0) mode:5', srs),
  row('hint', 'cond:4 00110010 0000 1111 (0)(0)(0)(0) op:8', hint),
  row('MSR (immediate)', 'cond:4 00110010 mask:4 1111 imm:12', msrImmediate),
  row('MSR SPSR (immediate)', 'cond:4 00110110 mask:4 1111 imm:12', msrSpsrImmediate),
  row('MRS', 'cond:4 00010000 1111 rd:4 00 0 0 0000 0000', mrs),
  row('MRS SPSR', 'cond:4 00010100 1111 rd:4 00 0 0 0000 0000', mrsSpsr),
  row('MSR (register)', 'cond:4 00010010 mask:4 1111 00 0 0 0000 rn:4', msrRegister),
  row('MSR SPSR (register)', 'cond:4 00010110 mask:4 1111 00 0 0 0000 rn:4', msrSpsrRegister),
  row('HVC', 'cond:4 00010100 imm:12 0111 imm:4', callUp),
  row('SMC', 'cond:4 00010110 (0)(0)(0)(0)(0)(0)(0)(0)(0)(0)(0)(0) 0111 imm:4', callUp),
  row('ERET', 'cond:4 00010110 (0)(0)(0)(0)(0)(0)(0)(0)(0)(0)(0)(0) 0110 1110', subsPcLr, { set: { imm: 0 } }),
  row('LDM (banked)', 'cond:4 100 p:1 u:1 1 w:1 1 rn:4 list:16', ldmBanked),
  row('STM (banked)', 'cond:4 100 p:1 u:1 1 w:1 0 rn:4 list:16', stmBanked),
  row('VMRS', 'cond:4 11101111 reg:4 rt:4 1010 0001 0000', vmrs),
  row('VMSR', 'cond:4 11101110 reg:4 rt:4 1010 0001 0000', vmsr),
  ...transfers('cond:4'),
];

export const systemT32: readonly ArmRow[] = [
  row('CPS', '10110110011 im:1 (0) a:1 i:1 f:1', cpsT16),
  row('hint', '10111111 op:4 0000', hint),
  row('hint', '111100111010 1111 10 0 0 0 000 op:8', hint),
  row('CPS', '111100111010 (1)(1)(1)(1) 10 (0) 0 (0) imod:2 m:1 a:1 i:1 f:1 mode:5', cps),
  row('MSR (register)', '111100111000 rn:4 10 0 0 mask:4 00 0 00000', msrRegister),
  row('MSR SPSR (register)', '111100111001 rn:4 10 0 0 mask:4 00 0 00000', msrSpsrRegister),
  row('MRS', '111100111110 1111 10 0 0 rd:4 00 0 00000', mrs),
  row('MRS SPSR', '111100111111 1111 10 0 0 rd:4 00 0 00000', mrsSpsr),
  row('SUBS PC, LR', '111100111101 1110 10 0 0 1111 imm:8', subsPcLr),
  row('RFE (IA)', '1110100110 w:1 1 rn:4 (1)(1)(0)(0)(0)(0)(0)(0)(0)(0)(0)(0)(0)(0)(0)(0)', rfe, {
    set: { p: 0, u: 1 },
  }),
  row('RFE (DB)', '1110100000 w:1 1 rn:4 (1)(1)(0)(0)(0)(0)(0)(0)(0)(0)(0)(0)(0)(0)(0)(0)', rfe, {
    set: { p: 1, u: 0 },
  }),
  row('SRS (IA)', '1110100110 w:1 0 (1)(1)(0)(1)(1)(1)(0)(0)(0)(0)(0)(0)(0)(0)(0) mode:5', srs, {
    set: { p: 0, u: 1 },
  }),
  row('SRS (DB)', '1110100000 w:1 0 (1)(1)(0)(1)(1)(1)(0)(0)(0)(0)(0)(0)(0)(0)(0) mode:5', srs, {
    set: { p: 1, u: 0 },
  }),
  row('HVC', '111101111110 imm:4 1000 imm:12', callUp),
  row('SMC', '111101111111 imm:4 1000 (0)(0)(0)(0)(0)(0)(0)(0)(0)(0)(0)(0)', callUp),
  row('VMRS', '1110 11101111 reg:4 rt:4 1010 0001 0000', vmrs),
  row('VMSR', '1110 11101110 reg:4 rt:4 1010 0001 0000', vmsr),
  ...transfers('1110'),
];

const isUnconditional = (one: ArmRow): boolean => one.pattern.startsWith('1111');
const isWideRow = ({ pattern }: ArmRow): boolean => pattern.startsWith('111');
const decoder = (rows: readonly ArmRow[], shift: number, bits: number, belongs: (one: ArmRow) => boolean) =>
  new Decoder(rows, indexRows(rows, shift, bits, belongs), () => 0);
const conditional = decoder(systemA32, 20, 8, (one) => !isUnconditional(one));
const unconditional = decoder(systemA32, 20, 8, isUnconditional);
const narrow = decoder(systemT32, 8, 8, (one) => !isWideRow(one));
const wide = decoder(systemT32, 20, 9, isWideRow);

/** The privileged row of the instruction at hand, or undefined. User mode's own VMRS and VMSR are the ordinary ones. */
export function decodeSystem(c: ArmContext): ArmRow | undefined {
  const found = !c.thumb
    ? (c.encoding >>> 28 === 15 ? unconditional : conditional).decode(c.encoding, 0)
    : (c.size === 2 ? narrow : wide).decode(c.encoding, 0);
  if (found && !c.system!.privileged && found.name.startsWith('VM')) return undefined;
  return found;
}
