import { row, type X86Row } from './row.ts';
import { loadMxcsr, storeMxcsr } from './sse-float.ts';
import * as x87 from './x87.ts';
import * as environment from './x87-environment.ts';

const arithmetic = ['FADD', 'FMUL', '', '', 'FSUB', 'FSUBR', 'FDIV', 'FDIVR'];

/** The six two-operand instructions of an opcode: by memory operand, or by register from `first` on. */
const memoryRows = (opcode: string, codes: string, name: (base: string) => string): X86Row[] =>
  arithmetic.flatMap((base, reg) =>
    base === '' ? [] : [row(name(base), `${opcode} /${reg}`, codes, x87.arithmeticMemory)],
  );

const registerRows = (opcode: string, codes: string, suffix: string): X86Row[] =>
  arithmetic.flatMap((base, reg) => {
    if (base === '') return [];
    // Where ST(i) is the destination, subtraction and its reverse have changed places.
    const name = opcode !== 'D8' && reg >= 4 ? arithmetic[reg ^ 1]! : base;
    return [
      row(name + suffix, `${opcode} ${(0xc0 + 8 * reg).toString(16).toUpperCase()}+i`, codes, x87.arithmeticRegister),
    ];
  });

const integer = (base: string): string => `FI${base.slice(1)}`;

/** Conditional moves of DA and, negated, of DB. */
const moves = (opcode: string, names: readonly string[]): X86Row[] =>
  names.map((name, i) =>
    row(`FCMOV${name}`, `${opcode} ${(0xc0 + 8 * i).toString(16).toUpperCase()}+i`, 'ST0,STi', x87.conditionalMove),
  );

/** The functions of D9 F0 to D9 FF. */
const functions: readonly (readonly [string, X86Row['translate']])[] = [
  ['F2XM1', x87.function_('exp2MinusOne')],
  ['FYL2X', x87.function_('yLog2')],
  ['FPTAN', x87.function_('tangent')],
  ['FPATAN', x87.function_('arcTangent')],
  ['FXTRACT', x87.function_('extract')],
  ['FPREM1', x87.function_('remainder1')],
  ['FDECSTP', x87.register('decrement')],
  ['FINCSTP', x87.register('increment')],
  ['FPREM', x87.function_('remainder')],
  ['FYL2XP1', x87.function_('yLog2OnePlus')],
  ['FSQRT', x87.function_('sqrt')],
  ['FSINCOS', x87.function_('sineCosine')],
  ['FRNDINT', x87.function_('roundToInteger')],
  ['FSCALE', x87.function_('scale')],
  ['FSIN', x87.function_('sine')],
  ['FCOS', x87.function_('cosine')],
];

/** The x87 instructions (SDM vol. 2, tables ), and those that keep its state in memory. */
export const x87Rows: readonly X86Row[] = [
  row('FWAIT', '9B', '', x87.wait),
  ...memoryRows('D8', 'Md', (base) => base),
  row('FCOM', 'D8 /2', 'Md', x87.compareMemory),
  row('FCOMP', 'D8 /3', 'Md', x87.compareMemory),
  ...registerRows('D8', 'ST0,STi', ''),
  row('FCOM', 'D8 D0+i', 'ST0,STi', x87.compareRegister(false, 0)),
  row('FCOMP', 'D8 D8+i', 'ST0,STi', x87.compareRegister(false, 1)),
  row('FLD', 'D9 /0', 'Md', x87.load('single')),
  row('FST', 'D9 /2', 'Md', x87.store('single', false)),
  row('FSTP', 'D9 /3', 'Md', x87.store('single', true)),
  row('FLDENV', 'D9 /4', 'M', environment.loadEnvironment),
  row('FLDCW', 'D9 /5', 'Mw', x87.loadControlWord),
  row('FNSTENV', 'D9 /6', 'M', environment.storeEnvironment),
  row('FNSTCW', 'D9 /7', 'Mw', x87.storeControlWord),
  row('FLD', 'D9 C0+i', 'STi', x87.register('load')),
  row('FXCH', 'D9 C8+i', 'STi', x87.register('exchange')),
  row('FNOP', 'D9 D0', '', x87.noOperation),
  // Not in the manual, but in all processors (sandpile.org).
  row('FSTP1', 'D9 D8+i', 'STi', x87.register('storePopQuiet')),
  row('FCHS', 'D9 E0', '', x87.register('changeSign')),
  row('FABS', 'D9 E1', '', x87.register('absolute')),
  row('FTST', 'D9 E4', '', x87.test),
  row('FXAM', 'D9 E5', '', x87.register('examine')),
  ...['FLD1', 'FLDL2T', 'FLDL2E', 'FLDPI', 'FLDLG2', 'FLDLN2', 'FLDZ'].map((name, i) =>
    row(name, `D9 ${(0xe8 + i).toString(16).toUpperCase()}`, '', x87.constant),
  ),
  ...functions.map(([name, translate], i) => row(name, `D9 ${(0xf0 + i).toString(16).toUpperCase()}`, '', translate)),
  ...memoryRows('DA', 'Md', integer),
  row('FICOM', 'DA /2', 'Md', x87.compareMemory),
  row('FICOMP', 'DA /3', 'Md', x87.compareMemory),
  row('FUCOMPP', 'DA E9', '', x87.compareRegister(true, 2)),
  ...moves('DA', ['B', 'E', 'BE', 'U']),
  row('FILD', 'DB /0', 'Md', x87.load('int32')),
  row('FISTTP', 'DB /1', 'Md', x87.store('int32', true, true)),
  row('FIST', 'DB /2', 'Md', x87.store('int32', false)),
  row('FISTP', 'DB /3', 'Md', x87.store('int32', true)),
  row('FLD', 'DB /5', 'Mt', x87.load80('extended')),
  row('FSTP', 'DB /7', 'Mt', x87.store('extended', true)),
  ...moves('DB', ['NB', 'NE', 'NBE', 'NU']),
  // FENI, FDISI and FSETPM of older units do nothing.
  row('FNENI', 'DB E0', '', x87.nothing),
  row('FNDISI', 'DB E1', '', x87.nothing),
  row('FNCLEX', 'DB E2', '', x87.clearExceptions),
  row('FNINIT', 'DB E3', '', x87.initialize),
  row('FNSETPM', 'DB E4', '', x87.nothing),
  row('FUCOMI', 'DB E8+i', 'ST0,STi', x87.compareToFlags(true, 0)),
  row('FCOMI', 'DB F0+i', 'ST0,STi', x87.compareToFlags(false, 0)),
  ...memoryRows('DC', 'Mq', (base) => base),
  row('FCOM', 'DC /2', 'Mq', x87.compareMemory),
  row('FCOMP', 'DC /3', 'Mq', x87.compareMemory),
  ...registerRows('DC', 'STi,ST0', ''),
  // Other encodings of instructions of D8 and D9 (SDM vol. 2, A.5.2.2), which processors know.
  row('FCOM', 'DC D0+i', 'ST0,STi', x87.compareRegister(false, 0)),
  row('FCOMP', 'DC D8+i', 'ST0,STi', x87.compareRegister(false, 1)),
  row('FLD', 'DD /0', 'Mq', x87.load('double')),
  row('FISTTP', 'DD /1', 'Mq', x87.store('int64', true, true)),
  row('FST', 'DD /2', 'Mq', x87.store('double', false)),
  row('FSTP', 'DD /3', 'Mq', x87.store('double', true)),
  row('FRSTOR', 'DD /4', 'M', environment.restore),
  row('FNSAVE', 'DD /6', 'M', environment.save),
  row('FNSTSW', 'DD /7', 'Mw', x87.storeStatusWord),
  row('FFREE', 'DD C0+i', 'STi', x87.register('free')),
  row('FXCH', 'DD C8+i', 'STi', x87.register('exchange')),
  row('FST', 'DD D0+i', 'STi', x87.register('store')),
  row('FSTP', 'DD D8+i', 'STi', x87.register('storePop')),
  row('FUCOM', 'DD E0+i', 'ST0,STi', x87.compareRegister(true, 0)),
  row('FUCOMP', 'DD E8+i', 'ST0,STi', x87.compareRegister(true, 1)),
  ...memoryRows('DE', 'Mw', integer),
  row('FICOM', 'DE /2', 'Mw', x87.compareMemory),
  row('FICOMP', 'DE /3', 'Mw', x87.compareMemory),
  ...registerRows('DE', 'STi,ST0', 'P'),
  row('FCOMP', 'DE D0+i', 'ST0,STi', x87.compareRegister(false, 1)),
  row('FCOMPP', 'DE D9', '', x87.compareRegister(false, 2)),
  row('FILD', 'DF /0', 'Mw', x87.load('int16')),
  row('FISTTP', 'DF /1', 'Mw', x87.store('int16', true, true)),
  row('FIST', 'DF /2', 'Mw', x87.store('int16', false)),
  row('FISTP', 'DF /3', 'Mw', x87.store('int16', true)),
  row('FBLD', 'DF /4', 'Mt', x87.load80('bcd')),
  row('FILD', 'DF /5', 'Mq', x87.load('int64')),
  row('FBSTP', 'DF /6', 'Mt', x87.store('bcd', true)),
  row('FISTP', 'DF /7', 'Mq', x87.store('int64', true)),
  row('FFREEP', 'DF C0+i', 'STi', x87.register('freePop')),
  row('FXCH', 'DF C8+i', 'STi', x87.register('exchange')),
  row('FSTP', 'DF D0+i', 'STi', x87.register('storePop')),
  row('FSTP', 'DF D8+i', 'STi', x87.register('storePop')),
  row('FNSTSW', 'DF E0', 'AX', x87.storeStatusWord),
  row('FUCOMIP', 'DF E8+i', 'ST0,STi', x87.compareToFlags(true, 1)),
  row('FCOMIP', 'DF F0+i', 'ST0,STi', x87.compareToFlags(false, 1)),
  row('FXSAVE', 'NP 0F AE /0', 'M', environment.extendedSave),
  row('FXRSTOR', 'NP 0F AE /1', 'M', environment.extendedRestore),
  row('LDMXCSR', 'NP 0F AE /2', 'Md', loadMxcsr),
  row('STMXCSR', 'NP 0F AE /3', 'Md', storeMxcsr),
];
