/**
 * FPSCR: what of it changes translation, and when its cumulative flags are kept (DDI 0406C A2.6).
 *
 * Plain code (round to nearest, no flush-to-zero, no default NaN) runs on native operations, which raise no flags. The
 * mode bits of FPSCR select soft arithmetic, which keeps the flags exactly. A program that uses the flags under plain
 * modes is found by what it does with FPSCR:
 *
 * - VMRS to a core register is harmless if the first instruction that uses the value masks the flags away (the
 *   rounding mode: printf, strtod, libm), or if VMSR follows in a straight line (read-modify-write: VMSR decides).
 *   Any other one observes the flags (fetestexcept, fegetenv, feclearexcept's test): they are kept from then on.
 * - VMSR of an FPSCR value whose flags the program cleared or replaced opens a window (feholdexcept, fma, nearbyint): the
 *   flags are kept until the old value is written back. A write that changes the flags in any other way keeps them for
 *   good; a write that changes mode bits only, or nothing, changes nothing here.
 *   Comparing FPSCR with the old value (VMRS, EOR, BICS #0xf0000000: libm's and fesetenv's way to write only what
 *   differs) counts as writing it back if it is the same.
 * - An operation directly followed by such a VMRS is made to raise its flags (feraiseexcept).
 *
 * What this misses: flags raised by plain code before the first observer. `fpTracked` = 1 at start is the strict mode.
 */
import type { Value } from '#tcg/builder.ts';
import { ExitReason } from '#tcg/cpu-page.ts';
import { Op } from '#tcg/ops.ts';
import type { CodeReader, CpuView } from '#tcg/target.ts';
import type { ArmContext } from './context.ts';
import { arithmeticMask, slotFpNzcv, slotFpscr, slotTracked, trackedBit, vectorMask } from './fp-mode.ts';
import { defineHelper } from './helpers.ts';
import { armState } from './state.ts';
import { type RowPair, vfp } from './vfp-registers.ts';

const slotOpened = armState.offset('fpOpened');

/** Writable bits: N Z C V QC AHP DN FZ RMode Stride FZ16 Len and the flags; traps are not implemented. */
export const fpscrMask = 0xffff009f | 0;
const nzcvMask = 0xf0000000 | 0;
/** IDC IXC UFC OFC DZC IOC. */
const flagsMask = 0x9f;
/** True if arithmetic must go through the soft helpers in this block. */
export const isSoft = (c: ArmContext): boolean => (c.fpscrMode & (arithmeticMask | trackedBit)) !== 0;

/** LEN and STRIDE of the block: elements per operation (1 for scalar) and the distance of their registers. */
export const vectorLength = (c: ArmContext): number => ((c.fpscrMode >>> 16) & 7) + 1;
export const vectorStride = (c: ArmContext): number => ((c.fpscrMode >>> 20) & 3 ? 2 : 1);
export const hasVectors = (c: ArmContext): boolean => (c.fpscrMode & vectorMask) !== 0;

/** True if this instruction's flags are wanted: soft mode, or VMRS to a core register comes next. */
export function wantsFlags(c: ArmContext): boolean {
  return isSoft(c) || readsFpscrNext(c);
}

/** The same for Advanced SIMD, which does not depend on the modes. */
export function wantsVectorFlags(c: ArmContext): boolean {
  return (c.fpscrMode & trackedBit) !== 0 || readsFpscrNext(c);
}

/** True if VMRS to a core register comes next. */
function readsFpscrNext(c: ArmContext): boolean {
  const next = fetch(c.code, (c.pc + c.size) >>> 0, c.thumb);
  return isVmrs(next.encoding, c.thumb) && ((next.encoding >>> 12) & 15) !== 15;
}

interface Fetched {
  readonly encoding: number;
  readonly size: number;
}

function fetch(code: CodeReader, address: number, thumb: boolean): Fetched {
  const low = code.fetch16(address);
  if (low < 0) return { encoding: 0, size: 4 };
  if (thumb && low >>> 11 < 0b11101) return { encoding: low, size: 2 };
  const high = code.fetch16((address + 2) >>> 0);
  if (high < 0) return { encoding: 0, size: 4 };
  return { encoding: (thumb ? (low << 16) | high : (high << 16) | low) >>> 0, size: 4 };
}

/** VMRS or VMSR of FPSCR, Rt and the A32 condition left open. */
const isTransfer = (encoding: number, thumb: boolean, value: number): boolean =>
  (encoding & 0x0fff0f10) === value && (!thumb || encoding >>> 28 === 14);
const isVmrs = (encoding: number, thumb: boolean): boolean => isTransfer(encoding, thumb, 0x0ef10a10);
const isVmsr = (encoding: number, thumb: boolean): boolean => isTransfer(encoding, thumb, 0x0ee10a10);

/** Instructions looked at after a VMRS. */
const lookahead = 12;

/** True if the value VMRS puts into `rt` is used for its flags, as far as the next instructions tell. */
function observesFlags(c: ArmContext, rt: number): boolean {
  let address = (c.pc + c.size) >>> 0;
  for (let i = 0; i < lookahead; i++) {
    const { encoding, size } = fetch(c.code, address, c.thumb);
    const used = c.thumb ? t32Mask(encoding, size, rt) : a32Mask(encoding, rt);
    if (used !== undefined) return (used & flagsMask) !== 0;
    if (size === 4 && isVmsr(encoding, c.thumb)) return false;
    if (c.thumb ? isT32Branch(encoding, size) : isA32Branch(encoding)) return true;
    address = (address + size) >>> 0;
  }
  return true;
}

/** True if one of the next instructions is BICS #0xf0000000, which drops N Z C V from a difference of FPSCR values. */
function comparesFpscr(c: ArmContext): boolean {
  let address = (c.pc + c.size) >>> 0;
  for (let i = 0; i < 4; i++) {
    const { encoding, size } = fetch(c.code, address, c.thumb);
    if (c.thumb ? isT32Branch(encoding, size) : isA32Branch(encoding)) return false;
    if (c.thumb ? (encoding & 0xfff0f0ff) >>> 0 === 0xf0304070 : (encoding & 0x0ff00fff) === 0x03d0020f) return true;
    address = (address + size) >>> 0;
  }
  return false;
}

/** The bits of `rt` that AND #imm keeps, if the encoding is one of `rt`. */
function a32Mask(encoding: number, rt: number): number | undefined {
  if (((encoding >>> 16) & 15) !== rt || (encoding & 0x0fe00000) !== 0x02000000) return undefined;
  const rotation = (encoding >>> 7) & 30;
  const value = encoding & 0xff;
  return rotation === 0 ? value : (value >>> rotation) | (value << (32 - rotation));
}

/** The same for AND.W #imm; only the rotated form can leave the flags out. */
function t32Mask(encoding: number, size: number, rt: number): number | undefined {
  if (size !== 4 || ((encoding >>> 16) & 15) !== rt || (encoding & 0xfbe08000) >>> 0 !== 0xf0000000) return undefined;
  const rotation = (((encoding >>> 26) & 1) << 4) | (((encoding >>> 12) & 7) << 1) | ((encoding >>> 7) & 1);
  if (rotation < 8) return flagsMask;
  const value = 0x80 | (encoding & 0x7f);
  return (value >>> rotation) | (value << (32 - rotation));
}

const isA32Branch = (encoding: number): boolean =>
  (encoding & 0x0e000000) === 0x0a000000 || (encoding & 0x0ffffff0) === 0x012fff10;
const isT32Branch = (encoding: number, size: number): boolean => {
  if (size === 4) return (encoding & 0xf8008000) >>> 0 === 0xf0008000;
  return (
    (encoding & 0xf000) === 0xd000 ||
    (encoding & 0xf800) === 0xe000 ||
    (encoding & 0xff00) === 0x4700 ||
    (encoding & 0xf500) === 0xb100
  );
};

/** What FPSCR reads as. */
const readFpscr = (c: ArmContext): Value => c.b.or(c.b.get32(slotFpscr), c.b.get32(slotFpNzcv));

/** The last VCMP of a block, so that `VMRS APSR_nzcv, FPSCR` makes a comparison of it. */
const lastCompare = {
  context: undefined as ArmContext | undefined,
  type: 'f64' as 'f32' | 'f64',
  left: -1,
  right: -1,
  nzcv: -1,
};

/** Notes that fpNzcv now holds the outcome of comparing `left` with `right`. */
export function rememberCompare(c: ArmContext, type: 'f32' | 'f64', left: Value, right: Value): void {
  lastCompare.context = c;
  lastCompare.type = type;
  lastCompare.left = left;
  lastCompare.right = right;
  lastCompare.nzcv = c.b.known32(slotFpNzcv);
}

/** VMRS<c> <Rt>, FPSCR; VMRS<c> APSR_nzcv, FPSCR. User mode may read no other register. */
function vmrs(c: ArmContext, f: { rt: number }): void {
  const { b } = c;
  if (f.rt === 15) {
    const known = b.known32(slotFpNzcv);
    if (lastCompare.context === c && known >= 0 && known === lastCompare.nzcv) {
      c.flags.setFloatCompare(lastCompare.type, lastCompare.left, lastCompare.right);
    } else {
      c.flags.setNzcv(b.get32(slotFpNzcv));
    }
    return;
  }
  const value = readFpscr(c);
  c.setReg(f.rt, value);
  if ((c.fpscrMode & trackedBit) !== 0 && comparesFpscr(c)) {
    b.helper(closeWindowHelper, false);
    c.exit(ExitReason.mode, c.nextPc);
    return;
  }
  if (isSoft(c) || !observesFlags(c, f.rt)) return;
  b.set32(slotTracked, b.i32(1));
  c.exit(ExitReason.mode, c.nextPc);
}

/** VMSR<c> FPSCR, <Rt>. */
function vmsr(c: ArmContext, f: { rt: number }): void {
  if (f.rt === 15) {
    c.undefined();
    return;
  }
  const { b } = c;
  const value = c.reg(f.rt);
  b.helper(writeFpscrHelper, false, value, b.i32(clearsFlags(c, value) ? 1 : 0));
  c.exit(ExitReason.mode, c.nextPc);
}

/** True if `value` is FPSCR, read in this block, with flags masked away or by an unknown mask. */
function clearsFlags(c: ArmContext, value: Value): boolean {
  const { block } = c.b;
  let kept = -1;
  for (let v = value, depth = 0; depth < 16; depth++) {
    const op = block.op[v]!;
    if (op === Op.get_i32) return block.x[v] === slotFpscr && (kept & flagsMask) !== flagsMask;
    if (op !== Op.and_i32 && op !== Op.or_i32) return false;
    const right = block.b[v]!;
    if (op === Op.and_i32) kept &= c.b.isConst(right) ? c.b.constOf(right) : ~flagsMask;
    v = block.a[v]!;
  }
  return false;
}

/** The helper of VMSR: stores FPSCR and decides whether flags are kept; see the head of this file. */
function writeFpscr(cpu: CpuView, written: number, clears: number): number {
  const { i32 } = cpu;
  const value = written & fpscrMask & ~nzcvMask;
  const old = i32[slotFpscr >> 2]!;
  const tracked = i32[slotTracked >> 2]!;
  i32[slotFpscr >> 2] = value;
  i32[slotFpNzcv >> 2] = written & nzcvMask;
  if (tracked === 0) {
    if (clears !== 0) {
      i32[slotTracked >> 2] = 2;
      i32[slotOpened >> 2] = old;
      return 0;
    }
    const sameModes = ((old ^ value) & arithmeticMask) === 0;
    if (sameModes && ((old ^ value) & flagsMask) !== 0) i32[slotTracked >> 2] = 1;
    return 0;
  }
  if (tracked === 2 && clears === 0 && value === i32[slotOpened >> 2]!) i32[slotTracked >> 2] = 0;
  return 0;
}

/** The helper of a comparison of FPSCR: ends the window if FPSCR is what it was before. */
function closeWindow({ i32 }: CpuView): number {
  const isOpen = i32[slotTracked >> 2]! === 2;
  if (isOpen && i32[slotFpscr >> 2]! === i32[slotOpened >> 2]!) i32[slotTracked >> 2] = 0;
  return 0;
}

const closeWindowHelper = defineHelper({ name: 'close_fpscr_window', call: closeWindow });
const writeFpscrHelper = defineHelper({ name: 'write_fpscr', call: writeFpscr });

export const fpscrRows: readonly RowPair[] = [
  vfp('VMRS', '11101111 0001 rt:4 1010 0001 0000', vmrs),
  vfp('VMSR', '11101110 0001 rt:4 1010 0001 0000', vmsr),
];
