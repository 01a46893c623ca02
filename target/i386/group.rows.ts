import { adc, add, and, cmp, cmpxchg8b, dec, inc, neg, not, or, sbb, sub, test, xor } from './alu.ts';
import { bt, btc, btr, bts } from './bits.ts';
import { callFar, callIndirect, jmpFar, jmpIndirect } from './control.ts';
import { mov } from './move.ts';
import { div, idiv, imulWide, mul } from './multiply.ts';
import { row, type X86Row } from './row.ts';
import { verr, verw } from './segment.ts';
import { rcl, rcr, rol, ror, sar, shl, shr } from './shift.ts';
import * as stack from './stack.ts';
import { clflush, fence, nop, privileged, rdtscp, storeTable, storeWord } from './system.ts';

const lock = { lock: true } as const;

type Named = readonly [name: string, translate: X86Row['translate']];

/** The opcode extension names the operation, in each of several forms. */
const group = (
  forms: readonly (readonly [opcode: string, codes: string])[],
  members: readonly Named[],
  locked: boolean,
) =>
  forms.flatMap(([opcode, codes]) =>
    members.map(([name, translate], reg) =>
      row(name, `${opcode} /${reg}`, codes, translate, locked && name !== 'CMP' ? lock : {}),
    ),
  );

/** Group 1: immediate arithmetic. */
const group1 = group(
  [
    ['80', 'Eb,Ib'],
    ['81', 'Ev,Iz'],
    ['82', 'Eb,Ib'],
    ['83', 'Ev,Ibs'],
  ],
  [
    ['ADD', add],
    ['OR', or],
    ['ADC', adc],
    ['SBB', sbb],
    ['AND', and],
    ['SUB', sub],
    ['XOR', xor],
    ['CMP', cmp],
  ],
  true,
);

/** Group 2: shifts; /6 is SHL too. */
const group2 = group(
  [
    ['C0', 'Eb,Ib'],
    ['C1', 'Ev,Ib'],
    ['D0', 'Eb,1'],
    ['D1', 'Ev,1'],
    ['D2', 'Eb,CL'],
    ['D3', 'Ev,CL'],
  ],
  [
    ['ROL', rol],
    ['ROR', ror],
    ['RCL', rcl],
    ['RCR', rcr],
    ['SHL', shl],
    ['SHR', shr],
    ['SHL', shl],
    ['SAR', sar],
  ],
  false,
);

/** The opcode extensions (SDM vol. 2, table A-6) of the one- and two-byte maps. */
export const groupRows: readonly X86Row[] = [
  ...group1,
  row('POP', '8F /0', 'Ev', stack.pop),
  ...group2,
  row('TEST', 'F6 /0', 'Eb,Ib', test),
  row('TEST', 'F6 /1', 'Eb,Ib', test),
  row('NOT', 'F6 /2', 'Eb', not, lock),
  row('NEG', 'F6 /3', 'Eb', neg, lock),
  row('MUL', 'F6 /4', 'Eb', mul),
  row('IMUL', 'F6 /5', 'Eb', imulWide),
  row('DIV', 'F6 /6', 'Eb', div),
  row('IDIV', 'F6 /7', 'Eb', idiv),
  row('TEST', 'F7 /0', 'Ev,Iz', test),
  row('TEST', 'F7 /1', 'Ev,Iz', test),
  row('NOT', 'F7 /2', 'Ev', not, lock),
  row('NEG', 'F7 /3', 'Ev', neg, lock),
  row('MUL', 'F7 /4', 'Ev', mul),
  row('IMUL', 'F7 /5', 'Ev', imulWide),
  row('DIV', 'F7 /6', 'Ev', div),
  row('IDIV', 'F7 /7', 'Ev', idiv),
  row('INC', 'FE /0', 'Eb', inc, lock),
  row('DEC', 'FE /1', 'Eb', dec, lock),
  row('INC', 'FF /0', 'Ev', inc, lock),
  row('DEC', 'FF /1', 'Ev', dec, lock),
  row('CALL', 'FF /2', 'Ev', callIndirect),
  row('CALL', 'FF /3', 'Mp', callFar),
  row('JMP', 'FF /4', 'Ev', jmpIndirect),
  row('JMP', 'FF /5', 'Mp', jmpFar),
  row('PUSH', 'FF /6', 'Ev', stack.push),
  row('MOV', 'C6 /0', 'Eb,Ib', mov),
  row('MOV', 'C7 /0', 'Ev,Iz', mov),
  row('SLDT', '0F 00 /0', 'Ew', storeWord(0)),
  row('STR', '0F 00 /1', 'Ew', storeWord(0x40)),
  row('LLDT', '0F 00 /2', 'Ew', privileged),
  row('LTR', '0F 00 /3', 'Ew', privileged),
  row('VERR', '0F 00 /4', 'Ew', verr),
  row('VERW', '0F 00 /5', 'Ew', verw),
  row('RDTSCP', '0F 01 F9', '', rdtscp),
  row('SGDT', '0F 01 /0', 'Ms', storeTable(0xfffe_0000)),
  row('SIDT', '0F 01 /1', 'Ms', storeTable(0xffff_0000)),
  row('LGDT', '0F 01 /2', 'Ms', privileged),
  row('LIDT', '0F 01 /3', 'Ms', privileged),
  row('SMSW', '0F 01 /4', 'Ew', storeWord(0x8005_0033)),
  row('LMSW', '0F 01 /6', 'Ew', privileged),
  row('INVLPG', '0F 01 /7', 'Mb', privileged),
  row('LFENCE', 'NP 0F AE E8+i', '', fence),
  row('MFENCE', 'NP 0F AE F0+i', '', fence),
  row('SFENCE', 'NP 0F AE F8+i', '', fence),
  row('CLFLUSH', 'NP 0F AE /7', 'Mb', clflush),
  row('BT', '0F BA /4', 'Ev,Ib', bt),
  row('BTS', '0F BA /5', 'Ev,Ib', bts, lock),
  row('BTR', '0F BA /6', 'Ev,Ib', btr, lock),
  row('BTC', '0F BA /7', 'Ev,Ib', btc, lock),
  row('CMPXCHG8B', '0F C7 /1', 'Mq', cmpxchg8b, lock),
  // Prefetches and hints, ENDBR32 among them.
  row('PREFETCHW', '0F 0D', 'Mb', nop),
  ...['18', '19', '1A', '1B', '1C', '1D', '1E', '1F'].map((opcode) => row('NOP', `0F ${opcode}`, 'Ev', nop)),
];
