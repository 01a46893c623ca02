import type { TranslationControl, WalkResult } from './page-walk.ts';

/*
 * Page tables of the long-descriptor format (LPAE, DDI 0406C B3.6): up to three levels of 64-bit descriptors. Physical
 * memory beyond 4 GiB is not there.
 */

/** Access bits: 1 read, 2 write, 4 execute. */
const execute = 4;

/** Fault status, FSR[5:0] of the long-descriptor format (B3.13.3); those of a walk have the level in bits 1:0. */
export const LongStatus = {
  translation: 0b000100,
  accessFlag: 0b001000,
  permission: 0b001100,
  externalAbort: 0b010000,
  walkAbort: 0b010100,
  alignment: 0b100001,
  debug: 0b100010,
} as const;

/** TTBCR bits. */
const ttbcrEpd0 = 1 << 7;
const ttbcrEpd1 = 1 << 23;
/** SCTLR.WXN: what can be written is not executed. */
const sctlrWxn = 1 << 19;

/** Bits of a descriptor's high word. */
const high = { xn: 1 << 22, pxn: 1 << 21, pxnTable: 1 << 27, xnTable: 1 << 28, apTable: 29 } as const;
/** Bits of its low word. */
const low = { valid: 1, table: 2, user: 1 << 6, readOnly: 1 << 7, accessFlag: 1 << 10, notGlobal: 1 << 11 } as const;

/** What tables restrict of all they lead to: bits of their high words. */
const tableBits = (3 << high.apTable) | high.xnTable | high.pxnTable;

/** 1 if TTBR1 has the address, 0 if TTBR0 has it, -1 if neither does. */
function registerOf(ttbcr: number, address: number): -1 | 0 | 1 {
  const size0 = ttbcr & 7;
  const size1 = (ttbcr >>> 16) & 7;
  const isTop = size1 !== 0 && address >>> (32 - size1) === (1 << size1) - 1;
  if (size0 === 0) return isTop ? 1 : 0;
  if (address >>> (32 - size0) === 0) return 0;
  return size1 === 0 || isTop ? 1 : -1;
}

/** Fills `into` from a page or block's descriptor; 0, or a `LongStatus`. `restricted`: `tableBits` of the tables before. */
function describe(
  { sctlr, privileged }: TranslationControl,
  [bottom, top, restricted]: readonly [number, number, number],
  level: number,
  address: number,
  into: WalkResult,
): number {
  if ((bottom & low.accessFlag) === 0) return LongStatus.accessFlag | level;
  if ((top & 0xff) !== 0) return LongStatus.externalAbort;
  const block = -1 << (39 - 9 * level);
  into.physical = ((bottom & block) | (address & ~block & -4096)) >>> 0;
  into.global = (bottom & low.notGlobal) === 0;
  into.large = level < 3;
  const readOnly = (bottom & low.readOnly) !== 0 || (restricted & (2 << high.apTable)) !== 0;
  const forUser = (bottom & low.user) !== 0 && (restricted & (1 << high.apTable)) === 0;
  const never = (top & high.xn) !== 0 || (restricted & high.xnTable) !== 0 || ((sctlr & sctlrWxn) !== 0 && !readOnly);
  const privilegedNever = (top & high.pxn) !== 0 || (restricted & high.pxnTable) !== 0;
  if (!privileged && !forUser) into.allowed = 0;
  else into.allowed = (readOnly ? 1 : 3) | (never || (privileged && privilegedNever) ? 0 : execute);
  return 0;
}

/** Walks the tables; 0, or a `LongStatus`. */
export function walkLong(
  control: TranslationControl,
  word: (physical: number) => number | undefined,
  address: number,
  access: number,
  into: WalkResult,
): number {
  const { ttbcr } = control;
  const register = registerOf(ttbcr, address);
  const disabled = register === 1 ? ttbcrEpd1 : ttbcrEpd0;
  if (register < 0 || (ttbcr & disabled) !== 0) return LongStatus.translation | 1;
  const size = register === 1 ? (ttbcr >>> 16) & 7 : ttbcr & 7;
  let level = size > 1 ? 2 : 1;
  // The first table has as many entries as the addresses need, and is aligned to its size.
  const entries = 2 ** (32 - size - (39 - 9 * level));
  let table = (register === 1 ? control.ttbr1 : control.ttbr0) & (-8 * entries);
  let beyond = (register === 1 ? control.ttbr1High : control.ttbr0High) & 0xff;
  let index = ((address << size) >>> size) >>> (39 - 9 * level);
  let restricted = 0;
  for (; ; level++) {
    const at = (table >>> 0) + index * 8;
    const bottom = beyond === 0 ? word(at) : undefined;
    const top = beyond === 0 ? word(at + 4) : undefined;
    if (bottom === undefined || top === undefined) return LongStatus.walkAbort | level;
    const isTable = (bottom & low.table) !== 0;
    if ((bottom & low.valid) === 0 || (level === 3 && !isTable)) return LongStatus.translation | level;
    if (!isTable || level === 3) {
      const status = describe(control, [bottom, top, restricted], level, address, into);
      if (status !== 0) return status;
      return (into.allowed & access) === access ? 0 : LongStatus.permission | level;
    }
    restricted |= top & tableBits;
    table = bottom & -4096;
    beyond = top & 0xff;
    index = (address >>> (30 - 9 * level)) & 511;
  }
}
