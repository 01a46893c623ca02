import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ArmAbi } from '#linux-user/abi/arm.ts';
import { At, fillStack, mapStack } from '#linux-user/loader/initial-stack.ts';
import { LoadError } from '#linux-user/loader/load-error.ts';
import {
  type LoadedProgram,
  loadProgram,
  type ResolvedProgram,
  resolveProgram,
} from '#linux-user/loader/load-program.ts';
import { ProgramFile } from '#linux-user/loader/program-file.ts';
import { hostPrograms } from '#linux-user/loader/program-opener.ts';
import { Mm } from '#linux-user/mm/mm.ts';
import { ResourceLimits } from '#linux-user/resource-limits.ts';
import { armState } from '#target/arm/state.ts';
import { armTarget } from '#target/arm/target.ts';
import { repoRoot } from './support/cache.ts';
import { protectedMemory } from './support/guest-memory.ts';

const abi = new ArmAbi(armState, armTarget.identity);
const stackBytes = 8 << 20;
const helloPath = join(repoRoot, 'fixtures/arm/hello');
const hello = readFileSync(helloPath);

function newMm(): Mm {
  return new Mm(protectedMemory(), {
    taskSize: abi.taskSize,
    stackBytes,
    limits: new ResourceLimits(stackBytes),
    effectiveAccess: (prot) => abi.effectiveAccess(prot),
  });
}

interface Loaded extends LoadedProgram {
  readonly mm: Mm;
  readonly resolved: ResolvedProgram;
}

const bytesOf = (texts: readonly string[]): Buffer[] => texts.map((text) => Buffer.from(text));

function load(path: string, prefix: string | null = null, mm = newMm(), argv = [path]): Loaded {
  const resolved = resolveProgram(new ProgramFile(path), bytesOf(argv), [abi], hostPrograms(prefix));
  mapStack(mm, stackBytes, resolved.image.executableStack);
  return { mm, resolved, ...loadProgram(mm, abi, resolved, hostPrograms(prefix)) };
}

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tsemu-loader-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function program(name: string, bytes: Uint8Array | string, mode = 0o755): string {
  const path = join(folder, name);
  writeFileSync(path, bytes, { mode });
  chmodSync(path, mode);
  return path;
}

/** hello with some bytes changed: `set(offset, value, bytes)`. */
function changed(...edits: readonly (readonly [offset: number, value: number, bytes: 1 | 2 | 4])[]): Buffer {
  const bytes = Buffer.from(hello);
  for (const [offset, value, count] of edits) bytes.writeUIntLE(value, offset, count);
  return bytes;
}

interface Header {
  type: number;
  offset: number;
  vaddr: number;
  filesz: number;
  memsz: number;
  flags: number;
  align: number;
}

/** A small ELF file with the program headers given; `body` follows at 0x1000. */
function elf(
  type: 2 | 3,
  entry: number,
  headers: readonly Header[],
  body: Uint8Array = new Uint8Array(0x2000),
): Buffer {
  const file = Buffer.alloc(0x1000 + body.length);
  file.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  file.writeUInt16LE(type, 16);
  file.writeUInt16LE(40, 18);
  file.writeUInt32LE(1, 20);
  file.writeUInt32LE(entry, 24);
  file.writeUInt32LE(52, 28);
  file.writeUInt32LE(0x0500_0400, 36);
  file.writeUInt16LE(52, 40);
  file.writeUInt16LE(32, 42);
  file.writeUInt16LE(headers.length, 44);
  headers.forEach((header, i) => {
    const { type: kind, offset, vaddr, filesz, memsz, flags, align } = header;
    [kind, offset, vaddr, vaddr, filesz, memsz, flags, align].forEach((value, j) => {
      file.writeUInt32LE(value >>> 0, 52 + 32 * i + 4 * j);
    });
  });
  file.set(body, 0x1000);
  return file;
}

const text = (more: Partial<Header> = {}): Header => ({
  type: 1,
  offset: 0,
  vaddr: 0x10000,
  filesz: 0x1800,
  memsz: 0x1800,
  flags: 5,
  align: 0x1000,
  ...more,
});

describe('good programs', () => {
  test('a fixed program: segments, heap, permissions', () => {
    const { mm, program: image } = load(helloPath);
    expect(image.bias).toBe(0);
    expect(image.entry).toBe(hello.readUInt32LE(24));
    expect(mm.memory.fetchable(image.entry, 4)).toBe(true);
    expect(mm.memory.copy(image.programHeaders, 32)).toEqual(new Uint8Array(hello.subarray(52, 84)));
    expect(mm.brkStart).toBeGreaterThanOrEqual(image.end);
    expect(mm.brkStart % 4096).toBe(0);
  });

  test('a file without sections', () => {
    expect(load(join(repoRoot, 'fixtures/arm/hello-nosections')).program.entry).toBeGreaterThan(0);
  });

  test('bss is zero, in the last file page and beyond', () => {
    const body = new Uint8Array(0x2000).fill(0xaa);
    const data = text({ offset: 0x1800, vaddr: 0x21800, filesz: 0x100, memsz: 0x2000, flags: 6 });
    const { mm } = load(program('bss', elf(2, 0x10100, [text(), data], body)));
    expect(mm.memory.load8(0x218ff)).toBe(0xaa);
    expect(mm.memory.load8(0x21900)).toBe(0);
    expect(mm.memory.load8(0x21fff)).toBe(0);
    expect(mm.memory.load32(0x237fc)).toBe(0);
    expect(mm.brkStart).toBe(0x24000);
    mm.memory.store8(0x21900, 1);
  });

  test('position-independent: at the base, or aligned above it', () => {
    const plain = load(program('pie', elf(3, 0x100, [text({ vaddr: 0 })])));
    expect([plain.program.bias, plain.program.entry]).toEqual([0x40_0000, 0x40_0100]);
    const aligned = load(program('pie64k', elf(3, 0x100, [text({ vaddr: 0x1000, offset: 0x1000, align: 0x20_0000 })])));
    expect(aligned.program.bias % 0x20_0000).toBe(0);
  });

  test('an interpreter below the -L folder, through an absolute link', () => {
    const prefix = join(folder, 'sysroot');
    mkdirSync(join(prefix, 'lib/deep'), { recursive: true });
    writeFileSync(join(prefix, 'lib/deep/ld.so'), elf(3, 0x200, [text({ vaddr: 0 })]), { mode: 0o755 });
    symlinkSync('/lib/deep/ld.so', join(prefix, 'lib/ld-linux.so.3'));
    const body = new Uint8Array(0x2000);
    body.set(Buffer.from('/lib/ld-linux.so.3\0'));
    const path = program(
      'dynamic',
      elf(3, 0x100, [text({ type: 3, offset: 0x1000, filesz: 19 }), text({ vaddr: 0 })], body),
    );
    const { interpreter, program: image } = load(path, prefix);
    expect(image.bias).toBe(0x40_0000);
    expect(interpreter!.entry).toBe(interpreter!.bias + 0x200);
    expect(interpreter!.bias).toBeGreaterThan(0xe000_0000);
  });

  test('a script runs by a guest interpreter below -L', () => {
    const prefix = join(folder, 'scripts');
    mkdirSync(join(prefix, 'bin'), { recursive: true });
    writeFileSync(join(prefix, 'bin/sh'), hello, { mode: 0o755 });
    const path = program('run.sh', '#! /bin/sh -e x\necho\n');
    const { argv } = load(path, prefix, newMm(), ['zero', 'one']).resolved;
    expect(argv.map(String)).toEqual(['/bin/sh', '-e x', path, 'one']);
  });
});

describe('the initial stack', () => {
  test('argc, argv, envp, auxv, all aligned', () => {
    const { mm, program: image, interpreter } = load(helloPath);
    const sp = fillStack(mm, {
      abi,
      program: image,
      interpreter,
      execPath: Buffer.from('./hello'),
      argv: bytesOf(['hello', 'ä', '']),
      environment: bytesOf(['A=1', 'B=']),
      credentials: { uid: 1, euid: 1, gid: 2, egid: 2 },
      random: new Uint8Array(16).fill(7),
      stackBytes,
    });
    const { memory } = mm;
    const at = (word: number): number => memory.load32(sp + 4 * word);
    const string = (address: number): string => Buffer.from(memory.cstring(address)).toString();
    expect(sp % 16).toBe(0);
    expect(at(0)).toBe(3);
    expect([string(at(1)), string(at(2)), string(at(3)), at(4)]).toEqual(['hello', 'ä', '', 0]);
    expect([string(at(5)), string(at(6)), at(7)]).toEqual(['A=1', 'B=', 0]);
    const auxv = new Map<number, number>();
    for (let i = 8; ; i += 2) {
      auxv.set(at(i), at(i + 1));
      if (at(i) === At.NULL) break;
    }
    expect(string(auxv.get(At.EXECFN)!)).toBe('./hello');
    expect(string(auxv.get(At.PLATFORM)!)).toBe('v7l');
    expect(memory.copy(auxv.get(At.RANDOM)!, 16)).toEqual(new Uint8Array(16).fill(7));
    expect(auxv.get(At.PHDR)).toBe(image.programHeaders);
    expect(
      [At.PHENT, At.PHNUM, At.BASE, At.ENTRY, At.UID, At.EGID, At.SECURE, At.PAGESZ].map((type) => auxv.get(type)),
    ).toEqual([32, hello.readUInt16LE(44), 0, image.entry, 1, 2, 0, 4096]);
    expect(Buffer.from(memory.copy(mm.argStart, mm.argEnd - mm.argStart)).toString()).toBe('hello\0ä\0\0');
    expect(Buffer.from(memory.copy(mm.envStart, mm.envEnd - mm.envStart)).toString()).toBe('A=1\0B=\0');
    expect(memory.load32(mm.stackTop - 4)).toBe(0);
  });

  test('too many arguments', () => {
    const { mm, program: image, interpreter } = load(helloPath);
    const credentials = { uid: 0, euid: 0, suid: 0, fsuid: 0, gid: 0, egid: 0, sgid: 0, fsgid: 0, groups: [] };
    const setup = {
      abi,
      program: image,
      interpreter,
      execPath: Buffer.from('x'),
      environment: [],
      credentials,
      random: new Uint8Array(16),
      stackBytes,
    };
    const fill = (argv: string[]) => () => fillStack(mm, { ...setup, argv: bytesOf(argv) });
    expect(fill(['x'.repeat(131072)])).toThrow(/argument list too long: one string/);
    expect(fill(new Array<string>(100).fill('x'.repeat(100000)))).toThrow(/argument list too long/);
  });
});

describe('files that cannot run say why, in one line', () => {
  const cases: [string, () => string, RegExp, number][] = [
    ['missing', () => join(folder, 'nothing'), /no such file$/, 127],
    ['below a file', () => `${helloPath}/x`, /no such file$/, 127],
    ['a directory', () => folder, /is a directory$/, 126],
    ['a device', () => '/dev/null', /not a regular file$/, 126],
    ['no x bit', () => program('nox', hello, 0o644), /not executable/, 126],
    ['empty', () => program('empty', ''), /the file is empty$/, 126],
    ['text', () => program('text', 'hello\n'), /not an ELF program$/, 126],
    ['a script', () => program('script', '#!/no/such/shell -x\n'), /a script for \/no\/such\/shell, .*-L/, 126],
    ['a script for nothing', () => program('script2', '#!\n'), /names no interpreter$/, 126],
    ['a short header', () => program('short', hello.subarray(0, 40)), /header is cut short$/, 1],
    ['four bytes', () => program('four', hello.subarray(0, 4)), /header is cut short$/, 1],
    ['class 9', () => program('class', changed([4, 9, 1])), /invalid ELF class 9$/, 1],
    ['64-bit ARM', () => program('class2', changed([4, 2, 1])), /64-bit/, 126],
    ['data 7', () => program('data', changed([5, 7, 1])), /invalid ELF data encoding 7$/, 1],
    ['big-endian', () => program('be', changed([5, 2, 1], [18, 0x2800, 2])), /big-endian/, 126],
    ['x86-64', () => program('x86', changed([18, 62, 2])), /for x86-64, not ARM$/, 126],
    ['RISC-V', () => program('riscv', changed([18, 243, 2])), /for RISC-V, not ARM$/, 126],
    ['unknown machine', () => program('machine', changed([18, 9999, 2])), /unknown machine 9999/, 126],
    ['object file', () => program('rel', changed([16, 1, 2])), /object file/, 126],
    ['core', () => program('core', changed([16, 4, 2])), /core dump/, 126],
    ['no headers', () => program('phnum', changed([44, 0, 2])), /no program headers/, 1],
    ['odd headers', () => program('phent', changed([42, 31, 2])), /program headers of 31 bytes/, 1],
    [
      'headers cut short',
      () => program('phoff', changed([28, hello.length - 8, 4])),
      /program headers are cut short$/,
      1,
    ],
    ['no PT_LOAD', () => program('noload', elf(2, 0, [text({ type: 4 })])), /no PT_LOAD/, 1],
    ['segment cut short', () => program('cut', elf(2, 0, [text({ filesz: 0x9000, memsz: 0x9000 })])), /cut short/, 1],
    ['filesz > memsz', () => program('mem', elf(2, 0, [text({ memsz: 16 })])), /larger in the file/, 1],
    [
      'wrapping',
      () => program('wrap', elf(2, 0, [text({ vaddr: 0xffff_f000, memsz: 0x2000 })])),
      /past the end of the address/,
      1,
    ],
    ['overlapping', () => program('overlap', elf(2, 0, [text(), text({ vaddr: 0x11000, offset: 0 })])), /overlap/, 1],
    ['page offset', () => program('offset', elf(2, 0, [text({ offset: 4 })])), /page offset/, 1],
    ['alignment', () => program('align', elf(2, 0, [text({ align: 3 })])), /no power of two/, 1],
    ['null page', () => program('null', elf(2, 0, [text({ vaddr: 0 })])), /begin below 0x8000/, 126],
    ['in the kernel', () => program('high', elf(2, 0, [text({ vaddr: 0xff00_0000 })])), /do not fit/, 126],
    ['absurd size', () => program('absurd', elf(2, 0, [text({ memsz: 0xfff0_0000 - 0x10000 })])), /do not fit/, 126],
    [
      'absurd PIE',
      () => program('pieabsurd', elf(3, 0, [text({ vaddr: 0, memsz: 0xff80_0000 })])),
      /does not fit/,
      126,
    ],
    [
      'unterminated PT_INTERP',
      () => program('interp', elf(2, 0, [text({ type: 3, filesz: 6 }), text()])),
      /not terminated/,
      1,
    ],
    [
      'long PT_INTERP',
      () => program('interp2', elf(2, 0, [text({ type: 3, filesz: 5000 }), text()])),
      /no valid path/,
      1,
    ],
  ];

  test.each(cases)('%s', (_name, path, message, exitCode) => {
    let caught: unknown = null;
    try {
      load(path());
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(LoadError);
    const error = caught as LoadError;
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain('\n');
    expect(error.exitCode).toBe(exitCode);
  });

  test('a missing interpreter', () => {
    const body = new Uint8Array(0x2000);
    body.set(Buffer.from('/lib/ld-none.so\0'));
    const path = program('nointerp', elf(2, 0, [text({ type: 3, offset: 0x1000, filesz: 16 }), text()], body));
    expect(() => load(path)).toThrow(/interpreter \/lib\/ld-none.so: no such file; -L names/);
  });
});

test('thousands of broken files: success or a LoadError, nothing else', { timeout: 60_000 }, () => {
  let seed = 0x5eed;
  const random = (limit: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * limit);
  };
  const interesting = [0, 1, 0x7f, 0x80, 0xff];
  const sources = [
    hello,
    readFileSync(join(repoRoot, 'fixtures/arm/arith')),
    elf(3, 0x100, [text({ vaddr: 0 }), text({ type: 3 })]),
  ];
  const path = program('mutant', hello);
  let mm = newMm();
  let good = 0;
  let refused = 0;
  for (let i = 0; i < 2400; i++) {
    const source = sources[i % sources.length];
    let bytes = Buffer.from(source);
    for (let edits = 1 + random(6); edits > 0; edits--) {
      // Mostly the headers: the code has no say in loading.
      const at = random(random(4) === 0 ? bytes.length : 52 + 32 * 4);
      if (at < bytes.length) bytes[at] = random(2) === 0 ? interesting[random(interesting.length)] : random(256);
    }
    if (random(10) === 0) bytes = bytes.subarray(0, random(bytes.length));
    writeFileSync(path, bytes);
    try {
      load(path, null, mm);
      good++;
    } catch (error) {
      if (!(error instanceof LoadError)) throw new Error(`mutation ${i}: ${String(error)}`, { cause: error });
      expect(error.message).not.toContain('\n');
      refused++;
    }
    if (mm.vmas.bytes > 64 << 20) mm = newMm();
    else mm.munmap(0x10000, mm.taskSize - 0x10000);
  }
  expect(good).toBeGreaterThan(100);
  expect(refused).toBeGreaterThan(500);
});
