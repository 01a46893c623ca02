/** The part of capstone-wasm that `dump-asm.ts` uses; its own declarations cannot be reached through its exports. */
declare module 'capstone-wasm' {
  interface Insn {
    readonly size: number;
    readonly mnemonic: string;
    readonly opStr: string;
  }
  class Capstone {
    constructor(arch: number, mode: number);
    /** Throws where it knows no instruction. */
    disasm(data: Uint8Array, options: { address: number; count: number }): Insn[];
  }
  type Name = 'CS_ARCH_ARM' | 'CS_MODE_ARM' | 'CS_MODE_THUMB' | 'CS_MODE_V8' | 'CS_ARCH_X86' | 'CS_MODE_32';
  const Const: Readonly<Record<Name, number>>;
  /** Loads the library; to be awaited before anything else. */
  function loadCapstone(): Promise<void>;

  export { Capstone, Const, loadCapstone };
}
