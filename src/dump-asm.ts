import type { Capstone, Const as Constants } from 'capstone-wasm';
import type { CodeReader, Target } from '#tcg/target.ts';

interface CapstoneCpu {
  readonly arch: number;
  /** Mode for a PC in the target's encoding. */
  mode(pc: number): number;
}

/** What Capstone calls our targets. One it does not know is described by its own decode tables. */
const capstoneCpus: Readonly<Record<string, ((constants: typeof Constants) => CapstoneCpu) | undefined>> = {
  arm: (names) => ({
    arch: names.CS_ARCH_ARM,
    mode: (pc) => (pc & 1 ? names.CS_MODE_THUMB : names.CS_MODE_ARM) | names.CS_MODE_V8,
  }),
  i386: (names) => ({ arch: names.CS_ARCH_X86, mode: () => names.CS_MODE_32 }),
};

/** The instructions of [start, end) as lines; `pc` is the PC of the first one in the target's encoding. */
export type Disassembler = (code: CodeReader, pc: number, start: number, end: number) => string;

/** A disassembler of `target`: Capstone where it knows the instruction, the target's decode tables elsewhere. */
export async function createDisassembler(target: Target): Promise<Disassembler> {
  // Imported only here: the bundle leaves it in node_modules.
  const { Capstone, Const, loadCapstone } = await import('capstone-wasm');
  const cpu = capstoneCpus[target.name]?.(Const);
  if (cpu) await loadCapstone();
  const open = new Map<number, Capstone>();
  const capstoneFor = (mode: number): Capstone => {
    let capstone = open.get(mode);
    if (!capstone) open.set(mode, (capstone = new Capstone(cpu!.arch, mode)));
    return capstone;
  };
  return (code, pc, start, end) => {
    const capstone = cpu && capstoneFor(cpu.mode(pc));
    let lines = '';
    for (let at = start; at < end; ) {
      const known = target.describe(code, pc + (at - start));
      const bytes = new Uint8Array(known.bytes);
      for (let k = 0; k < bytes.length; k++) bytes[k] = code.fetch8(at + k);
      const [insn] = capstone ? disassemble(capstone, bytes, at) : [];
      const text = insn?.size === bytes.length ? `${insn.mnemonic.padEnd(8)} ${insn.opStr}`.trimEnd() : known.text;
      lines += `0x${hex(at)}:  ${encoding(bytes).padEnd(9)} ${text}\n`;
      at += bytes.length;
    }
    return lines;
  };
}

/** Capstone throws where it knows no instruction. */
function disassemble(capstone: Capstone, bytes: Uint8Array, address: number): ReturnType<Capstone['disasm']> {
  try {
    return capstone.disasm(bytes, { address, count: 1 });
  } catch {
    return [];
  }
}

const hex = (value: number): string => (value >>> 0).toString(16).padStart(8, '0');

/** The encoding as the manual writes it: a word, or halfwords in order where it is shorter. */
function encoding(bytes: Uint8Array): string {
  return [...bytes]
    .reverse()
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join('');
}
