import { describe, expect, test } from 'vitest';
import { Access, pageSize } from '#accel/guest-memory.ts';
import { type MapRequest, Mm } from '#linux-user/mm/mm.ts';
import { Residue } from '#linux-user/mm/residue.ts';
import { type FileBacking, MapFlags, Prot, RemapFlags, SyncFlags } from '#linux-user/mm/vma.ts';
import { ResourceLimit, ResourceLimits } from '#linux-user/resource-limits.ts';
import { Errno, type ErrnoName } from '#util/errno.ts';
import { protectedMemory } from './support/guest-memory.ts';

const { ANONYMOUS, FIXED, FIXED_NOREPLACE, PRIVATE, SHARED } = MapFlags;
const RW = Prot.READ | Prot.WRITE;
const taskSize = 0xff00_0000;

/** `residue`: what another one has left in `memory`. */
function newMm(memory = protectedMemory(), residue = new Residue()): Mm {
  const options = {
    taskSize,
    stackBytes: 8 << 20,
    limits: new ResourceLimits(8 << 20),
    effectiveAccess: (prot: number) => ((prot & (Prot.WRITE | Prot.EXEC)) !== 0 ? prot | Prot.READ : prot),
  };
  const mm = new Mm(memory, options, residue);
  mm.brkStart = 0x20000;
  mm.brkEnd = 0x20000;
  return mm;
}

const anonymous = (length: number, more: Partial<MapRequest> = {}): MapRequest => ({
  address: 0,
  length,
  prot: RW,
  flags: PRIVATE | ANONYMOUS,
  file: null,
  offset: 0,
  ...more,
});

/** A file in an array. */
class ArrayFile implements FileBacking {
  readonly path = '/tmp/file';
  readonly deviceMajor = 8;
  readonly deviceMinor = 1;
  readonly inode = 99n;
  readonly readable: boolean;
  readonly writable: boolean;
  references = 0;
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array, writable = true, readable = true) {
    this.bytes = bytes;
    this.writable = writable;
    this.readable = readable;
  }
  readAt(target: Uint8Array, offset: number): number {
    const part = this.bytes.subarray(offset, offset + target.length);
    target.set(part);
    return part.length;
  }
  writeAt(source: Uint8Array, offset: number): void {
    this.bytes.set(source.subarray(0, Math.max(0, this.bytes.length - offset)), offset);
  }
  version(): string | null {
    return null;
  }
  retain(): void {
    this.references++;
  }
  release(): void {
    this.references--;
  }
}

const code = (run: () => unknown): ErrnoName | 'no error' => {
  try {
    run();
  } catch (error) {
    return (error as { code: ErrnoName }).code;
  }
  return 'no error';
};

describe('mmap', () => {
  test('goes top down below the stack, neighbours merge', () => {
    const mm = newMm();
    const a = mm.mmap(anonymous(5000));
    const b = mm.mmap(anonymous(pageSize));
    expect(a).toBe(mm.mmapBase - 2 * pageSize);
    expect(b).toBe(a - pageSize);
    expect([...mm.vmas]).toHaveLength(1);
    expect(mm.vmas.bytes).toBe(3 * pageSize);
    mm.memory.store32(a + 8188, 7);
    expect(mm.memory.load32(a + 8188)).toBe(7);
  });

  test('takes a free hint, not a taken one', () => {
    const mm = newMm();
    expect(mm.mmap(anonymous(pageSize, { address: 0x123456 }))).toBe(0x124000);
    expect(mm.mmap(anonymous(pageSize, { address: 0x124000 }))).toBe(mm.mmapBase - pageSize);
    expect(mm.mmap(anonymous(pageSize, { address: 1 }))).toBe(0x8000);
  });

  test.each<[string, Partial<MapRequest>, ErrnoName]>([
    ['length 0', { length: 0 }, 'EINVAL'],
    ['length that rounds to 2^32', { length: 0xffff_f001 }, 'ENOMEM'],
    ['more than the address space', { length: 0xff80_0000 }, 'ENOMEM'],
    ['neither shared nor private', { flags: ANONYMOUS }, 'EINVAL'],
    ['unaligned offset', { offset: 100 }, 'EINVAL'],
    ['unaligned fixed address', { address: 0x100100, flags: FIXED | PRIVATE | ANONYMOUS }, 'EINVAL'],
    ['fixed null page', { address: 0, flags: FIXED | PRIVATE | ANONYMOUS }, 'EPERM'],
    ['fixed beyond the end', { address: taskSize, flags: FIXED | PRIVATE | ANONYMOUS }, 'ENOMEM'],
    [
      'fixed over the end',
      { address: taskSize - pageSize, length: 8192, flags: FIXED | PRIVATE | ANONYMOUS },
      'ENOMEM',
    ],
    ['unreadable file', { file: new ArrayFile(new Uint8Array(1), true, false), flags: PRIVATE }, 'EACCES'],
    ['read-only file, shared and writable', { file: new ArrayFile(new Uint8Array(1), false), flags: SHARED }, 'EACCES'],
  ])('refuses: %s', (_name, more, expected) => {
    const mm = newMm();
    expect(code(() => mm.mmap(anonymous(pageSize, more)))).toBe(expected);
    expect([...mm.vmas]).toHaveLength(0);
  });

  test('fixed replaces, fixed-noreplace refuses', () => {
    const mm = newMm();
    const at = mm.mmap(anonymous(3 * pageSize));
    mm.memory.store32(at + pageSize, 5);
    const middle = { address: at + pageSize, prot: Prot.READ, flags: PRIVATE | ANONYMOUS };
    expect(code(() => mm.mmap(anonymous(pageSize, { ...middle, flags: middle.flags | FIXED_NOREPLACE })))).toBe(
      'EEXIST',
    );
    mm.mmap(anonymous(pageSize, { ...middle, flags: middle.flags | FIXED }));
    expect(mm.memory.load32(at + pageSize)).toBe(0);
    expect([...mm.vmas]).toHaveLength(3);
    expect(code(() => mm.memory.store32(at + pageSize, 1))).toBe('EFAULT');
  });

  test('write and execute imply read', () => {
    const mm = newMm();
    const at = mm.mmap(anonymous(pageSize, { prot: Prot.EXEC }));
    expect(mm.memory.permissions[at / pageSize]).toBe(Access.read | Access.execute);
    expect(mm.mapsText()).toContain(' --xp ');
  });

  test('RLIMIT_AS and RLIMIT_DATA', () => {
    const mm = newMm();
    mm.limits.set(ResourceLimit.AS, { soft: 65536, hard: 65536 });
    mm.mmap(anonymous(65536 - pageSize));
    expect(code(() => mm.mmap(anonymous(2 * pageSize)))).toBe('ENOMEM');
    mm.limits.set(ResourceLimit.AS, { soft: Infinity, hard: Infinity });
    mm.limits.set(ResourceLimit.DATA, { soft: 65536, hard: 65536 });
    expect(code(() => mm.mmap(anonymous(2 * pageSize)))).toBe('ENOMEM');
    expect(code(() => mm.mmap(anonymous(2 * pageSize, { prot: Prot.READ })))).toBe('no error');
  });
});

describe('munmap', () => {
  test('splits, gives pages back as zero, and accepts holes', () => {
    const mm = newMm();
    const at = mm.mmap(anonymous(4 * pageSize));
    mm.memory.store32(at + pageSize, 1);
    mm.munmap(at + pageSize, 2 * pageSize);
    expect([...mm.vmas].map(({ start, end }) => [start - at, end - at])).toEqual([
      [0, pageSize],
      [3 * pageSize, 4 * pageSize],
    ]);
    expect(code(() => mm.memory.load32(at + pageSize))).toBe('EFAULT');
    mm.munmap(at, 4 * pageSize);
    expect(mm.vmas.bytes).toBe(0);
    expect(mm.mmap(anonymous(4 * pageSize))).toBe(at);
    expect(mm.memory.load32(at + pageSize)).toBe(0);
  });

  test('errors', () => {
    const mm = newMm();
    expect(code(() => mm.munmap(0x10001, pageSize))).toBe('EINVAL');
    expect(code(() => mm.munmap(0x10000, 0))).toBe('EINVAL');
    expect(code(() => mm.munmap(0x10000, 0xffff_f000))).toBe('EINVAL');
    expect(code(() => mm.munmap(0xffff_0000, pageSize))).toBe('EINVAL');
    expect(code(() => mm.munmap(0x10000, pageSize))).toBe('no error');
  });
});

describe('mprotect', () => {
  test('changes part of a mapping and merges back', () => {
    const mm = newMm();
    const at = mm.mmap(anonymous(3 * pageSize));
    mm.mprotect(at + pageSize, 1, Prot.READ);
    expect([...mm.vmas]).toHaveLength(3);
    mm.mprotect(at + pageSize, pageSize, RW);
    expect([...mm.vmas]).toHaveLength(1);
  });

  test('reaches up to a hole, then ENOMEM', () => {
    const mm = newMm();
    const at = mm.mmap(anonymous(3 * pageSize));
    mm.munmap(at + pageSize, pageSize);
    expect(code(() => mm.mprotect(at, 3 * pageSize, Prot.READ))).toBe('ENOMEM');
    expect(code(() => mm.memory.store8(at, 1))).toBe('EFAULT');
    expect(code(() => mm.memory.store8(at + 2 * pageSize, 1))).toBe('no error');
  });

  test('errors', () => {
    const mm = newMm();
    const at = mm.mmap(
      anonymous(pageSize, { file: new ArrayFile(new Uint8Array(9), false), flags: SHARED, prot: Prot.READ }),
    );
    expect(code(() => mm.mprotect(at + 1, 1, RW))).toBe('EINVAL');
    expect(code(() => mm.mprotect(at, pageSize, 0x40))).toBe('EINVAL');
    expect(code(() => mm.mprotect(at, 0xffff_f000, RW))).toBe('ENOMEM');
    expect(code(() => mm.mprotect(at, pageSize, RW))).toBe('EACCES');
    expect(code(() => mm.mprotect(0x30000, 0, RW))).toBe('no error');
  });

  test('tells the engine when code or constants change, and only then', () => {
    const mm = newMm();
    const changes: [number, number][] = [];
    mm.onCodeChange = (start, end) => changes.push([start, end]);
    const at = mm.mmap(anonymous(2 * pageSize));
    expect(changes).toEqual([]);
    // That there was nothing to execute is a fact too.
    mm.mprotect(at, pageSize, Prot.READ | Prot.EXEC);
    expect(changes.splice(0)).toEqual([[at, at + pageSize]]);
    mm.mprotect(at, pageSize, RW);
    mm.mprotect(at, pageSize, Prot.READ);
    mm.munmap(at, 2 * pageSize);
    expect(changes).toEqual([
      [at, at + pageSize],
      [at, at + pageSize],
    ]);
  });
});

describe('files', () => {
  const content = (): Uint8Array => new Uint8Array(5000).map((_, i) => i % 251);

  test('private: read in, zero past the end, never written back', () => {
    const mm = newMm();
    const file = new ArrayFile(content());
    const at = mm.mmap(anonymous(2 * pageSize, { file, flags: PRIVATE }));
    expect(mm.memory.copy(at, 5000)).toEqual(content());
    expect(mm.memory.load8(at + 5000)).toBe(0);
    mm.memory.store8(at, 200);
    mm.madvise(at, pageSize, 4);
    expect(mm.memory.load8(at)).toBe(0);
    mm.memory.store8(at, 200);
    mm.munmap(at, 2 * pageSize);
    expect(file.bytes).toEqual(content());
    expect(file.references).toBe(0);
  });

  test('shared: written back by msync and munmap, only what changed', () => {
    const mm = newMm();
    const file = new ArrayFile(content());
    const at = mm.mmap(anonymous(2 * pageSize, { file, flags: SHARED }));
    mm.memory.store8(at + 4999, 77);
    file.bytes[0] = 123;
    mm.msync(at, 2 * pageSize, SyncFlags.SYNC);
    expect([file.bytes[0], file.bytes[4999]]).toEqual([123, 77]);
    mm.munmap(at, pageSize);
    mm.memory.store8(at + 4096, 78);
    mm.munmap(at + pageSize, pageSize);
    expect(file.bytes[4096]).toBe(78);
    expect(file.references).toBe(0);
  });

  test('offsets, split and merge keep the count of holders', () => {
    const mm = newMm();
    const file = new ArrayFile(content());
    const at = mm.mmap(anonymous(pageSize, { file, flags: PRIVATE, offset: pageSize, address: 0x40_1000 }));
    mm.mmap(anonymous(pageSize, { file, flags: PRIVATE | FIXED, address: at - pageSize }));
    expect(mm.mapsText()).toBe(`${'00400000-00402000 rw-p 00000000 08:01 99 '.padEnd(48)} /tmp/file\n`);
    expect(file.references).toBe(1);
    mm.mprotect(at, pageSize, Prot.READ);
    expect(file.references).toBe(2);
    mm.munmap(0x40_0000, 2 * pageSize);
    expect(file.references).toBe(0);
  });
});

describe('mremap', () => {
  const { MAYMOVE, FIXED: TO, DONTUNMAP } = RemapFlags;

  test('shrinks, grows in place, moves with the content', () => {
    const mm = newMm();
    const at = mm.mmap(anonymous(4 * pageSize, { address: 0x100000 }));
    mm.memory.store32(at, 42);
    expect(mm.mremap(at, 4 * pageSize, pageSize, 0, 0)).toBe(at);
    expect(mm.mremap(at, pageSize, 3 * pageSize, 0, 0)).toBe(at);
    mm.mmap(anonymous(pageSize, { address: at + 3 * pageSize, flags: PRIVATE | ANONYMOUS | FIXED, prot: Prot.READ }));
    expect(code(() => mm.mremap(at, 3 * pageSize, 5 * pageSize, 0, 0))).toBe('ENOMEM');
    const moved = mm.mremap(at, 3 * pageSize, 5 * pageSize, MAYMOVE, 0);
    expect(moved).not.toBe(at);
    expect(mm.memory.load32(moved)).toBe(42);
    expect(mm.memory.load32(moved + 4 * pageSize)).toBe(0);
    expect(code(() => mm.memory.load32(at))).toBe('EFAULT');
  });

  test('moves to a place, or keeps the old one mapped and empty', () => {
    const mm = newMm();
    const at = mm.mmap(anonymous(pageSize));
    mm.memory.store32(at, 1);
    expect(mm.mremap(at, pageSize, pageSize, MAYMOVE | TO, 0x200000)).toBe(0x200000);
    const copy = mm.mremap(0x200000, pageSize, pageSize, MAYMOVE | DONTUNMAP, 0);
    expect([mm.memory.load32(copy), mm.memory.load32(0x200000)]).toEqual([1, 0]);
  });

  test.each<[string, number, number, number, number, number, ErrnoName]>([
    ['unknown flag', 0, pageSize, pageSize, 8, 0, 'EINVAL'],
    ['fixed without maymove', 0, pageSize, pageSize, TO, 0x200000, 'EINVAL'],
    ['unaligned', 1, pageSize, pageSize, 0, 0, 'EINVAL'],
    ['new length 0', 0, pageSize, 0, 0, 0, 'EINVAL'],
    ['old length 0', 0, 0, pageSize, MAYMOVE, 0, 'EINVAL'],
    ['unmapped', -0x10000, pageSize, pageSize, 0, 0, 'EFAULT'],
    ['over the end of the mapping', 0, 3 * pageSize, 4 * pageSize, MAYMOVE, 0, 'EFAULT'],
    ['overlapping target', 0, pageSize, 2 * pageSize, MAYMOVE | TO, -pageSize, 'EINVAL'],
    ['dontunmap with another length', 0, pageSize, 2 * pageSize, MAYMOVE | DONTUNMAP, 0, 'EINVAL'],
  ])('refuses: %s', (_name, delta, oldLength, newLength, flags, to, expected) => {
    const mm = newMm();
    const at = mm.mmap(anonymous(2 * pageSize, { address: 0x100000 }));
    const target = to < 0 ? at + to : to;
    expect(code(() => mm.mremap(at + delta, oldLength, newLength, flags, target))).toBe(expected);
  });
});

describe('the rest', () => {
  test('brk grows, shrinks, stops at a mapping and hands out zeroes', () => {
    const mm = newMm();
    expect(mm.brk(0)).toBe(0x20000);
    expect(mm.brk(0x22345)).toBe(0x22345);
    mm.memory.store32(0x22000, 9);
    expect(mm.mapsText()).toContain('[heap]');
    expect(mm.brk(0x21000)).toBe(0x21000);
    expect(mm.brk(0x23000)).toBe(0x23000);
    expect(mm.memory.load32(0x22000)).toBe(0);
    mm.mmap(anonymous(pageSize, { address: 0x40000, flags: PRIVATE | ANONYMOUS | FIXED }));
    expect(mm.brk(0x50000)).toBe(0x23000);
  });

  test('madvise, mincore, mlock', () => {
    const mm = newMm();
    const at = mm.mmap(anonymous(2 * pageSize));
    mm.memory.store8(at, 1);
    mm.madvise(at, pageSize, 4);
    expect(mm.memory.load8(at)).toBe(0);
    expect(code(() => mm.madvise(at, pageSize, 99))).toBe('EINVAL');
    expect(code(() => mm.madvise(at, 3 * pageSize, 4))).toBe('ENOMEM');
    expect(mm.mincore(at, pageSize + 1)).toEqual(new Uint8Array([1, 1]));
    expect(code(() => mm.mincore(at, 3 * pageSize))).toBe('ENOMEM');
    mm.mlock(at, pageSize, true);
    expect([...mm.vmas]).toHaveLength(2);
    mm.mlock(at, 2 * pageSize, false);
    expect([...mm.vmas]).toHaveLength(1);
    expect(code(() => mm.msync(at, pageSize, SyncFlags.SYNC | SyncFlags.ASYNC))).toBe('EINVAL');
  });

  test('random calls keep the list sorted and the permissions right', () => {
    const mm = newMm();
    const model = new Map<number, number>();
    const base = 0x100;
    let seed = 12345;
    const random = (limit: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return (seed >>> 8) % limit;
    };
    for (let i = 0; i < 3000; i++) {
      const page = base + random(32);
      const pages = 1 + random(8);
      const prot = [0, Prot.READ, RW][random(3)];
      const range = Array.from({ length: pages }, (_, n) => page + n);
      if (random(3) === 0) {
        mm.munmap(page * pageSize, pages * pageSize);
        for (const each of range) model.delete(each);
      } else if (random(2) === 0) {
        const flags = FIXED | PRIVATE | ANONYMOUS;
        mm.mmap(anonymous(pages * pageSize, { address: page * pageSize, prot, flags }));
        for (const each of range) model.set(each, prot);
        if (prot === RW) mm.memory.store32(page * pageSize, i);
      } else {
        const whole = range.every((each) => model.has(each));
        expect(code(() => mm.mprotect(page * pageSize, pages * pageSize, prot))).toBe(whole ? 'no error' : 'ENOMEM');
        for (const each of range) {
          if (!model.has(each)) break;
          model.set(each, prot);
        }
      }
    }
    let end = 0;
    for (const vma of mm.vmas) {
      expect(vma.start).toBeGreaterThanOrEqual(end);
      end = vma.end;
    }
    for (let page = base; page < base + 48; page++) {
      expect(mm.memory.permissions[page]).toBe(model.get(page) ?? 0);
      expect(mm.vmas.at(page * pageSize)?.prot).toBe(model.get(page));
    }
    expect(mm.vmas.bytes).toBe(model.size * pageSize);
  });
});

/** A file that is known not to have changed. */
class LibraryFile extends ArrayFile {
  override version(): string {
    return 'unchanged';
  }
}

describe('a memory that is used again', () => {
  const at = 0x100000;
  const bytes = Uint8Array.from({ length: 4 * pageSize }, (_, i) => (i * 7 + (i >> 12)) & 255);
  const text = { address: at, length: 4 * pageSize, prot: Prot.READ | Prot.EXEC, flags: PRIVATE | FIXED };

  /** What a library leaves that is mapped whole, then with its data over the last page. */
  function used() {
    const [memory, residue] = [protectedMemory(), new Residue()];
    const mm = newMm(memory, residue);
    const file = new LibraryFile(bytes, false);
    mm.mmap({ ...anonymous(0), ...text, file });
    const data = { address: at + 3 * pageSize, length: pageSize, flags: PRIVATE | FIXED, offset: 3 * pageSize };
    mm.mmap({ ...anonymous(0), ...data, file });
    memory.store32(at + 3 * pageSize, 0x12345678);
    mm.retire();
    const again = newMm(memory, residue);
    const changes: number[][] = [];
    again.onCodeChange = (start, end) => changes.push([start, end]);
    return { memory, again, changes };
  }

  test('has the code of a library that is mapped whole again, and reads the rest anew', () => {
    const { memory, again, changes } = used();
    again.mmap({ ...anonymous(0), ...text, file: new LibraryFile(bytes, false) });
    expect(changes.filter(([start]) => start! < at + 3 * pageSize)).toEqual([]);
    expect(Buffer.compare(memory.view(at, 4 * pageSize, Access.execute | Access.read), bytes)).toBe(0);
  });

  test.each<[string, () => ArrayFile, number]>([
    [
      'another file',
      () =>
        new ArrayFile(
          bytes.map((byte) => byte ^ 1),
          false,
        ),
      0,
    ],
    ['another place of the file', () => new LibraryFile(bytes, false), pageSize],
  ])('gives up what is of %s', (_, make, offset) => {
    const { memory, again, changes } = used();
    const file = make();
    again.mmap({ ...anonymous(0), ...text, length: 3 * pageSize, file, offset });
    expect(changes.some(([start, end]) => start! <= at && end! >= at + 3 * pageSize)).toBe(true);
    const expected = file.bytes.subarray(offset, offset + 3 * pageSize);
    expect(Buffer.compare(memory.view(at, 3 * pageSize, Access.execute | Access.read), expected)).toBe(0);
  });

  test('has nothing translated of a mapping that could not be read', () => {
    const { memory, again, changes } = used();
    const file = new LibraryFile(bytes, false);
    file.readAt = () => {
      throw new Errno('EIO');
    };
    expect(() => again.mmap({ ...anonymous(0), ...text, file })).toThrow('EIO');
    expect(changes.some(([start, end]) => start! <= at && end! >= at + 3 * pageSize)).toBe(true);
    expect(memory.permissions[at / pageSize]).toBe(0);
  });
});
