import { pageSize } from '#accel/guest-memory.ts';
import type { Mm } from '../mm/mm.ts';
import { Prot } from '../mm/vma.ts';

/*
 * The vDSO (arch/x86/entry/vdso/vdso32): an ELF image with the code that programs enter the kernel through and return
 * from handlers with. The instructions are those the kernel documents, byte for byte where unwinders recognize them.
 */

export const vdsoAddress = 0xffff_e000;

/** The versions of symbols that Linux's has (arch/x86/entry/vdso/vdso32/vdso32.lds.S). */
const soName = 'linux-gate.so.1';
const versions = [soName, 'LINUX_2.6', 'LINUX_2.5'] as const;

interface Piece {
  readonly name: string;
  readonly version: (typeof versions)[number];
  readonly offset: number;
  readonly code: readonly number[];
}

/** Where code begins in the image. */
const codeStart = 0x800;

/**
 * The calls of the clock that C libraries look for here. A system call costs little, so that is what they make:
 * push ebx; mov ebx, [esp+8]; mov ecx, [esp+12]; mov eax, number; int 0x80; pop ebx; ret
 */
const clockCalls = (
  [
    ['__vdso_clock_gettime', 265],
    ['__vdso_gettimeofday', 78],
    ['__vdso_time', 13],
    ['__vdso_clock_gettime64', 403],
    ['__vdso_clock_getres', 266],
  ] as const
).map(
  ([name, number], i): Piece => ({
    name,
    version: 'LINUX_2.6',
    offset: codeStart + 0x60 + 0x20 * i,
    code: [
      ...[0x53, 0x8b, 0x5c, 0x24, 8, 0x8b, 0x4c, 0x24, 12],
      ...[0xb8, number & 0xff, number >> 8, 0, 0, 0xcd, 0x80, 0x5b, 0xc3],
    ],
  }),
);

const pieces: readonly Piece[] = [
  {
    name: '__kernel_vsyscall',
    version: 'LINUX_2.5',
    offset: codeStart,
    code: [
      ...[0x51, 0x52, 0x55], //        push ecx; push edx; push ebp
      ...[0x89, 0xe5], //              mov ebp, esp
      ...[0x0f, 0x34], //              sysenter
      ...[0xcd, 0x80], //              int 0x80: sysenter comes here
      ...[0x5d, 0x5a, 0x59, 0xc3], //  pop ebp; pop edx; pop ecx; ret
    ],
  },
  // pop eax; mov eax, 119; int 0x80
  {
    name: '__kernel_sigreturn',
    version: 'LINUX_2.5',
    offset: codeStart + 0x20,
    code: [0x58, 0xb8, 0x77, 0, 0, 0, 0xcd, 0x80],
  },
  // mov eax, 173; int 0x80
  {
    name: '__kernel_rt_sigreturn',
    version: 'LINUX_2.5',
    offset: codeStart + 0x40,
    code: [0xb8, 0xad, 0, 0, 0, 0xcd, 0x80],
  },
  ...clockCalls,
];
/** Of SYSENTER and of the `int 0x80` behind it in __kernel_vsyscall. */
const sysenterOffset = 5;
const returnOffset = 7;
const nop = 0x90;

const addressOf = (name: string): number => vdsoAddress + pieces.find((piece) => piece.name === name)!.offset;

/** AT_SYSINFO. */
export const vsyscallAddress = addressOf('__kernel_vsyscall');
/** Where SYSENTER comes back to. */
export const sysenterAddress = vsyscallAddress + returnOffset;
export const sigreturnAddress = addressOf('__kernel_sigreturn');
export const rtSigreturnAddress = addressOf('__kernel_rt_sigreturn');

/** The name of the vDSO function that holds `address`, or null. */
export function vdsoSymbol(address: number): string | null {
  const at = address - vdsoAddress;
  return pieces.find(({ offset, code }) => at >= offset && at < offset + code.length)?.name ?? null;
}

/** Section and segment types, dynamic tags, and sizes of ELF (32-bit). */
const headerBytes = 52;
const programHeaderBytes = 32;
const symbolBytes = 16;
const dynamicOffset = 0x100;
const hashOffset = 0x180;
const symbolOffset = 0x200;
const stringOffset = 0x300;
const versionOffset = 0x480;
const definitionOffset = 0x4a0;
const definitionBytes = 28;
/** There is no section table, but programs refuse symbols that are undefined or absolute. */
const someSection = 1;

/** The hash of a name (System V ABI, dynamic linking). */
function elfHash(name: string): number {
  let hash = 0;
  for (let i = 0; i < name.length; i++) {
    hash = (hash << 4) + name.charCodeAt(i);
    const top = hash & 0xf000_0000;
    hash = (hash ^ (top >>> 24)) & ~top;
  }
  return hash;
}

/** The ELF image, one page. */
function image(): Uint8Array {
  const bytes = new Uint8Array(pageSize);
  const view = new DataView(bytes.buffer);
  const words = (at: number, ...values: number[]): void =>
    values.forEach((value, i) => view.setUint32(at + 4 * i, value, true));
  const halves = (at: number, ...values: number[]): void =>
    values.forEach((value, i) => view.setUint16(at + 2 * i, value, true));

  bytes.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1], 0);
  // e_type ET_DYN, e_machine EM_386; e_version, e_entry, e_phoff, e_shoff, e_flags; sizes and counts.
  halves(16, 3, 3);
  words(20, 1, vsyscallAddress, headerBytes, 0, 0);
  halves(40, headerBytes, programHeaderBytes, 2, 0, 0, 0);
  const dynamic = [
    ...[4, hashOffset, 5, stringOffset, 6, symbolOffset, 10, versionOffset - stringOffset, 11, symbolBytes, 14, 1],
    // DT_VERSYM, DT_VERDEF, DT_VERDEFNUM.
    ...[0x6fff_fff0, versionOffset, 0x6fff_fffc, definitionOffset, 0x6fff_fffd, versions.length, 0, 0],
  ];
  // PT_LOAD r-x and PT_DYNAMIC: type, offset, vaddr, paddr, filesz, memsz, flags, align.
  words(headerBytes, 1, 0, 0, 0, pageSize, pageSize, 5, pageSize);
  const size = dynamic.length * 4;
  words(headerBytes + programHeaderBytes, 2, dynamicOffset, dynamicOffset, dynamicOffset, size, size, 4, 4);
  words(dynamicOffset, ...dynamic);

  // One hash bucket chains all symbols.
  const count = pieces.length + 1;
  words(hashOffset, 1, count, count > 1 ? 1 : 0, 0, ...pieces.map((_, i) => (i + 2 < count ? i + 2 : 0)));
  let names = 1;
  const addString = (text: string): number => {
    const at = names;
    for (let i = 0; i < text.length; i++) bytes[stringOffset + names++] = text.charCodeAt(i);
    names++;
    return at;
  };
  versions.forEach((version, i) => {
    const at = definitionOffset + definitionBytes * i;
    // vd_version, vd_flags (VER_FLG_BASE for the object's own name), vd_ndx, vd_cnt; vd_hash, vd_aux, vd_next; vda_name.
    halves(at, 1, i === 0 ? 1 : 0, i + 1, 1);
    words(at + 8, elfHash(version), 20, i + 1 < versions.length ? definitionBytes : 0, addString(version), 0);
  });
  pieces.forEach(({ name, version, offset, code }, i) => {
    const at = symbolOffset + symbolBytes * (i + 1);
    words(at, addString(name), offset, code.length);
    // STB_GLOBAL STT_FUNC, default visibility.
    bytes[at + 12] = 0x12;
    halves(at + 14, someSection);
    halves(versionOffset + 2 * (i + 1), versions.indexOf(version) + 1);
    bytes.set(code, offset);
  });
  return bytes;
}

/** Maps the vDSO, readable and executable, for a CPU with or without SYSENTER. */
export function mapVdso(mm: Mm, hasSysenter: boolean): void {
  const bytes = image();
  const at = codeStart + sysenterOffset;
  if (!hasSysenter) bytes.fill(nop, at, at + 2);
  mm.mapKernelPage(vdsoAddress, bytes, Prot.READ | Prot.EXEC, '[vdso]');
}
