import { Op } from '#tcg/ops.ts';
import { row, type X86Row } from './row.ts';
import { moveMask, pandn } from './simd-integer.ts';
import * as move from './simd-move.ts';
import * as float from './sse-float.ts';
import type { SseForm } from './sse-helpers.ts';
import { lanes, type Translate } from './vector.ts';

/** Mandatory prefix of a form. */
const prefixOf = { ps: 'NP', pd: '66', ss: 'F3', sd: 'F2' } as const;

/** A row for each form: packed and scalar, single and double. */
const forms = (
  name: string,
  opcode: string,
  translate: (form: SseForm) => Translate,
  of: readonly SseForm[] = ['ps', 'pd', 'ss', 'sd'],
  immediate = '',
): X86Row[] =>
  of.map((form) =>
    row(name + form.toUpperCase(), `${prefixOf[form]} 0F ${opcode}`, `V${form},W${form}${immediate}`, translate(form)),
  );

/** The same operation for packed singles and doubles, whatever is in them. */
const packed = (name: string, opcode: string, translate: Translate): X86Row[] =>
  forms(name, opcode, () => translate, ['ps', 'pd']);

/** Moves of whole registers: to them, and (the next opcode) from them. */
const moves = (name: string, load: string, store: string, aligned: boolean): X86Row[] =>
  (['ps', 'pd'] as const).flatMap((form) => [
    row(name + form.toUpperCase(), `${prefixOf[form]} 0F ${load}`, 'Vdq,Wdq', move.moveWhole(aligned)),
    row(name + form.toUpperCase(), `${prefixOf[form]} 0F ${store}`, 'Wdq,Vdq', move.moveWhole(aligned)),
  ]);

/** SSE floating point and its moves (SDM vol. 2, tables ). */
export const sseRows: readonly X86Row[] = [
  ...moves('MOVU', '10', '11', false),
  row('MOVSS', 'F3 0F 10', 'Vss,Wss', move.moveScalar('f32')),
  row('MOVSS', 'F3 0F 11', 'Wss,Vss', move.moveScalar('f32')),
  row('MOVSD', 'F2 0F 10', 'Vsd,Wsd', move.moveScalar('f64')),
  row('MOVSD', 'F2 0F 11', 'Wsd,Vsd', move.moveScalar('f64')),
  row('MOVHLPS', 'NP 0F 12', 'Vdq,Udq', move.moveAcross(0)),
  row('MOVLPS', 'NP 0F 12', 'Vdq,Mq', move.moveHalf(0)),
  row('MOVLPD', '66 0F 12', 'Vdq,Mq', move.moveHalf(0)),
  row('MOVSLDUP', 'F3 0F 12', 'Vdq,Wdq', move.duplicate(4, [0, 0, 2, 2])),
  row('MOVDDUP', 'F2 0F 12', 'Vdq,Wq', move.duplicate(8, [0, 0])),
  row('MOVLPS', 'NP 0F 13', 'Mq,Vdq', move.moveHalf(0)),
  row('MOVLPD', '66 0F 13', 'Mq,Vdq', move.moveHalf(0)),
  row('UNPCKLPS', 'NP 0F 14', 'Vdq,Wdq', move.unpackFloats(4, 0)),
  row('UNPCKLPD', '66 0F 14', 'Vdq,Wdq', move.unpackFloats(8, 0)),
  row('UNPCKHPS', 'NP 0F 15', 'Vdq,Wdq', move.unpackFloats(4, 1)),
  row('UNPCKHPD', '66 0F 15', 'Vdq,Wdq', move.unpackFloats(8, 1)),
  row('MOVLHPS', 'NP 0F 16', 'Vdq,Udq', move.moveAcross(1)),
  row('MOVHPS', 'NP 0F 16', 'Vdq,Mq', move.moveHalf(1)),
  row('MOVHPD', '66 0F 16', 'Vdq,Mq', move.moveHalf(1)),
  row('MOVSHDUP', 'F3 0F 16', 'Vdq,Wdq', move.duplicate(4, [1, 1, 3, 3])),
  row('MOVHPS', 'NP 0F 17', 'Mq,Vdq', move.moveHalf(1)),
  row('MOVHPD', '66 0F 17', 'Mq,Vdq', move.moveHalf(1)),
  ...moves('MOVA', '28', '29', true),
  row('CVTPI2PS', 'NP 0F 2A', 'Vdq,Qq', float.mmxToSingles),
  row('CVTPI2PD', '66 0F 2A', 'Vdq,Qq', float.mmxToDoubles),
  row('CVTSI2SS', 'F3 0F 2A', 'Vss,Ed', float.fromGeneral('ss')),
  row('CVTSI2SD', 'F2 0F 2A', 'Vsd,Ed', float.fromGeneral('sd')),
  row('MOVNTPS', 'NP 0F 2B', 'Mdq,Vdq', move.moveWhole(true)),
  row('MOVNTPD', '66 0F 2B', 'Mdq,Vdq', move.moveWhole(true)),
  row('CVTTPS2PI', 'NP 0F 2C', 'Pq,Wq', float.toMmx('ps', true)),
  row('CVTTPD2PI', '66 0F 2C', 'Pq,Wdq', float.toMmx('pd', true)),
  row('CVTTSS2SI', 'F3 0F 2C', 'Gd,Wss', float.toGeneral('ss', true)),
  row('CVTTSD2SI', 'F2 0F 2C', 'Gd,Wsd', float.toGeneral('sd', true)),
  row('CVTPS2PI', 'NP 0F 2D', 'Pq,Wq', float.toMmx('ps', false)),
  row('CVTPD2PI', '66 0F 2D', 'Pq,Wdq', float.toMmx('pd', false)),
  row('CVTSS2SI', 'F3 0F 2D', 'Gd,Wss', float.toGeneral('ss', false)),
  row('CVTSD2SI', 'F2 0F 2D', 'Gd,Wsd', float.toGeneral('sd', false)),
  row('UCOMISS', 'NP 0F 2E', 'Vss,Wss', float.compareToFlags('ss', false)),
  row('UCOMISD', '66 0F 2E', 'Vsd,Wsd', float.compareToFlags('sd', false)),
  row('COMISS', 'NP 0F 2F', 'Vss,Wss', float.compareToFlags('ss', true)),
  row('COMISD', '66 0F 2F', 'Vsd,Wsd', float.compareToFlags('sd', true)),
  row('MOVMSKPS', 'NP 0F 50', 'Gd,Udq', moveMask(Op.bitmask_i32x4)),
  row('MOVMSKPD', '66 0F 50', 'Gd,Udq', moveMask(Op.bitmask_i64x2)),
  ...forms('SQRT', '51', float.sqrt),
  row('RSQRTPS', 'NP 0F 52', 'Vps,Wps', float.reciprocal(true, 'ps')),
  row('RSQRTSS', 'F3 0F 52', 'Vss,Wss', float.reciprocal(true, 'ss')),
  row('RCPPS', 'NP 0F 53', 'Vps,Wps', float.reciprocal(false, 'ps')),
  row('RCPSS', 'F3 0F 53', 'Vss,Wss', float.reciprocal(false, 'ss')),
  ...packed('AND', '54', lanes(Op.and_v128)),
  ...packed('ANDN', '55', pandn),
  ...packed('OR', '56', lanes(Op.or_v128)),
  ...packed('XOR', '57', lanes(Op.xor_v128)),
  ...forms('ADD', '58', (form) => float.arithmetic('add', form)),
  ...forms('MUL', '59', (form) => float.arithmetic('mul', form)),
  row('CVTPS2PD', 'NP 0F 5A', 'Vdq,Wq', float.singlesToDoubles),
  row('CVTPD2PS', '66 0F 5A', 'Vdq,Wdq', float.doublesToSingles),
  row('CVTSS2SD', 'F3 0F 5A', 'Vsd,Wss', float.betweenScalars('sd')),
  row('CVTSD2SS', 'F2 0F 5A', 'Vss,Wsd', float.betweenScalars('ss')),
  row('CVTDQ2PS', 'NP 0F 5B', 'Vdq,Wdq', float.integersToSingles),
  row('CVTPS2DQ', '66 0F 5B', 'Vdq,Wdq', float.singlesToIntegers(false)),
  row('CVTTPS2DQ', 'F3 0F 5B', 'Vdq,Wdq', float.singlesToIntegers(true)),
  ...forms('SUB', '5C', (form) => float.arithmetic('sub', form)),
  ...forms('MIN', '5D', (form) => float.extremum('min', form)),
  ...forms('DIV', '5E', (form) => float.arithmetic('div', form)),
  ...forms('MAX', '5F', (form) => float.extremum('max', form)),
  ...(['pd', 'ps'] as const).map((form) =>
    row(`HADD${form.toUpperCase()}`, `${form === 'pd' ? '66' : 'F2'} 0F 7C`, 'Vdq,Wdq', float.horizontal('add', form)),
  ),
  ...(['pd', 'ps'] as const).map((form) =>
    row(`HSUB${form.toUpperCase()}`, `${form === 'pd' ? '66' : 'F2'} 0F 7D`, 'Vdq,Wdq', float.horizontal('sub', form)),
  ),
  ...(['pd', 'ps'] as const).map((form) =>
    row(`ADDSUB${form.toUpperCase()}`, `${form === 'pd' ? '66' : 'F2'} 0F D0`, 'Vdq,Wdq', float.addSub(form)),
  ),
  ...forms('CMP', 'C2', float.compare, ['ps', 'pd', 'ss', 'sd'], ',Ib'),
  row('SHUFPS', 'NP 0F C6', 'Vdq,Wdq,Ib', move.shufps),
  row('SHUFPD', '66 0F C6', 'Vdq,Wdq,Ib', move.shufpd),
  row('CVTTPD2DQ', '66 0F E6', 'Vdq,Wdq', float.doublesToIntegers(true)),
  row('CVTDQ2PD', 'F3 0F E6', 'Vdq,Wq', float.integersToDoubles),
  row('CVTPD2DQ', 'F2 0F E6', 'Vdq,Wdq', float.doublesToIntegers(false)),
  row('ROUNDPS', '66 0F 3A 08', 'Vps,Wps,Ib', float.round('ps')),
  row('ROUNDPD', '66 0F 3A 09', 'Vpd,Wpd,Ib', float.round('pd')),
  row('ROUNDSS', '66 0F 3A 0A', 'Vss,Wss,Ib', float.round('ss')),
  row('ROUNDSD', '66 0F 3A 0B', 'Vsd,Wsd,Ib', float.round('sd')),
  row('DPPS', '66 0F 3A 40', 'Vps,Wps,Ib', float.dot('ps')),
  row('DPPD', '66 0F 3A 41', 'Vpd,Wpd,Ib', float.dot('pd')),
];
