/**
 * Operand codes as in the opcode maps of the manual (SDM vol. 2, appendix A.2): an addressing method in upper case and
 * a type in lower case, or the name of a register.
 */

/** Addressing methods. */
export const Method = {
  /** Opcode bits 2:0 select a general register (the manual writes its name). */
  Z: 0,
  /** ModRM.reg: general register. */
  G: 1,
  /** ModRM.rm: general register or memory. */
  E: 2,
  /** ModRM.rm: general register only. */
  R: 3,
  /** ModRM.rm: memory only. */
  M: 4,
  /** Immediate. */
  I: 5,
  /** Immediate byte, sign-extended to the operand size. */
  Is: 6,
  /** Relative branch target. */
  J: 7,
  /** Memory at an address in the instruction. */
  O: 8,
  /** Far pointer in the instruction. */
  A: 9,
  /** ModRM.reg: segment register. */
  S: 10,
  /** ModRM.reg: control and debug register. */
  C: 11,
  D: 12,
  /** ModRM.reg: XMM register; ModRM.rm: XMM register or memory; XMM register only. */
  V: 13,
  W: 14,
  U: 15,
  /** ModRM.reg: MMX register; ModRM.rm: MMX register or memory; MMX register only. */
  P: 16,
  Q: 17,
  N: 18,
  /** Memory at DS:[ESI] and at ES:[EDI]. */
  X: 19,
  Y: 20,
  /** A general register by name: `number` says which. */
  reg: 21,
  /** A segment register by name. */
  segment: 22,
  /** A constant. */
  constant: 23,
  /** ST(0); ST(i), which opcode bits 2:0 select. */
  st0: 24,
  sti: 25,
  /** VEX.vvvv: general register. */
  B: 26,
} as const;

/** Operand size that the operand-size attribute decides: 2 or 4 bytes. */
export const sizeV = -1;
/** Far pointer: 16 bits and an offset of the operand size. */
export const sizeP = -2;
/** Pair of words of the operand size (BOUND). */
export const sizeA = -3;

export interface Operand {
  readonly code: string;
  /** One of `Method`. */
  readonly method: number;
  /** Bytes, or one of the constants above; 0: any number, the instruction says. */
  readonly size: number;
  /** Number of a register named, value of a constant. */
  readonly number: number;
}

/** Bytes by type letters. */
const sizes: Readonly<Record<string, number>> = {
  b: 1,
  w: 2,
  d: 4,
  y: 4,
  q: 8,
  t: 10,
  dq: 16,
  x: 16,
  ps: 16,
  pd: 16,
  ss: 4,
  sd: 8,
  pi: 8,
  s: 6,
  v: sizeV,
  z: sizeV,
  p: sizeP,
  a: sizeA,
};

const byteRegisters = ['AL', 'CL', 'DL', 'BL', 'AH', 'CH', 'DH', 'BH'];
const wordRegisters = ['AX', 'CX', 'DX', 'BX', 'SP', 'BP', 'SI', 'DI'];
const segments = ['ES', 'CS', 'SS', 'DS', 'FS', 'GS'];

const known = new Map<string, Operand>();

/** The operand of a code; equal codes give one object. Throws on an unknown one. */
export function operandOf(code: string): Operand {
  let operand = known.get(code);
  if (operand === undefined) known.set(code, (operand = parse(code)));
  return operand;
}

function parse(code: string): Operand {
  if (code === 'ST0') return { code, method: Method.st0, size: 10, number: 0 };
  if (code === 'STi') return { code, method: Method.sti, size: 10, number: 0 };
  if (/^\d$/.test(code)) return { code, method: Method.constant, size: 1, number: Number(code) };
  if (segments.includes(code)) return { code, method: Method.segment, size: 2, number: segments.indexOf(code) };
  if (byteRegisters.includes(code)) return { code, method: Method.reg, size: 1, number: byteRegisters.indexOf(code) };
  const wide = code.startsWith('e') ? code.slice(1) : code;
  if (wordRegisters.includes(wide)) {
    return { code, method: Method.reg, size: code === wide ? 2 : sizeV, number: wordRegisters.indexOf(wide) };
  }
  if (code === 'Ibs') return { code, method: Method.Is, size: 1, number: 0 };
  const method = Method[code[0] as keyof typeof Method];
  const size = code === 'M' ? 0 : sizes[code.slice(1)];
  if (method === undefined || size === undefined) throw new Error(`unknown operand code ${code}`);
  return { code, method, size, number: 0 };
}

/** True if the method reads ModRM. */
export function usesModrm(method: number): boolean {
  switch (method) {
    case Method.G:
    case Method.E:
    case Method.R:
    case Method.M:
    case Method.S:
    case Method.C:
    case Method.D:
    case Method.V:
    case Method.W:
    case Method.U:
    case Method.P:
    case Method.Q:
    case Method.N:
      return true;
    default:
      return false;
  }
}
