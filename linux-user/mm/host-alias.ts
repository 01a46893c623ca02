import * as fs from 'node:fs';
import { Access, type GuestMemory, pageSize } from '#accel/guest-memory.ts';
import { loadFfi } from '../host-calls.ts';
import type { Vma } from './vma.ts';

/*
 * The same bytes at two addresses of one guest memory. The pages of a WebAssembly.Memory can be those of a file of the
 * host's, mapped over them: one in memory (memfd_create) that is ours alone, so that nobody can shorten it, which would
 * be a SIGBUS. Only on Linux on x86-64, through node:ffi; elsewhere such mappings are made alike at process switches.
 */

const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;
const MAP_NORESERVE = 0x4000;
const MFD_CLOEXEC = 1;

/** Ranges that may be mapped so at a time: each is a mapping of the host, of which it has a limited number. */
const maxMapped = 2000;
let mapped = 0;

/** Bytes copied at once. */
const chunkBytes = 1 << 20;

function openHost() {
  if (process.platform !== 'linux' || process.arch !== 'x64') return null;
  const ffi = loadFfi();
  if (ffi === undefined) return null;
  const { functions } = ffi.dlopen(null, {
    memfd_create: { arguments: ['pointer', 'u32'], return: 'i32' },
    mmap: { arguments: ['pointer', 'u64', 'i32', 'i32', 'i32', 'i64'], return: 'pointer' },
  });
  return { ffi, functions };
}

let host: ReturnType<typeof openHost> | undefined;

/** The bytes of one shared object where a guest memory shows them more than once. */
export class HostAlias {
  private readonly memory: GuestMemory;
  private readonly base: bigint;
  private readonly fd: number;
  /** The pages that show them, by number. */
  private readonly pages = new Set<number>();
  private ranges = 0;

  private constructor(memory: GuestMemory, base: bigint, fd: number) {
    this.memory = memory;
    this.base = base;
    this.fd = fd;
  }

  /** Could `create` succeed? */
  static get possible(): boolean {
    host ??= openHost();
    return host !== null && mapped < maxMapped;
  }

  /** null where the host does not do it. */
  static create(memory: GuestMemory): HostAlias | null {
    if (!HostAlias.possible) return null;
    const { ffi, functions } = host!;
    const name = new Uint8Array(new ArrayBuffer(6));
    name.set(Buffer.from('tsemu'));
    const fd = functions.memfd_create(ffi.getRawPointer(name.buffer), MFD_CLOEXEC);
    if (fd < 0) return null;
    return new HostAlias(memory, ffi.getRawPointer(memory.memory.buffer as unknown as ArrayBuffer), fd);
  }

  /**
   * The pages of `vma`, which must be readable and writable, become a view of the bytes from the VMA's offset on; what
   * they hold is put there. Pages that are one already stay as they are.
   */
  adopt({ start, end, offset }: Vma): void {
    if (mapped >= maxMapped) return;
    for (const [from, to] of this.runs(start, end, false)) {
      const at = offset + (from - start);
      if (fs.fstatSync(this.fd).size < at + (to - from)) fs.ftruncateSync(this.fd, at + (to - from));
      for (let chunk = from; chunk < to; chunk += chunkBytes) {
        const bytes = this.memory.view(chunk, Math.min(chunkBytes, to - chunk), Access.read);
        fs.writeSync(this.fd, bytes, 0, bytes.length, at + (chunk - from));
      }
      if (!this.map(from, to, MAP_SHARED, this.fd, at)) return;
      for (let page = from / pageSize; page < to / pageSize; page++) this.pages.add(page);
      this.ranges++;
      mapped++;
    }
  }

  /** Those of the pages [start, end), readable and writable, that show the bytes are plain ones again, and zero. */
  leave(start: number, end: number): void {
    for (const [from, to] of this.runs(start, end, true)) {
      if (!this.map(from, to, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {
        throw new Error('the host does not take back pages that it has mapped twice');
      }
      for (let page = from / pageSize; page < to / pageSize; page++) this.pages.delete(page);
    }
  }

  /** True once no page shows them. */
  get unused(): boolean {
    return this.pages.size === 0;
  }

  close(): void {
    fs.closeSync(this.fd);
    mapped -= this.ranges;
  }

  /** Runs of pages in [start, end) that show the bytes, or that do not. */
  private *runs(start: number, end: number, shown: boolean): Generator<readonly [number, number]> {
    for (let at = start; at < end; ) {
      let to = at;
      while (to < end && this.pages.has(to / pageSize) === shown) to += pageSize;
      if (to > at) yield [at, to];
      at = Math.max(to, at + pageSize);
    }
  }

  private map(start: number, end: number, flags: number, fd: number, offset: number): boolean {
    const at = this.base + BigInt(start);
    const result = host!.functions.mmap(
      at,
      BigInt(end - start),
      PROT_READ_WRITE,
      flags | MAP_FIXED,
      fd,
      BigInt(offset),
    );
    return result === at;
  }
}
