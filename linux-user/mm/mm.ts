import { Access, type GuestMemory, pageSize } from '#accel/guest-memory.ts';
import type { Text } from '#accel/stored/stored-code.ts';
import { Errno } from '#util/errno.ts';
import { createLog } from '#util/log.ts';
import { loadHostAlias } from '../lazy.ts';
import { ResourceLimit, type ResourceLimits } from '../resource-limits.ts';
import { madvise, mincore, mlock, msync } from './advice.ts';
import type { FileMemory } from './file-memory.ts';
import type { HostAlias } from './host-alias.ts';
import { mapsText } from './maps-text.ts';
import { mmapMinAddress, pageCeil, pageFloor } from './page-math.ts';
import { isZero, readIn, sameContent, takeSnapshot, writeBack, zeroPages } from './pages.ts';
import { mremap, remapFilePages } from './remap.ts';
import { Residue, type ResiduePiece } from './residue.ts';
import { SharedMemory } from './shared-memory.ts';
import { type FileBacking, MapFlags, Prot, type Vma } from './vma.ts';
import { VmaList } from './vma-list.ts';

const log = createLog('mm');
const range = (start: number, length: number): string => `0x${start.toString(16)}+0x${length.toString(16)}`;

/** Where the bottom-up search starts when there is no room below mmapBase: a third of the address space. */
const unmappedBase = 0x5500_0000;
/** Smallest room kept between the stack's top and the mappings, as Linux does. */
const minimumStackGap = 128 << 20;

export interface MmOptions {
  /** First address that user mode cannot map; at most the memory's `taskSize`. */
  readonly taskSize: number;
  readonly stackBytes: number;
  readonly limits: ResourceLimits;
  /** May all guests together have so many bytes more? */
  readonly mayGrow?: (bytes: number) => boolean;
  /** Abi.effectiveAccess. */
  readonly effectiveAccess: (prot: number) => number;
}

/** A request to map (mmap2). */
export interface MapRequest {
  readonly address: number;
  readonly length: number;
  readonly prot: number;
  readonly flags: number;
  /** null for MAP_ANONYMOUS. */
  readonly file: FileBacking | null;
  /** Byte offset in the file, a multiple of the page size. */
  readonly offset: number;
  readonly name?: string;
  /** What a shared mapping without a file shows: memory that other address spaces map too; else it gets its own. */
  readonly object?: SharedMemory;
}

/**
 * A process's address space: which pages are mapped, how, and to what. Addresses and lengths are u32 numbers; the
 * methods named like system calls throw `Errno` exactly where Linux fails. Unmapped pages are kept zero.
 */
export class Mm {
  readonly memory: GuestMemory;
  readonly vmas: VmaList = new VmaList();
  readonly taskSize: number;
  readonly stackTop: number;
  readonly mmapBase: number;
  readonly limits: ResourceLimits;
  readonly access: (prot: number) => number;
  private readonly mayGrow: (bytes: number) => boolean;
  private readonly stackBytes: number;
  private readonly residue: Residue;
  /** Start of the heap and its end now, to the byte. */
  brkStart = 0;
  brkEnd = 0;
  /** MCL_FUTURE is on. */
  lockFuture = false;
  /** Some mapping is shared with another process. */
  private sharing = false;
  /** Some shared mapping of a file is seen by others. */
  sharesFiles = false;
  /** Shared memory that is mapped more than once in here, where the host can do that; null for none. */
  private aliases: Map<SharedMemory, HostAlias> | null = null;
  /** Where the program's arguments and environment are: /proc/self/cmdline and environ. */
  argStart = 0;
  argEnd = 0;
  envStart = 0;
  envEnd = 0;
  /** The auxiliary vector as laid out on the stack: /proc/self/auxv. */
  auxv: Uint8Array = new Uint8Array(0);
  /** 1 for each page that could be written since it was last zero: the others need no look when they are unmapped. */
  private readonly everWritable: Uint8Array;
  /** Called when translated code of [start, end), or code that read constants there, may be stale. */
  onCodeChange: (start: number, end: number) => void = () => {};

  /** `residue`: what another address space has left in the memory, which is zero otherwise. */
  constructor(memory: GuestMemory, options: MmOptions, residue: Residue = new Residue()) {
    this.memory = memory;
    this.residue = residue;
    this.everWritable = residue.everWritable;
    this.taskSize = options.taskSize;
    this.stackTop = options.taskSize;
    this.limits = options.limits;
    this.stackBytes = options.stackBytes;
    this.access = options.effectiveAccess;
    this.mayGrow = options.mayGrow ?? (() => true);
    const gap = Math.min(Math.max(options.stackBytes, minimumStackGap), Math.floor(options.taskSize / 6) * 5);
    this.mmapBase = pageFloor(this.stackTop - gap);
  }

  /** Maps a page with given contents at a fixed address, also beyond `taskSize`: what the kernel gives each program. */
  mapKernelPage(start: number, contents: Uint8Array, prot: number, name: string): void {
    const { memory } = this;
    const end = start + pageSize;
    memory.protect(start, end, Access.read | Access.write);
    memory.write(start, contents);
    this.vmas.insert({
      start,
      end,
      prot,
      shared: false,
      file: null,
      object: null,
      offset: 0,
      name,
      locked: false,
      pristine: null,
      snapshot: null,
    });
    memory.protect(start, end, this.access(prot));
  }

  /** Writes into pages that `mapKernelPage` has mapped, whatever the program may do with them. */
  writeKernelPages(address: number, bytes: Uint8Array): void {
    const { memory } = this;
    const [start, end] = [pageFloor(address), pageCeil(address + bytes.length)];
    const { prot } = this.vmas.at(address)!;
    memory.protect(start, end, Access.read | Access.write);
    memory.write(address, bytes);
    memory.protect(start, end, this.access(prot));
  }

  /** mmap(2); returns the address. */
  mmap(request: MapRequest): number {
    const { prot, flags, file, offset } = request;
    if (request.length === 0) throw new Errno('EINVAL');
    const length = pageCeil(request.length);
    if (length >= 2 ** 32) throw new Errno('ENOMEM');
    if (offset % pageSize !== 0) throw new Errno('EINVAL');
    if (offset + length > 2 ** 44) throw new Errno('EOVERFLOW');
    const type = flags & MapFlags.TYPE;
    const shared = type === MapFlags.SHARED || type === MapFlags.SHARED_VALIDATE;
    if (!shared && type !== MapFlags.PRIVATE) throw new Errno('EINVAL');
    const start = this.placeFor(request.address, length, flags);
    if (file !== null) {
      if (!file.readable) throw new Errno('EACCES');
      if (shared && (prot & Prot.WRITE) !== 0 && !file.writable) throw new Errno('EACCES');
    }
    this.checkLimits(length, prot, shared, start);
    const pages = shared ? this.filePages(file, offset, length) : null;

    const vma = {
      start,
      end: start + length,
      prot: prot & 7,
      shared,
      file,
      object: shared && file === null ? (request.object ?? new SharedMemory(length)) : pages,
      offset: file === null && request.object === undefined ? 0 : offset,
      name: request.name ?? '',
      locked: this.lockFuture || (flags & MapFlags.LOCKED) !== 0,
      pristine: shared || (prot & Prot.WRITE) !== 0 ? null : (file?.version() ?? null),
      snapshot: null,
    };
    this.drop(this.vmas.carve(vma.start, vma.end));
    const { object } = vma;
    const twice = object !== null && this.shows(object, vma.offset, length);
    if (twice) this.publish(object);
    this.place(vma);
    if (request.object !== undefined) {
      this.sharing = true;
      // What is brought in must be zeroed at the end, whatever the guest may do with it.
      this.everWritable.fill(1, vma.start / pageSize, vma.end / pageSize);
      request.object.fetch(this.memory, vma);
    }
    if (pages !== null) this.joinPages(vma.start, pages);
    if (twice) this.alias(object);
    return start;
  }

  /** Is any of these bytes of a shared object mapped? */
  private shows(object: SharedMemory, offset: number, length: number): boolean {
    for (const vma of this.vmas) {
      if (vma.object !== object) continue;
      if (vma.offset < offset + length && offset < vma.offset + (vma.end - vma.start)) return true;
    }
    return false;
  }

  /** `object` holds what has been stored to its mappings in here. */
  publish(object: SharedMemory): void {
    for (const vma of this.vmas) if (vma.object === object) object.publish(this.memory, vma);
  }

  /** From now on all mappings of `object` in here have their pages in common, if the host can do that. */
  alias(object: SharedMemory): void {
    const known = this.aliases?.get(object);
    const alias = known ?? loadHostAlias().HostAlias.create(this.memory);
    if (alias === null) return;
    this.aliases ??= new Map();
    this.aliases.set(object, alias);
    for (const vma of [...this.vmas]) {
      if (vma.object !== object) continue;
      this.memory.protect(vma.start, vma.end, Access.read | Access.write);
      alias.adopt(vma);
      this.setAccess(vma.start, vma.end, this.access(vma.prot));
    }
  }

  /** The pages of `vma` are to be its own again, with nothing in them. True if others have shown the same. */
  unalias(vma: Vma): boolean {
    const alias = vma.object === null ? undefined : this.aliases?.get(vma.object);
    if (alias === undefined) return false;
    this.memory.protect(vma.start, vma.end, Access.read | Access.write);
    alias.leave(vma.start, vma.end);
    if (alias.unused) {
      alias.close();
      this.aliases!.delete(vma.object!);
    }
    return true;
  }

  /**
   * What a shared mapping of a file has in common with others; null for a second one of the same bytes in here where the
   * host cannot map them twice.
   */
  private filePages(file: FileBacking | null, offset: number, length: number): FileMemory | null {
    const pages = file?.shared?.() ?? null;
    if (pages === null) return null;
    return this.shows(pages, offset, length) && !loadHostAlias().HostAlias.possible ? null : pages;
  }

  private joinPages(start: number, pages: FileMemory): void {
    this.sharing = true;
    this.sharesFiles = true;
    const vma = this.vmas.at(start)!;
    this.everWritable.fill(1, vma.start / pageSize, vma.end / pageSize);
    pages.join(this.memory, vma);
  }

  /** read(2) sees what has been stored in shared mappings of files. */
  storeShared(): void {
    for (const vma of this.vmas) {
      if (vma.file === null || vma.object === null) continue;
      vma.object.publish(this.memory, vma);
      writeBack(this.memory, vma);
    }
  }

  /** Chooses where a mapping goes, or refuses (get_unmapped_area). */
  private placeFor(hint: number, length: number, flags: number): number {
    if (length > this.taskSize) throw new Errno('ENOMEM');
    if ((flags & (MapFlags.FIXED | MapFlags.FIXED_NOREPLACE)) !== 0) {
      if (hint % pageSize !== 0) throw new Errno('EINVAL');
      if (hint > this.taskSize - length) throw new Errno('ENOMEM');
      if (hint < mmapMinAddress) throw new Errno('EPERM');
      if ((flags & MapFlags.FIXED_NOREPLACE) !== 0 && !this.vmas.free(hint, hint + length)) throw new Errno('EEXIST');
      return hint;
    }
    return this.findFree(hint, length);
  }

  /** A free place of `length` bytes: at the hint if possible, else as high as possible. Throws ENOMEM. */
  findFree(hint: number, length: number): number {
    if (hint !== 0) {
      const wanted = Math.max(pageCeil(hint), mmapMinAddress);
      if (wanted <= this.taskSize - length && this.vmas.free(wanted, wanted + length)) return wanted;
    }
    const below = this.vmas.highestGap(mmapMinAddress, this.mmapBase, length);
    const found = below >= 0 ? below : this.vmas.lowestGap(unmappedBase, this.taskSize, length);
    if (found < 0) throw new Errno('ENOMEM');
    return found;
  }

  /** RLIMIT_AS for everything, RLIMIT_DATA for private writable memory; pages replaced at `start` do not count. */
  checkLimits(length: number, prot: number, shared: boolean, start: number): void {
    let replaced = 0;
    for (const vma of this.vmas.overlapping(start, start + length)) {
      replaced += Math.min(vma.end, start + length) - Math.max(vma.start, start);
    }
    if (this.vmas.bytes - replaced + length > this.limits.get(ResourceLimit.AS).soft) throw new Errno('ENOMEM');
    if (!this.mayGrow(length - replaced)) throw new Errno('ENOMEM');
    const dataLimit = this.limits.get(ResourceLimit.DATA).soft;
    if (shared || (prot & Prot.WRITE) === 0 || dataLimit === Infinity) return;
    if (this.dataBytes() + length > dataLimit) throw new Errno('ENOMEM');
  }

  private dataBytes(): number {
    let bytes = 0;
    for (const vma of this.vmas) {
      if (!vma.shared && (vma.prot & Prot.WRITE) !== 0 && vma.name !== '[stack]') bytes += vma.end - vma.start;
    }
    return bytes;
  }

  /** Fills a new VMA in a free place with its content and makes it accessible. */
  place(vma: Vma): void {
    const { file } = vma;
    if (log.enabled) log('map %s prot %d %s', range(vma.start, vma.end - vma.start), vma.prot, file?.path ?? vma.name);
    if (file === null) {
      this.vmas.insert(vma);
      this.setAccess(vma.start, vma.end, this.access(vma.prot));
      return;
    }
    file.retain();
    const claimed = this.residue.claimParts(vma);
    for (const part of claimed) this.openClaimed(part);
    const missing = without(vma, claimed);
    try {
      for (const part of missing) {
        this.makeWritable(part.start, part.end);
        readIn(this.memory, part);
      }
    } catch (error) {
      if (claimed.length > 0) this.onCodeChange(vma.start, vma.end);
      this.clear(vma.start, vma.end);
      this.memory.protect(vma.start, vma.end, 0);
      file.release();
      throw error;
    }
    const kept = vma.shared && file.writable ? { ...vma, snapshot: takeSnapshot(this.memory, vma) } : vma;
    this.vmas.insert(kept);
    for (const { start, end, prot } of missing) this.setAccess(start, end, this.access(prot));
  }

  /** Makes pages accessible that were found in the residue: what is translated of them stays true. */
  private openClaimed({ start, end, prot }: Pick<Vma, 'start' | 'end' | 'prot'>): void {
    this.memory.protect(start, end, this.access(prot));
    this.everWritable.fill(1, start / pageSize, end / pageSize);
  }

  /** Clears what the memory's last address space has left in [start, end). */
  private evict(start: number, end: number): void {
    if (this.residue.empty) return;
    for (const piece of this.residue.take(start, end)) {
      this.onCodeChange(piece.start, piece.end);
      this.everWritable.fill(1, piece.start / pageSize, piece.end / pageSize);
      this.clear(piece.start, piece.end);
      this.memory.protect(piece.start, piece.end, 0);
    }
  }

  /** The program is there: code that is left of the last one and was not claimed must not be found by a wild jump. */
  settle(): void {
    for (const { start, end } of this.residue) this.onCodeChange(start, end);
  }

  /** Gives up carved pieces: writes shared ones back, zeroes the pages and closes them. */
  drop(pieces: readonly Vma[]): void {
    for (const vma of pieces) {
      if (this.sharing) vma.object?.publish(this.memory, vma);
      writeBack(this.memory, vma);
      this.codeMayChange(vma);
      if (this.aliases !== null) this.unalias(vma);
      this.clear(vma.start, vma.end);
      this.memory.protect(vma.start, vma.end, 0);
      vma.file?.release();
    }
  }

  /** Sets the permission bytes of mapped pages. */
  setAccess(start: number, end: number, access: number): void {
    this.evict(start, end);
    this.memory.protect(start, end, access);
    // That nothing could be fetched here is translated too.
    if ((access & Access.execute) !== 0) this.onCodeChange(start, end);
    if ((access & Access.write) !== 0) this.everWritable.fill(1, start / pageSize, end / pageSize);
  }

  /** Opens pages for the kernel's own writing; the caller sets their access afterwards. */
  makeWritable(start: number, end: number): void {
    this.evict(start, end);
    for (const vma of this.vmas.overlapping(start, end)) {
      if (vma.pristine === null) continue;
      const [piece] = this.vmas.carve(Math.max(start, vma.start), Math.min(end, vma.end));
      this.vmas.insert({ ...piece, pristine: null });
    }
    this.memory.protect(start, end, Access.read | Access.write);
    this.everWritable.fill(1, start / pageSize, end / pageSize);
  }

  /** Makes pages zero and leaves them closed or open as it falls: the caller sets their access afterwards. */
  clear(start: number, end: number): void {
    const flags = this.everWritable.subarray(start / pageSize, end / pageSize);
    for (let page = flags.indexOf(1); page >= 0; ) {
      const stop = flags.indexOf(0, page);
      const last = stop < 0 ? flags.length : stop;
      const from = start + page * pageSize;
      const to = start + last * pageSize;
      this.memory.protect(from, to, Access.read | Access.write);
      zeroPages(this.memory, from, to);
      flags.fill(0, page, last);
      page = flags.indexOf(1, last);
    }
  }

  /** Tells the engine if these pages, as they were, hold anything that translated code may rest on. */
  codeMayChange(vma: Vma): void {
    const access = this.access(vma.prot);
    const constant = (access & (Access.read | Access.write)) === Access.read;
    if (constant || (access & Access.execute) !== 0) this.onCodeChange(vma.start, vma.end);
  }

  /** munmap(2). */
  munmap(address: number, length: number): void {
    if (log.enabled) log('unmap %s', range(address, length));
    if (address % pageSize !== 0 || length === 0) throw new Errno('EINVAL');
    if (address > this.taskSize || length > this.taskSize - address) throw new Errno('EINVAL');
    this.drop(this.vmas.carve(address, address + pageCeil(length)));
  }

  /** mprotect(2). As on Linux the pages before a hole have changed when ENOMEM is thrown. */
  mprotect(address: number, length: number, prot: number): void {
    if (address % pageSize !== 0) throw new Errno('EINVAL');
    const grows = prot & (Prot.GROWSDOWN | Prot.GROWSUP);
    if (grows === (Prot.GROWSDOWN | Prot.GROWSUP)) throw new Errno('EINVAL');
    if (length === 0) return;
    const end = address + pageCeil(length);
    if (end >= 2 ** 32) throw new Errno('ENOMEM');
    if ((prot & ~(7 | Prot.SEM | Prot.GROWSDOWN | Prot.GROWSUP)) !== 0) throw new Errno('EINVAL');
    // No mapping of ours grows, so there is none that these flags could be about.
    if (grows !== 0) throw new Errno('EINVAL');
    let reached = address;
    for (const vma of this.vmas.overlapping(address, end)) {
      if (vma.start > reached) break;
      const start = Math.max(address, vma.start);
      reached = Math.min(end, vma.end);
      this.changeProt(vma, start, reached, prot & 7);
    }
    if (reached < end) throw new Errno('ENOMEM');
  }

  private changeProt(vma: Vma, start: number, end: number, prot: number): void {
    if (vma.prot === prot) return;
    if (vma.start >= this.taskSize) throw new Errno('EACCES');
    if ((prot & Prot.WRITE) !== 0 && vma.shared && vma.file !== null && !vma.file.writable) throw new Errno('EACCES');
    const [piece] = this.vmas.carve(start, end);
    this.codeMayChange(piece);
    this.vmas.insert({ ...piece, prot, pristine: (prot & Prot.WRITE) === 0 ? piece.pristine : null });
    this.setAccess(start, end, this.access(prot));
    if (log.enabled) log('protect %s prot %d', range(start, end - start), prot);
  }

  /** remap_file_pages(2). */
  remapFilePages(address: number, size: number, prot: number, page: number): void {
    remapFilePages(this, address, size, prot, page);
  }

  /** mremap(2); returns the new address. */
  mremap(address: number, oldLength: number, newLength: number, flags: number, newAddress: number): number {
    return mremap(this, address, oldLength, newLength, flags, newAddress);
  }

  /** brk(2): moves the end of the heap if it can; returns where the end is then. */
  brk(wanted: number): number {
    if (wanted < this.brkStart) return this.brkEnd;
    const oldEnd = pageCeil(this.brkEnd);
    const newEnd = pageCeil(wanted);
    if (newEnd < oldEnd) this.drop(this.vmas.carve(newEnd, oldEnd));
    if (newEnd > oldEnd && !this.growHeap(oldEnd, newEnd)) return this.brkEnd;
    this.brkEnd = wanted;
    return wanted;
  }

  private growHeap(oldEnd: number, newEnd: number): boolean {
    if (newEnd + pageSize > this.taskSize || !this.vmas.free(oldEnd, newEnd + pageSize)) return false;
    if (newEnd - this.brkStart > this.limits.get(ResourceLimit.DATA).soft) return false;
    if (this.vmas.bytes + newEnd - oldEnd > this.limits.get(ResourceLimit.AS).soft) return false;
    if (!this.mayGrow(newEnd - oldEnd)) return false;
    const prot = Prot.READ | Prot.WRITE;
    this.place({
      start: oldEnd,
      end: newEnd,
      prot,
      shared: false,
      file: null,
      object: null,
      offset: 0,
      name: '[heap]',
      locked: this.lockFuture,
      pristine: null,
      snapshot: null,
    });
    return true;
  }

  /** madvise(2). */
  madvise(address: number, length: number, advice: number): void {
    madvise(this, address, length, advice);
  }

  /** mincore(2): one byte per page, bit 0 set for a resident page. */
  mincore(address: number, length: number): Uint8Array {
    return mincore(this, address, length);
  }

  /** msync(2). */
  msync(address: number, length: number, flags: number): void {
    msync(this, address, length, flags);
  }

  /** mlock(2), mlock2(2) and munlock(2). */
  mlock(address: number, length: number, locked: boolean): void {
    mlock(this, address, length, locked);
  }

  /** mlockall(2) with MCL_CURRENT 1, MCL_FUTURE 2, MCL_ONFAULT 4; munlockall(2) is 0. */
  mlockall(flags: number): void {
    this.lockFuture = (flags & 2) !== 0;
    if ((flags & 1) === 0 && flags !== 0) return;
    for (const vma of [...this.vmas]) {
      this.vmas.carve(vma.start, vma.end);
      this.vmas.insert({ ...vma, locked: flags !== 0 });
    }
  }

  /** Writes all shared file mappings back: at exit and exec. */
  writeBackAll(): void {
    for (const vma of this.vmas) writeBack(this.memory, vma);
  }

  /** What is mapped at `address`, if it is the same in other runs: a file that nobody here could have written to. */
  textAt(address: number): Text | null {
    const vma = this.vmas.at(address);
    if (vma === null || vma.shared) return null;
    const { start, end, offset } = vma;
    const content = vma.pristine ?? (vma.name === '[vectors]' ? vma.name : null);
    return content === null ? null : { name: `${content}:${offset}:${start}:${end}`, start, end };
  }

  /** What a futex at `address` is known by: the same in all address spaces that share the memory. */
  identify(address: number): { readonly object: object; readonly offset: number } {
    const vma = this.vmas.at(address);
    if (vma === null || vma.object === null) return { object: this, offset: address };
    return { object: vma.object, offset: vma.offset + (address - vma.start) };
  }

  /**
   * Copies everything mapped into `memory`, which is empty but for `residue`: the address space of a forked child.
   * `onCodeChange` is the copy's.
   */
  fork(
    memory: GuestMemory,
    residue: Residue,
    limits: ResourceLimits,
    onCodeChange: (start: number, end: number) => void,
  ): Mm {
    const copy = new Mm(memory, this.options(limits), residue);
    copy.onCodeChange = onCodeChange;
    copy.brkStart = this.brkStart;
    copy.brkEnd = this.brkEnd;
    copy.argStart = this.argStart;
    copy.argEnd = this.argEnd;
    copy.envStart = this.envStart;
    copy.envEnd = this.envEnd;
    copy.auxv = this.auxv;
    this.shareFiles();
    for (const vma of this.vmas) {
      vma.file?.retain();
      vma.object?.publish(this.memory, vma);
      this.sharing ||= vma.object !== null;
      copy.vmas.insert({ ...vma, locked: false, snapshot: vma.snapshot?.slice() ?? null });
      if (!residue.claim(vma, () => sameContent(memory, this.memory, vma))) {
        copy.evict(vma.start, vma.end);
        memory.copyFrom(this.memory, vma.start, vma.end, isZero);
      }
      copy.openClaimed(vma);
    }
    copy.sharing = this.sharing;
    copy.sharesFiles = this.sharesFiles;
    if (this.aliases !== null) for (const object of this.aliases.keys()) copy.alias(object);
    return copy;
  }

  /** From the first fork on shared mappings of files have an object too. */
  private shareFiles(): void {
    for (const vma of [...this.vmas]) {
      if (!vma.shared || vma.file === null || vma.object !== null) continue;
      this.vmas.carve(vma.start, vma.end);
      this.vmas.insert({ ...vma, object: new SharedMemory(vma.offset + (vma.end - vma.start)) });
    }
  }

  /** The process has run and another one is about to: what it has changed in shared memory is for all. */
  publishShared(): void {
    if (!this.sharing) return;
    for (const vma of this.vmas) {
      vma.object?.publish(this.memory, vma);
      if (vma.object !== null) writeBack(this.memory, vma);
    }
  }

  /** The process is about to run: it sees what others have changed. */
  fetchShared(): void {
    if (!this.sharing) return;
    for (const vma of this.vmas) {
      const changed = vma.object?.fetch(this.memory, vma) ?? false;
      if (changed) this.codeMayChange(vma);
    }
  }

  private options(limits: ResourceLimits): MmOptions {
    const { taskSize, stackBytes, access: effectiveAccess, mayGrow } = this;
    return { taskSize, stackBytes, limits, effectiveAccess, mayGrow };
  }

  /**
   * Gives up everything: shared file mappings are written back, and the memory is all zero again but for the residue,
   * for the next address space in it.
   */
  retire(): void {
    this.evict(0, 2 ** 32);
    for (const vma of this.vmas.carve(0, 2 ** 32)) {
      const readOnly = (this.access(vma.prot) & (Access.read | Access.write)) === Access.read;
      if (vma.shared || !readOnly) {
        this.drop([vma]);
        continue;
      }
      this.memory.protect(vma.start, vma.end, 0);
      vma.file?.release();
      this.residue.add(vma);
    }
  }

  /** /proc/self/maps, or its line for one mapping. */
  mapsText(vma?: Vma): string {
    return mapsText(vma === undefined ? this.vmas : [vma]);
  }
}

/** What is left of a VMA without `parts` of it, which are in order. */
function without(vma: Vma, parts: readonly ResiduePiece[]): Vma[] {
  const left: Vma[] = [];
  let start = vma.start;
  for (const { start: next, end } of [...parts, { start: vma.end, end: vma.end }]) {
    if (next > start) left.push({ ...vma, start, end: next, offset: vma.offset + (start - vma.start) });
    start = end;
  }
  return left;
}
