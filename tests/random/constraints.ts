import type { FieldRecord } from '#tcg/decode.ts';

/**
 * Which random encodings have one meaning. The manual calls others UNPREDICTABLE, and there two right
 * implementations may differ. Rules read the manual's field names; each returns false for a choice to avoid.
 */
export interface Choice {
  name: string;
  thumb: boolean;
  fields: FieldRecord;
}

/**
 * Rows that leave the sequence, wait, need privilege or ask the system, so they are no part of a random sequence.
 */
const excluded =
  /^(BL?X?|BXJ|BLX.*|B\b.*|BL\b.*|CBN?Z|CBZ.*|TB[BH]|SVC|BKPT|HVC|SMC|HLT|UDF.*|VST \(unallocated.*|CPS.*|SETEND|RFE.*|SRS.*|ERET|WFI|WFE|SEV|YIELD|DBG|IT|MCR.*|MRC.*|MCRR.*|MRRC.*|LDC.*|STC.*|CDP.*|MSR.*(banked|SPSR|system).*|MRS.*(banked|SPSR|system).*|SUBS PC.*|LDM.*(exception|User).*|STM.*User.*)(\s|\(|$)/i;

export const isExcluded = (name: string): boolean => excluded.test(name) || /literal/i.test(name);

export const isMemory = (name: string): boolean => /^(LD|ST|PUSH|POP|PLD|SWP|VLD|VST|VPUSH|VPOP)/i.test(name);
export const isLoad = (name: string): boolean => /^(LD|POP|SWP|VLD|VPOP)/i.test(name);
export const isStore = (name: string): boolean => /^(ST|PUSH|SWP|VST|VPUSH)|\/VST/i.test(name);
/** Accesses that fault unless aligned. */
export const needsAlignment = (name: string): boolean =>
  /^(LDM|STM|LDRD|STRD|LDREX|STREX|LDA|STL|PUSH|POP|SWP|VLD|VST|VPUSH|VPOP)/i.test(name);
/** Accesses to several registers: a fault between them leaves an unspecified part done. */
export const isMultiple = (name: string): boolean => /^(LDM|STM|LDRD|STRD|PUSH|POP|VLD|VST|VPUSH|VPOP)/i.test(name);

const bitCount = (value: number): number => {
  let count = 0;
  for (let rest = value >>> 0; rest !== 0; rest &= rest - 1) count++;
  return count;
};

type Rule = (c: Choice) => boolean;

const writesBack = ({ fields, name }: Choice): boolean =>
  fields['w'] === 1 || (fields['p'] === 0 && /^(LDR|STR)/i.test(name)) || /post|pre-?index|writeback/i.test(name);

const list = ({ fields }: Choice): number | undefined =>
  fields['list'] ?? fields['registers'] ?? fields['reglist'] ?? fields['regs'];

const rules: Rule[] = [
  // Loads and stores with write-back: the base is neither the transferred register nor the index.
  (c) => {
    const { rn, rt, rt2, rm } = c.fields;
    if (rn === undefined || !isMemory(c.name) || !writesBack(c)) return true;
    return (
      rn !== rt && rn !== rt2 && rn !== rm && (!/^(LDRD|STRD)/i.test(c.name) || rt2 !== undefined || rn !== rt + 1)
    );
  },
  // Doubleword transfers: an even first register in A32, two different ones in T32, no overlap with the index.
  (c) => {
    if (!/^(LDRD|STRD|LDREXD|STREXD|LDAEXD|STLEXD)/i.test(c.name)) return true;
    const { rt, rt2, rm, rn } = c.fields;
    if (c.thumb) return rt !== rt2;
    return (
      (rt & 1) === 0 &&
      rt < 12 &&
      (/^ST/i.test(c.name) || (rm !== rt && rm !== rt + 1)) &&
      (rn !== rt + 1 || !writesBack(c))
    );
  },
  // Store exclusive: the status register is none of the others.
  (c) => {
    if (!/^(STREX|STLEX)/i.test(c.name)) return true;
    const { rd, rn, rt, rt2 } = c.fields;
    return rd !== rn && rd !== rt && rd !== rt2 && (c.thumb || rd !== rt + 1);
  },
  (c) =>
    !/^SWP/i.test(c.name) ||
    (c.fields['rn'] !== c.fields['rt'] &&
      c.fields['rn'] !== c.fields['rt2'] &&
      c.fields['rn'] !== c.fields['rm'] &&
      c.fields['rn'] !== c.fields['rd']),
  // Register lists: no stack pointer or PC, not empty (T32 encodings of 32 bits: two at least), no written-back base.
  (c) => {
    if (c.fields['pc'] === 1) return false;
    const registers = list(c);
    if (registers === undefined || /^V/i.test(c.name)) return true;
    const wide = /^(LDM|STM|PUSH|POP)/i.test(c.name);
    if (!wide) return true;
    if (bitCount(registers) < (c.thumb ? 2 : 1) || registers & 0xa000) return false;
    return ((registers >>> c.fields['rn']) & 1) === 0;
  },
  // Long multiplications: two different results.
  (c) => c.fields['rdlo'] === undefined || c.fields['rdlo'] !== c.fields['rdhi'],
  // Bit fields lie inside the word.
  (c) => {
    const { lsb, msb } = c.fields;
    const widthm1 = c.fields['widthm1'] ?? c.fields['widthMinus1'];
    if (lsb !== undefined && msb !== undefined) return msb >= lsb;
    return lsb === undefined || widthm1 === undefined || lsb + widthm1 <= 31;
  },
  // RBIT, CLZ and REV in T32 have the operand twice.
  (c) => c.fields['rm2'] === undefined || c.fields['rm2'] === c.fields['rm'],
  // Status register access: flags only.
  (c) =>
    !/^MSR/i.test(c.name) ||
    c.fields['mask'] === undefined ||
    ((c.fields['mask'] & 3) === 0 && c.fields['mask'] !== 0) ||
    (c.fields['mask'] & 0b10010) === 0,
  // VMRS and VMSR: FPSCR only (the other registers identify the machine or need privilege).
  (c) => !/^V(MRS|MSR)/i.test(c.name) || (c.fields['reg'] ?? c.fields['spec_reg'] ?? c.fields['crn'] ?? 1) === 1,
  // Two core registers at once: two different ones; S31 has no successor.
  (c) =>
    !/^VMOV/i.test(c.name) ||
    c.fields['rt2'] === undefined ||
    (c.fields['rt'] !== c.fields['rt2'] && !((c.fields['vm'] ?? 0) === 15 && (c.fields['m'] ?? 0) === 1)),
  // Vector register lists end at D31 or S31.
  (c) => {
    if (!/^(VLDM|VSTM|VPUSH|VPOP)/i.test(c.name)) return true;
    const count = c.fields['imm8'] ?? c.fields['imm'] ?? list(c) ?? 0;
    return (
      count >= 2 &&
      count <= 24 &&
      (count & 1) === 0 &&
      (c.fields['vd'] ?? 0) * 2 + count <= 32 &&
      (c.fields['d'] ?? 0) === 0
    );
  },
  // Structure loads, tables and exchanges.
  (c) => !/^V(LD|ST).*structure/.test(c.name) || c.fields['d'] * 16 + c.fields['vd'] <= 25,
  (c) => !/^VTB/i.test(c.name) || (c.fields['n'] ?? 0) === 0 || (c.fields['vn'] ?? 0) <= 12,
  (c) =>
    !/^V(SWP|TRN|ZIP|UZP)/i.test(c.name) ||
    c.fields['vd'] !== c.fields['vm'] ||
    (c.fields['d'] ?? 0) !== (c.fields['m'] ?? 0),
];

/** Whether the manual gives this encoding one meaning, as far as the rules above know. */
export const isPredictable = (choice: Choice): boolean => rules.every((rule) => rule(choice));
