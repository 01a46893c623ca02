/** The part of the npm package `elfy` that the loader uses: it works on files without sections. */
declare module 'elfy' {
  interface Header {
    readonly class: '32' | '64';
    readonly endian: 'lsb' | 'msb';
    /** `exec`, `dyn`, …; undefined for values that elfy has no name for. */
    readonly type: string | undefined;
    readonly machine: string | undefined;
    readonly entry: number;
    readonly phoff: number;
    readonly shoff: number;
    readonly flags: number;
    readonly phentsize: number;
    readonly phnum: number;
    readonly shentsize: number;
    readonly shnum: number;
    readonly shstrndx: number;
  }
  interface Program {
    /** `load`, `interp`, `tls`, `gnu_stack`…; undefined for types that elfy has no name for. */
    readonly type: string | undefined;
    readonly offset: number;
    readonly vaddr: number;
    readonly filesz: number;
    readonly memsz: number;
    readonly flags: { readonly r?: boolean; readonly w?: boolean; readonly x?: boolean };
    readonly align: number;
  }
  class Parser {
    parseHeader(bytes: Buffer): Header;
    parsePrograms(bytes: Buffer, header: Header): Program[];
  }
  const elfy: { readonly Parser: typeof Parser };
  export default elfy;
}
