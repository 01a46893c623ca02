import elfy from 'elfy';
import type { Abi } from '../abi/abi.ts';
import { architectureOf } from '../abi/architectures.ts';
import { LoadError } from './load-error.ts';
import type { ProgramFile } from './program-file.ts';

/** One PT_* entry. */
export interface Segment {
  readonly type: 'load' | 'interp' | 'tls' | 'gnu_stack' | 'phdr' | 'other';
  /** p_type where elfy has no name for it. */
  readonly rawType: number;
  readonly offset: number;
  readonly address: number;
  readonly fileBytes: number;
  readonly memoryBytes: number;
  /** PROT_* bits. */
  readonly prot: number;
  readonly align: number;
}

/** What the loader needs of an ELF file, checked. */
export interface ElfImage {
  readonly type: 'exec' | 'dyn';
  readonly entry: number;
  readonly programHeaderOffset: number;
  readonly programHeaderBytes: number;
  readonly segments: readonly Segment[];
  /** The PT_LOAD ones, by address. */
  readonly loads: readonly Segment[];
  /** PT_INTERP's path, or null. */
  readonly interpreter: string | null;
  /** PT_GNU_STACK with PF_X, or no PT_GNU_STACK at all. */
  readonly executableStack: boolean;
}

const headerBytes = 64;
const phentsizes = { 1: 32, 2: 56 } as const;
const maximumHeaders = 65536 / 32;
const maximumInterpreter = 4096;

/** What messages call the machines of other ELF files, by e_machine. */
const machineNames: Readonly<Record<number, string>> = {
  2: 'SPARC',
  3: 'i386',
  4: 'm68k',
  8: 'MIPS',
  20: 'PowerPC',
  21: 'PowerPC64',
  22: 'S/390',
  40: 'ARM',
  42: 'SuperH',
  50: 'IA-64',
  62: 'x86-64',
  183: 'AArch64',
  243: 'RISC-V',
  258: 'LoongArch',
};

/** The e_machine of a file's first bytes, or null if they are not those of an ELF file. */
export function elfMachine(start: Uint8Array): number | null {
  if (start.length < 20 || !isElf(start)) return null;
  return start[5] === 2 ? (start[18] << 8) | start[19] : start[18] | (start[19] << 8);
}

export const isElf = (start: Uint8Array): boolean =>
  start.length >= 4 && start[0] === 0x7f && start[1] === 0x45 && start[2] === 0x4c && start[3] === 0x46;

/** Reads and checks the headers of `file`. Throws LoadError. */
export function readElf(file: ProgramFile, abi: Abi): ElfImage {
  const start = file.read(0, headerBytes);
  const fail = (what: string): never => {
    throw new LoadError(`${file.name}: ${what}`);
  };
  if (!isElf(start)) throw new LoadError(`${file.name}: not an ELF program`, 126);
  checkKind(file, start, abi);
  if (start.length < (abi.elf.class === 1 ? 52 : 64)) fail('the ELF header is cut short');

  const parser = new elfy.Parser();
  const header = parser.parseHeader(start);
  const type = header.type;
  if (type === 'rel') throw new LoadError(`${file.name}: an object file (.o), not a program; link it first`, 126);
  if (type === 'core') throw new LoadError(`${file.name}: a core dump, not a program`, 126);
  if (type !== 'exec' && type !== 'dyn')
    throw new LoadError(`${file.name}: ELF file of a type that is no program`, 126);
  if (header.phentsize !== phentsizes[abi.elf.class]) fail(`program headers of ${header.phentsize} bytes each`);
  if (header.phnum === 0) fail('no program headers: nothing to load');
  if (header.phnum > maximumHeaders) fail(`${header.phnum} program headers are too many`);

  const bytes = header.phnum * header.phentsize;
  if (header.phoff === 0) fail('no program headers: nothing to load');
  const table = header.phoff + bytes > file.size ? null : file.read(header.phoff, bytes);
  if (table === null || table.length < bytes) return fail('the program headers are cut short');
  // elfy takes offset 0 for "no table", so the table stands one entry into the buffer that it reads.
  const padded = Buffer.concat([Buffer.alloc(header.phentsize), table]);
  const programs = parser.parsePrograms(padded, { ...header, phoff: header.phentsize });
  return checked(file, header, programs.map(toSegment(table, header.phentsize)), bytes);
}

function checkKind(file: ProgramFile, start: Uint8Array, abi: Abi): void {
  const { machine, class: class_, data } = abi.elf;
  const found = elfMachine(start);
  if (found === null) throw new LoadError(`${file.name}: the ELF header is cut short`);
  if (start[4] !== 1 && start[4] !== 2) throw new LoadError(`${file.name}: invalid ELF class ${start[4]}`);
  if (start[5] !== 1 && start[5] !== 2) throw new LoadError(`${file.name}: invalid ELF data encoding ${start[5]}`);
  if (found !== machine) {
    const name = machineNames[found] ?? `unknown machine ${found}`;
    const architecture = architectureOf(found);
    const hint = architecture === null ? '' : `; tsemu-${architecture} is the command for it`;
    throw new LoadError(`${file.name}: a program for ${name}, not ${machineNames[machine]}${hint}`, 126);
  }
  if (start[4] !== class_) {
    throw new LoadError(
      `${file.name}: a ${start[4] === 1 ? 32 : 64}-bit ELF file where ${class_ * 32} bits are expected`,
      126,
    );
  }
  if (start[5] !== data) throw new LoadError(`${file.name}: a big-endian program; only little-endian ones run`, 126);
}

type Program = ReturnType<InstanceType<typeof elfy.Parser>['parsePrograms']>[number];

function toSegment(table: Buffer, stride: number): (program: Program, index: number) => Segment {
  return (program, index) => {
    const { type } = program;
    const known = type === 'load' || type === 'interp' || type === 'tls' || type === 'gnu_stack' || type === 'phdr';
    const { r, w, x } = program.flags;
    return {
      type: known ? type : 'other',
      rawType: table.readUInt32LE(index * stride),
      offset: program.offset,
      address: program.vaddr,
      fileBytes: program.filesz,
      memoryBytes: program.memsz,
      prot: (r ? 1 : 0) | (w ? 2 : 0) | (x ? 4 : 0),
      align: program.align,
    };
  };
}

function checked(
  file: ProgramFile,
  header: ReturnType<InstanceType<typeof elfy.Parser>['parseHeader']>,
  segments: readonly Segment[],
  programHeaderBytes: number,
): ElfImage {
  const loads = segments.filter(({ type, memoryBytes }) => type === 'load' && memoryBytes > 0);
  if (loads.length === 0) throw new LoadError(`${file.name}: no PT_LOAD segment: nothing to load`);
  let end = 0;
  for (const load of loads) {
    checkLoad(file, load);
    if (load.address < end) throw new LoadError(`${file.name}: PT_LOAD segments overlap or are out of order`);
    end = load.address + load.memoryBytes;
  }
  const interp = segments.find(({ type }) => type === 'interp');
  const stack = segments.find(({ type }) => type === 'gnu_stack');
  return {
    type: header.type as 'exec' | 'dyn',
    entry: header.entry,
    programHeaderOffset: header.phoff,
    programHeaderBytes,
    segments,
    loads,
    interpreter: interp === undefined ? null : readInterpreter(file, interp),
    executableStack: stack === undefined || (stack.prot & 4) !== 0,
  };
}

const pageMask = 4095;

function checkLoad(file: ProgramFile, load: Segment): void {
  const at = `the segment at 0x${load.address.toString(16)}`;
  const fail = (what: string): never => {
    throw new LoadError(`${file.name}: ${at} ${what}`);
  };
  if (load.fileBytes > load.memoryBytes) fail('is larger in the file than in memory');
  if (load.address + load.memoryBytes > 2 ** 32) fail('runs past the end of the address space');
  if (load.offset + load.fileBytes > file.size) fail('is cut short: the file ends before it');
  if (load.fileBytes > 0 && ((load.address ^ load.offset) & pageMask) !== 0)
    fail('lies at another page offset in the file');
  if (load.align > 1 && (load.align & (load.align - 1)) !== 0) fail(`has the alignment ${load.align}, no power of two`);
}

function readInterpreter(file: ProgramFile, segment: Segment): string {
  const { offset, fileBytes } = segment;
  if (fileBytes < 2 || fileBytes > maximumInterpreter) throw new LoadError(`${file.name}: PT_INTERP has no valid path`);
  const bytes = file.read(offset, fileBytes);
  if (bytes.length < fileBytes || bytes[fileBytes - 1] !== 0) {
    throw new LoadError(`${file.name}: PT_INTERP is cut short or not terminated`);
  }
  return bytes.subarray(0, bytes.indexOf(0)).toString('utf8');
}
