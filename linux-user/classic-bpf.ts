import { Errno } from '#util/errno.ts';

/** One instruction of classic BPF (struct sock_filter). */
export interface BpfInstruction {
  readonly code: number;
  readonly jumpTrue: number;
  readonly jumpFalse: number;
  readonly k: number;
}

/** Instruction classes, and the codes that filters of system calls may have (include/uapi/linux/bpf_common.h). */
const Bpf = {
  LD_W_ABS: 0x20,
  LD_W_LEN: 0x80,
  LDX_W_LEN: 0x81,
  LD_IMM: 0x00,
  LDX_IMM: 0x01,
  LD_MEM: 0x60,
  LDX_MEM: 0x61,
  ST: 0x02,
  STX: 0x03,
  JA: 0x05,
  RET_K: 0x06,
  RET_A: 0x16,
  TAX: 0x07,
  TXA: 0x87,
  NEG: 0x84,
} as const;
const alu = 4;
const jump = 5;
const sourceX = 8;

/** Arithmetic by its code without class and source. */
const arithmetic: Readonly<Record<number, (a: number, b: number) => number>> = {
  0x00: (a, b) => a + b,
  0x10: (a, b) => a - b,
  0x20: Math.imul,
  0x30: (a, b) => Math.floor(a / b),
  0x40: (a, b) => a | b,
  0x50: (a, b) => a & b,
  0x60: (a, b) => (b > 31 ? 0 : a << b),
  0x70: (a, b) => (b > 31 ? 0 : a >>> b),
  0xa0: (a, b) => a ^ b,
};
const divide = 0x30;

const comparisons: Readonly<Record<number, (a: number, b: number) => boolean>> = {
  0x10: (a, b) => a === b,
  0x20: (a, b) => a > b,
  0x30: (a, b) => a >= b,
  0x40: (a, b) => (a & b) !== 0,
};

/** Words of scratch memory (BPF_MEMWORDS). */
const memoryWords = 16;
/** Most instructions of a program (BPF_MAXINSNS). */
const longestProgram = 4096;

const plainCodes = new Set<number>(Object.values(Bpf));

function isKnown({ code }: BpfInstruction): boolean {
  if (plainCodes.has(code)) return true;
  const operation = code & 0xf0;
  if ((code & ~0xff) !== 0) return false;
  if ((code & 7) === alu) return operation in arithmetic;
  return (code & 7) === jump && operation in comparisons;
}

/** EINVAL for a program that seccomp does not take (bpf_check_classic, seccomp_check_filter). */
export function checkProgram(program: readonly BpfInstruction[], dataBytes: number): void {
  const { length } = program;
  if (length === 0 || length > longestProgram) throw new Errno('EINVAL');
  const last = program[length - 1];
  if (last.code !== Bpf.RET_K && last.code !== Bpf.RET_A) throw new Errno('EINVAL');
  program.forEach((instruction, index) => {
    if (!isKnown(instruction) || !isSound(instruction, length - index - 1, dataBytes)) throw new Errno('EINVAL');
  });
}

/** `ahead`: instructions that follow. */
function isSound({ code, jumpTrue, jumpFalse, k }: BpfInstruction, ahead: number, dataBytes: number): boolean {
  switch (code) {
    case Bpf.LD_W_ABS:
      return k % 4 === 0 && k < dataBytes;
    case Bpf.LD_MEM:
    case Bpf.LDX_MEM:
    case Bpf.ST:
    case Bpf.STX:
      return k < memoryWords;
    case Bpf.JA:
      return k < ahead;
    default:
      break;
  }
  const immediate = (code & sourceX) === 0;
  if ((code & 7) === jump) return jumpTrue < ahead && jumpFalse < ahead;
  if ((code & 7) !== alu || !immediate) return true;
  const operation = code & 0xf0;
  if (operation === divide) return k !== 0;
  return (operation !== 0x60 && operation !== 0x70) || k < 32;
}

const memory = new Uint32Array(memoryWords);

/** Runs a program that `checkProgram` has passed over `data`, whose words are u32; returns what it returns. */
export function runProgram(program: readonly BpfInstruction[], data: Uint32Array): number {
  let a = 0;
  let x = 0;
  memory.fill(0);
  for (let pc = 0; ; pc++) {
    const { code, jumpTrue, jumpFalse, k } = program[pc];
    switch (code) {
      case Bpf.RET_K:
        return k;
      case Bpf.RET_A:
        return a;
      case Bpf.LD_W_ABS:
        a = data[k >> 2];
        break;
      case Bpf.LD_W_LEN:
        a = data.byteLength;
        break;
      case Bpf.LDX_W_LEN:
        x = data.byteLength;
        break;
      case Bpf.LD_IMM:
        a = k;
        break;
      case Bpf.LDX_IMM:
        x = k;
        break;
      case Bpf.LD_MEM:
        a = memory[k];
        break;
      case Bpf.LDX_MEM:
        x = memory[k];
        break;
      case Bpf.ST:
        memory[k] = a;
        break;
      case Bpf.STX:
        memory[k] = x;
        break;
      case Bpf.JA:
        pc += k;
        break;
      case Bpf.TAX:
        x = a;
        break;
      case Bpf.TXA:
        a = x;
        break;
      case Bpf.NEG:
        a = -a >>> 0;
        break;
      default: {
        const operand = (code & sourceX) !== 0 ? x : k;
        const operation = code & 0xf0;
        if ((code & 7) === jump) pc += comparisons[operation](a, operand) ? jumpTrue : jumpFalse;
        else if (operation === divide && operand === 0) return 0;
        else a = arithmetic[operation](a, operand) >>> 0;
      }
    }
  }
}
