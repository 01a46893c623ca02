import type { ArmContext } from './context.ts';
import { Cond, Op } from './context.ts';
import { type ArmRow, row } from './row.ts';

/** `value`, of `bits` bits, as signed. */
const signed = (value: number, bits: number): number => (value << (32 - bits)) >> (32 - bits);

/** `B<c> <label>` (DDI 0406C A8.8.18): imm24 counts words. */
function branchA32(c: ArmContext, f: { imm: number }): void {
  c.branchIf(c.cond, (c.pcValue + signed(f.imm, 24) * 4) | 0);
}

/** `BL<c> <label>` (A8.8.25). */
function blA32(c: ArmContext, f: { imm: number }): void {
  c.call(c.b.i32(c.pcValue + signed(f.imm, 24) * 4));
}

/** `BLX <label>` to T32 (A8.8.25): h is bit 1 of the offset. */
function blxA32(c: ArmContext, f: { imm: number; h: number }): void {
  c.call(c.b.i32((c.pcValue + signed(f.imm, 24) * 4 + f.h * 2) | 1));
}

/** `BX<c> <Rm>` (A8.8.27), BXJ as an implementation without Jazelle has it. */
function bx(c: ArmContext, f: { rm: number }): void {
  // In A32 R15 + 8 has bit 0 clear; in T32 the value read is aligned to 2, so BX PC goes to A32.
  c.bxWritePC(c.reg(f.rm), f.rm === 14 ? 'return' : 'jump');
}

/** `BLX<c> <Rm>` (A8.8.26). */
function blxRegister(c: ArmContext, f: { rm: number }): void {
  c.call(c.reg(f.rm));
}

const thumbTarget = (c: ArmContext, offset: number): number => (c.pcValue + offset) | 1;

/** `B<c> <label>`, 16-bit with condition. */
const branchCond16 = (c: ArmContext, f: { cond: number; imm: number }): void =>
  c.branchIf(f.cond, thumbTarget(c, signed(f.imm, 8) * 2));

/** `B<c> <label>`, 16-bit; the condition is the IT block's. */
const branch16 = (c: ArmContext, f: { imm: number }): void => c.branchIf(c.cond, thumbTarget(c, signed(f.imm, 11) * 2));

/** `B<c>.W <label>` with condition: offset S:J2:J1:imm6:imm11. */
function branchCond32(
  c: ArmContext,
  f: { cond: number; s: number; j1: number; j2: number; high: number; low: number },
): void {
  const offset = (f.s << 19) | (f.j2 << 18) | (f.j1 << 17) | (f.high << 11) | f.low;
  c.branchIf(f.cond, thumbTarget(c, signed(offset, 20) * 2));
}

interface LongOffset {
  readonly s: number;
  readonly j1: number;
  readonly j2: number;
  readonly high: number;
  readonly low: number;
}

/** Offset S:I1:I2:imm10:imm11 in halfwords, I = NOT(J EOR S) (A8.8.25). */
function longOffset(f: LongOffset): number {
  const i1 = f.j1 ^ f.s ^ 1;
  const i2 = f.j2 ^ f.s ^ 1;
  return signed((f.s << 23) | (i1 << 22) | (i2 << 21) | (f.high << 11) | f.low, 24);
}

/** `B<c>.W <label>`. */
const branch32 = (c: ArmContext, f: LongOffset): void => c.branchIf(c.cond, thumbTarget(c, longOffset(f) * 2));

/** `BL<c> <label>`. */
const blT32 = (c: ArmContext, f: LongOffset): void => c.call(c.b.i32(thumbTarget(c, longOffset(f) * 2)));

/** `BLX<c> <label>` to A32: the base is Align(PC, 4), bit 0 of imm11 must be 0. */
function blxT32(c: ArmContext, f: LongOffset): void {
  if (f.low & 1) c.undefined();
  else c.call(c.b.i32(c.pcAligned + longOffset(f) * 2));
}

/** `CB{N}Z <Rn>, <label>` (A8.8.29). */
function cbz(c: ArmContext, f: { nonzero: number; imm: number; rn: number }): void {
  const rn = c.reg(f.rn);
  c.branchOn(f.nonzero ? rn : c.b.eqz(rn), thumbTarget(c, f.imm * 2));
}

/** `TBB [<Rn>, <Rm>]`, `TBH [<Rn>, <Rm>, LSL #1]` (A8.8.238): forward offsets in halfwords. */
function tableBranch(c: ArmContext, f: { rn: number; rm: number; half: number }): void {
  const { b } = c;
  const base = c.reg(f.rn);
  const index = c.reg(f.rm);
  const bound = b.isConst(base) ? c.boundOf(f.rm) : -1;
  const table = bound < 0 ? undefined : c.readTable(b.constOf(base), bound + 1, f.half ? 2 : 1);
  if (table) {
    c.switch(
      index,
      table.map((offset) => thumbTarget(c, offset * 2)),
    );
    return;
  }
  const address = b.add(base, f.half ? b.shlImm(index, 1) : index);
  const offset = b.load(f.half ? Op.load16_u : Op.load8_u, address);
  c.branchWritePC(b.add(b.i32(c.pcValue), b.shlImm(offset, 1)));
}

/** `IT{x{y{z}}} <firstcond>` (A8.8.54). Condition 15 is UNPREDICTABLE, and undefined here. */
function it(c: ArmContext, f: { firstcond: number; mask: number }): void {
  if (f.firstcond === 15 || (f.firstcond === Cond.al && (f.mask & (f.mask - 1)) !== 0)) c.undefined();
  else c.nextItstate = (f.firstcond << 4) | f.mask;
}

export const branchA32Rows: readonly ArmRow[] = [
  row('BLX (immediate)', '1111 101 h:1 imm:24', blxA32),
  row('B', 'cond:4 1010 imm:24', branchA32, { own: true }),
  row('BL (immediate)', 'cond:4 1011 imm:24', blA32),
  row('BX', 'cond:4 00010010 1111 1111 1111 0001 rm:4', bx),
  row('BXJ', 'cond:4 00010010 1111 1111 1111 0010 rm:4', bx),
  row('BLX (register)', 'cond:4 00010010 1111 1111 1111 0011 rm:4', blxRegister),
];

export const branchT32Rows: readonly ArmRow[] = [
  row('B (conditional)', '1101 cond:4 imm:8', branchCond16, { own: true, when: (f) => f.cond < 14 }),
  row('B', '11100 imm:11', branch16, { own: true }),
  row('BX', '010001110 rm:4 000', bx),
  row('BLX (register)', '010001111 rm:4 000', blxRegister),
  row('CBZ, CBNZ', '1011 nonzero:1 0 imm:1 1 imm:5 rn:3', cbz, { own: true }),
  row('IT', '10111111 firstcond:4 mask:4', it, { own: true, when: (f) => f.mask !== 0 }),
  row('B (conditional)', '11110 s:1 cond:4 high:6 10 j1:1 0 j2:1 low:11', branchCond32, {
    own: true,
    when: (f) => f.cond < 14,
  }),
  row('B', '11110 s:1 high:10 10 j1:1 1 j2:1 low:11', branch32, { own: true }),
  row('BL (immediate)', '11110 s:1 high:10 11 j1:1 1 j2:1 low:11', blT32),
  row('BLX (immediate)', '11110 s:1 high:10 11 j1:1 0 j2:1 low:11', blxT32),
  row('TBB', '111010001101 rn:4 1111 0000 0000 rm:4', tableBranch, { set: { half: 0 } }),
  row('TBH', '111010001101 rn:4 1111 0000 0001 rm:4', tableBranch, { set: { half: 1 } }),
  row('BXJ', '111100111100 rm:4 10 0 0 1111 00000000', bx),
];
