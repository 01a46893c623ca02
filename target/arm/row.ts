import { type FieldRecords, type Row, rowFor } from '#tcg/decode.ts';
import type { ArmContext } from './context.ts';

export type ArmRow = Row<ArmContext>;

/** Every field that a pattern names or `set` sets, absent. */
export const noFields = (): Record<string, number | undefined> => ({
  a: undefined,
  align: undefined,
  b: undefined,
  castagnoli: undefined,
  crm: undefined,
  crn: undefined,
  cc: undefined,
  cmode: undefined,
  cond: undefined,
  d: undefined,
  double: undefined,
  e: undefined,
  f: undefined,
  firstcond: undefined,
  h: undefined,
  half: undefined,
  hi: undefined,
  high: undefined,
  i: undefined,
  ia: undefined,
  im: undefined,
  imm: undefined,
  imod: undefined,
  j1: undefined,
  j2: undefined,
  l: undefined,
  len: undefined,
  list: undefined,
  lo: undefined,
  low: undefined,
  lr: undefined,
  lsb: undefined,
  m: undefined,
  mTop: undefined,
  mask: undefined,
  minus: undefined,
  mode: undefined,
  msb: undefined,
  n: undefined,
  nTop: undefined,
  nonzero: undefined,
  op: undefined,
  opc: undefined,
  opc1: undefined,
  opc2: undefined,
  option: undefined,
  ordered: undefined,
  p: undefined,
  pc: undefined,
  q: undefined,
  r: undefined,
  reg: undefined,
  ra: undefined,
  rd: undefined,
  rm: undefined,
  rn: undefined,
  rot: undefined,
  rs: undefined,
  rt: undefined,
  rt2: undefined,
  s: undefined,
  sat: undefined,
  sh: undefined,
  size: undefined,
  swap: undefined,
  sx: undefined,
  sz: undefined,
  t: undefined,
  tb: undefined,
  type: undefined,
  u: undefined,
  vd: undefined,
  vm: undefined,
  vn: undefined,
  w: undefined,
  widthMinus1: undefined,
  z: undefined,
});

/** The order is that of the cases of `setFrequent`. */
const frequent = ['cond', 'rn', 'rd', 'rm', 'rt', 'imm', 's', 'p', 'u', 'w', 'type', 'list'];

function setFrequent(record: Record<string, number>, index: number, value: number): void {
  switch (index) {
    case 0:
      record['cond'] = value;
      break;
    case 1:
      record['rn'] = value;
      break;
    case 2:
      record['rd'] = value;
      break;
    case 3:
      record['rm'] = value;
      break;
    case 4:
      record['rt'] = value;
      break;
    case 5:
      record['imm'] = value;
      break;
    case 6:
      record['s'] = value;
      break;
    case 7:
      record['p'] = value;
      break;
    case 8:
      record['u'] = value;
      break;
    case 9:
      record['w'] = value;
      break;
    case 10:
      record['type'] = value;
      break;
    case 11:
      record['list'] = value;
      break;
    default:
      throw new Error(`decoder: no field ${index}`);
  }
}

const records: FieldRecords = { empty: noFields, frequent, set: setFrequent };

/** One A32 or T32 encoding and its translate function; see `tcg/decode.ts` for patterns and options. */
export const row = rowFor<ArmContext>(records);
