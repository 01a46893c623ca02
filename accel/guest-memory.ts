import { cpuAreaBytes } from '#tcg/cpu-page.ts';
import type { CodeReader, CpuView } from '#tcg/target.ts';
import { Errno } from '#util/errno.ts';
import { createLog } from '#util/log.ts';
import { cpuViewAt } from './engine-memory.ts';
import { type HostPagesFactory, pageShift, pageSize } from './host-pages.ts';
import { PageProtection } from './page-protection.ts';
import { discardBytes } from './tunables.ts';

export { pageShift, pageSize };

const log = createLog('memory');

/*
 * One 32-bit guest address space in one WebAssembly memory of 4 GiB: a guest address is a wasm address. The engine's
 * hot data sits above the guest's range, because V8 keeps only memory 0's base in a register:
 *
 *     guest 0x00010000 … 0xfeffffff   the guest's (Linux: TASK_SIZE)
 *           0xff000000 … 0xff7fffff   permission bytes, one per 4 KiB page, in eight planes
 *           0xff800000 … 0xff80ffff   the CPU area (tcg/cpu-page.ts)
 *           0xffff0000 … 0xffff0fff   ARM's vector page (kuser helpers), mapped by the kernel layer
 */

/** First guest address the kernel layer must not map (the ARM vector page excepted). */
export const taskSize = 0xff000000;
/**
 * wasm address of the permission bytes. Plane 0 has the Access bits of each page; planes 1 to 7 have those a page
 * shares with the page after it. An access of 2, 4 or 8 bytes is tested in the plane of its misalignment
 * (address mod size): an aligned one stays within its page, another may run into the next.
 */
export const permissionsBase = 0xff000000;
export const permissionPlanes = 8;
/** Pages of the address space: bytes of a plane. */
export const pageCount = 1 << 20;
/** wasm address of the CPU area. */
export const cpuBase = 0xff800000;
/** wasm pages of 64 KiB. */
export const memoryPages = 65536;
/** Pages [first, end) of what is not the engine's: where host pages are protected. */
const guestPages: readonly (readonly [number, number])[] = [
  [0, permissionsBase >>> pageShift],
  [(cpuBase + cpuAreaBytes) >>> pageShift, pageCount],
];
/** Pages of the permission bytes: regions without checks must not write there. */
const planePages = [permissionsBase >>> pageShift, cpuBase >>> pageShift] as const;
/** Pages are noted as in use in groups of 2^8. */
const groupShift = 8;

/** Why host pages are not in use where code is watched. */
const writableCode = 'the guest runs code that it can write';

/** Bytes looked at and copied at once. */
const copyChunk = 65536;

/** A 64-bit integer and its halves, the low one first: much faster than shifts of a bigint. */
const wide = new BigUint64Array(1);
const halves = new Int32Array(wide.buffer);

/** Access bits: Linux's PROT_* values, also the bits of a permission byte. */
export const Access = { read: 1, write: 2, execute: 4 } as const;

/**
 * Guest memory with its permissions. All addresses are guest addresses (u32 numbers). Every access checks permissions
 * first and throws `Errno('EFAULT')`; nothing else in the program touches guest memory.
 */
export class GuestMemory implements CodeReader {
  readonly memory: WebAssembly.Memory;
  /** The whole wasm memory; indexed by guest address. Only for this class and the engine. */
  readonly u8: Uint8Array;
  /** Permission byte of each 4 KiB page: Access bits. Written by the kernel layer's mm only, through `protect`. */
  readonly permissions: Uint8Array;
  /** Planes 1 to 7. */
  private readonly sharedPermissions: readonly Uint8Array[];
  /** The CPU area. */
  readonly cpu: CpuView;
  /** Called when the host's pages stop being protected: code that relies on it must not run any more. */
  onUnprotected: () => void = () => {};
  /** Called when code of the watched pages [start, end) is about to be written. */
  onWatchedWrite: (start: number, end: number) => void = () => {};
  /** Writable pages whose stores are refused until their translations are gone (`watch`). */
  private readonly watched = new Set<number>();
  /** Groups of pages that have been allowed something. */
  private readonly usedGroups = new Uint8Array(pageCount >>> groupShift);
  private hostPages: HostPagesFactory | null;
  private pageProtection: PageProtection | null = null;
  private refusal = 'it was not asked for';

  /** `hostPages`: where the host's page tables can be got at, if they may be used. */
  constructor(hostPages: HostPagesFactory | null = null) {
    this.hostPages = hostPages;
    this.memory = new WebAssembly.Memory({ initial: 1, maximum: memoryPages, shared: true });
    this.memory.grow(memoryPages - 1);
    const buffer = this.memory.buffer;
    this.u8 = new Uint8Array(buffer);
    const plane = (n: number): Uint8Array => new Uint8Array(buffer, permissionsBase + n * pageCount, pageCount);
    this.permissions = plane(0);
    this.sharedPermissions = Array.from({ length: permissionPlanes - 1 }, (_, n) => plane(n + 1));
    this.cpu = cpuViewAt(buffer, cpuBase);
  }

  /**
   * True while the host's page tables refuse what the permission bytes refuse. JavaScript that touches a refused page
   * then ends the process.
   */
  get pagesProtected(): boolean {
    return this.pageProtection !== null;
  }

  /** Why the host's page tables are not in use. */
  get whyUnprotected(): string {
    return this.refusal;
  }

  /** Puts the permissions in force in the host's page tables too, if that is possible here: then true. */
  protectPages(): boolean {
    if (this.pageProtection !== null) return true;
    if (this.hostPages === null) return false;
    const host = this.hostPages(this.memory);
    this.hostPages = null;
    if (typeof host === 'string') {
      this.refusal = host;
      log('no page protection: %s', host);
      return false;
    }
    this.pageProtection = new PageProtection(host, this.permissions);
    const closed = guestPages.every(([first, end]) =>
      this.pageProtection!.close(first, end, (page) => this.nextUsed(page)),
    );
    if (closed) this.pageProtection.allowWrites(...planePages, false);
    else this.unprotectPages();
    return closed;
  }

  private unprotectPages(refusal = 'the guest has too many mappings for the host'): void {
    this.refusal = refusal;
    log('no page protection any more: %s', this.refusal);
    this.pageProtection!.allowWrites(...planePages, true);
    this.pageProtection!.open(guestPages);
    this.pageProtection = null;
    this.onUnprotected();
  }

  /** The next page from `page` on in a group that has been allowed something. */
  private nextUsed(page: number): number {
    if (this.usedGroups[page >>> groupShift] === 1) return page;
    const group = this.usedGroups.indexOf(1, page >>> groupShift);
    return group < 0 ? pageCount : group << groupShift;
  }

  /**
   * Makes the writable pages [start, end) zero by giving their memory back, if the host can and that pays; else false.
   */
  discard(start: number, end: number): boolean {
    if (this.pageProtection === null || end - start < discardBytes) return false;
    this.require(start, end - start, Access.write);
    this.pageProtection.discard(start >>> pageShift, Math.ceil(end / pageSize));
    return true;
  }

  /**
   * Sets what is allowed with the pages [start, end) (page-aligned), which must be the guest's. What may be written or
   * executed may be read: neither the host's pages nor ARM's can tell these apart.
   */
  protect(start: number, end: number, allowed: number): void {
    const first = start >>> pageShift;
    const last = Math.ceil(end / pageSize) - 1;
    if (last < first) return;
    if (!guestPages.some(([from, to]) => first >= from && last < to)) {
      throw new Error(`guest memory: pages ${first} to ${last} are the engine's`);
    }
    const access = allowed === 0 ? 0 : allowed | Access.read;
    if (access !== 0) this.usedGroups.fill(1, first >>> groupShift, (last >>> groupShift) + 1);
    if (this.watched.size > 0) this.unwatch(first, last);
    if (this.pageProtection?.change(first, last + 1, access) === false) this.unprotectPages();
    const { pageProtection } = this;
    pageProtection?.allowWrites(...planePages, true);
    this.writePlanes(first, last, access);
    pageProtection?.allowWrites(...planePages, false);
  }

  /** Puts `access` into the permission bytes of the pages first to last. */
  private writePlanes(first: number, last: number, access: number): void {
    const { permissions } = this;
    permissions.fill(access, first, last + 1);
    const before = Math.max(0, first - 1);
    const after = last + 1 < pageCount ? permissions[last + 1]! : 0;
    for (const plane of this.sharedPermissions) {
      plane.fill(access, first, last);
      plane[last] = access & after;
      if (before < first) plane[before] = permissions[before]! & access;
    }
  }

  /**
   * From now on a store into the writable pages of [start, end) is refused to generated code, which asks `refused`
   * about it, and that calls `onWatchedWrite` and ends the watch; so does a write through this class. Host pages cannot
   * do that: they are opened. Returns whether any page is watched now.
   */
  watch(start: number, end: number): boolean {
    let any = false;
    const last = Math.max(start, end - 1) >>> pageShift;
    for (let page = start >>> pageShift; page <= last; page++) {
      const access = this.permissions[page]!;
      if ((access & Access.write) !== 0) {
        this.hostPages = null;
        if (this.pageProtection !== null) this.unprotectPages(writableCode);
        else if (this.watched.size === 0) this.refusal = writableCode;
        this.watched.add(page);
        this.writePlanes(page, page, access & ~Access.write);
      }
      any ||= this.watched.has(page);
    }
    return any;
  }

  /** Ends the watch of those of the pages first to last that are watched. */
  private unwatch(first: number, last: number): void {
    for (let page = first; page <= last; page++) {
      if (!this.watched.delete(page)) continue;
      this.writePlanes(page, page, this.permissions[page]! | Access.write);
      this.onWatchedWrite(page * pageSize, (page + 1) * pageSize);
    }
  }

  /**
   * First address in [address, address + length) whose page does not allow all of `access`, or -1. A range that runs
   * past 2^32 is refused at its start.
   */
  refused(address: number, length: number, access: number): number {
    if (length <= 0) return -1;
    const end = address + length;
    if (end > 0x1_0000_0000) return address;
    const last = (end - 1) >>> pageShift;
    if (this.watched.size > 0 && (access & Access.write) !== 0) this.unwatch(address >>> pageShift, last);
    for (let page = address >>> pageShift; page <= last; page++) {
      if ((this.permissions[page]! & access) !== access) return Math.max(address, page * pageSize);
    }
    return -1;
  }

  /**
   * Copies the pages [start, end), whatever their permissions, from another memory to the same place, where they are
   * zero. `isZero` tells of up to 64 KiB whether they are: what is zero is not touched, which would cost the host memory.
   */
  copyFrom(source: GuestMemory, start: number, end: number, isZero: (bytes: Uint8Array) => boolean): void {
    source.whileOpen(start, end, () => this.whileOpen(start, end, () => this.copyPages(source, start, end, isZero)));
  }

  private copyPages(source: GuestMemory, start: number, end: number, isZero: (bytes: Uint8Array) => boolean): void {
    for (let chunk = start; chunk < end; chunk += copyChunk) {
      const chunkEnd = Math.min(end, chunk + copyChunk);
      if (isZero(source.u8.subarray(chunk, chunkEnd))) continue;
      for (let page = chunk; page < chunkEnd; page += pageSize) {
        const bytes = source.u8.subarray(page, page + pageSize);
        if (!isZero(bytes)) this.u8.set(bytes, page);
      }
    }
  }

  /** Does another memory hold the same bytes in [start, end), whatever the permissions? `same` compares two pieces. */
  equals(other: GuestMemory, start: number, end: number, same: (a: Uint8Array, b: Uint8Array) => boolean): boolean {
    const compare = (): boolean => same(this.u8.subarray(start, end), other.u8.subarray(start, end));
    return other.whileOpen(start, end, () => this.whileOpen(start, end, compare));
  }

  /** Brings `copy` in line with the bytes from `start` on, whatever their permissions; `same` compares two pieces. */
  copyOut(start: number, copy: Uint8Array, same: (a: Uint8Array, b: Uint8Array) => boolean): void {
    this.eachPiece(start, copy, (own, piece) => {
      if (!same(own, piece)) piece.set(own);
    });
  }

  /** Brings the bytes from `start` on in line with `copy`, whatever their permissions. True if any were different. */
  copyIn(start: number, copy: Uint8Array, same: (a: Uint8Array, b: Uint8Array) => boolean): boolean {
    let changed = false;
    this.eachPiece(start, copy, (own, piece) => {
      if (same(own, piece)) return;
      own.set(piece);
      const first = (own.byteOffset - this.u8.byteOffset) >>> pageShift;
      if (this.watched.size > 0) this.unwatch(first, first);
      changed = true;
    });
    return changed;
  }

  /** Calls `look` with each page from `start` on and its part of `copy`. */
  private eachPiece(start: number, copy: Uint8Array, look: (own: Uint8Array, piece: Uint8Array) => void): void {
    this.whileOpen(start, start + copy.length, () => {
      for (let at = 0; at < copy.length; at += pageSize) {
        const piece = copy.subarray(at, at + pageSize);
        look(this.u8.subarray(start + at, start + at + piece.length), piece);
      }
    });
  }

  /** Runs `act`, for which the pages [start, end) must be readable and writable on the host. */
  private whileOpen<T>(start: number, end: number, act: () => T): T {
    const all = Access.read | Access.write;
    if (!this.pagesProtected || this.refused(start, end - start, all) < 0) return act();
    const first = start >>> pageShift;
    const before = this.permissions.slice(first, Math.ceil(end / pageSize));
    this.protect(start, end, all);
    const result = act();
    for (let page = 0; page < before.length; ) {
      let last = page + 1;
      while (last < before.length && before[last] === before[page]) last++;
      this.protect((first + page) * pageSize, (first + last) * pageSize, before[page]!);
      page = last;
    }
    return result;
  }

  /** Throws EFAULT unless the whole range allows `access`. */
  require(address: number, length: number, access: number): void {
    if (this.refused(address, length, access) >= 0) throw new Errno('EFAULT');
  }

  /** The guest bytes themselves, not a copy: valid until the mapping changes. */
  view(address: number, length: number, access: number = Access.read): Uint8Array {
    if (length === 0) return this.u8.subarray(0, 0);
    this.require(address, length, access);
    const start = address;
    return this.u8.subarray(start, start + length);
  }

  /** A copy that does not share memory with the guest (for APIs that refuse shared buffers). */
  copy(address: number, length: number): Uint8Array {
    return this.view(address, length).slice();
  }

  /** Writes `bytes` at `address`. */
  write(address: number, bytes: Uint8Array): void {
    this.view(address, bytes.length, Access.write).set(bytes);
  }

  load8(address: number): number {
    this.require(address, 1, Access.read);
    return this.u8[address]!;
  }

  load16(address: number): number {
    this.require(address, 2, Access.read);
    const i = address;
    return this.u8[i]! | (this.u8[i + 1]! << 8);
  }

  /** u32. */
  load32(address: number): number {
    this.require(address, 4, Access.read);
    return this.rawWord(address) >>> 0;
  }

  load64(address: number): bigint {
    this.require(address, 8, Access.read);
    halves[0] = this.rawWord(address);
    halves[1] = this.rawWord(address + 4);
    return wide[0]!;
  }

  store8(address: number, value: number): void {
    this.require(address, 1, Access.write);
    this.u8[address] = value;
  }

  store16(address: number, value: number): void {
    this.require(address, 2, Access.write);
    const i = address;
    this.u8[i] = value;
    this.u8[i + 1] = value >> 8;
  }

  store32(address: number, value: number): void {
    this.require(address, 4, Access.write);
    this.setRawWord(address, value);
  }

  /** Two words, one after the other. */
  storePair(address: number, first: number, second: number): void {
    this.require(address, 8, Access.write);
    this.setRawWord(address, first);
    this.setRawWord(address + 4, second);
  }

  store64(address: number, value: bigint): void {
    wide[0] = value;
    this.storePair(address, halves[0]!, halves[1]!);
  }

  /**
   * The bytes of the NUL-terminated string at `address`, without the NUL. Throws EFAULT where it runs into unreadable
   * memory, ENAMETOOLONG where no NUL comes within `max` bytes.
   */
  cstring(address: number, max = 4096): Uint8Array {
    let end = address;
    for (const limit = address + max; end < limit; ) {
      this.require(end, 1, Access.read);
      const pageEnd = Math.min(limit, (Math.floor(end / pageSize) + 1) * pageSize);
      const nul = this.u8.subarray(end, pageEnd).indexOf(0);
      if (nul >= 0) return this.u8.slice(address, end + nul);
      end = pageEnd;
    }
    throw new Errno('ENAMETOOLONG');
  }

  // ---- CodeReader

  fetch8(address: number): number {
    return (this.permissions[address >>> pageShift]! & Access.execute) === 0 ? -1 : this.u8[address]!;
  }

  fetch16(address: number): number {
    const { u8 } = this;
    const second = address + 1;
    if ((this.permissions[address >>> pageShift]! & Access.execute) === 0) return -1;
    if ((second & (pageSize - 1)) === 0 && !this.fetchable(second, 1)) return -1;
    return u8[address]! | (u8[second]! << 8);
  }

  fetch32(address: number): number {
    return this.rawWord(address);
  }

  fetchable(address: number, bytes: number): boolean {
    return this.refused(address, bytes, Access.execute) < 0;
  }

  constant(address: number, bytes: number): boolean {
    if (this.refused(address, bytes, Access.read) >= 0) return false;
    const last = (address + bytes - 1) >>> pageShift;
    for (let page = address >>> pageShift; page <= last; page++) {
      if (this.permissions[page]! & Access.write || this.watched.has(page)) return false;
    }
    return true;
  }

  private setRawWord(i: number, value: number): void {
    const { u8 } = this;
    u8[i] = value;
    u8[i + 1] = value >> 8;
    u8[i + 2] = value >> 16;
    u8[i + 3] = value >> 24;
  }

  /** Unaligned little-endian i32 at a wasm address. */
  private rawWord(i: number): number {
    const { u8 } = this;
    return u8[i]! | (u8[i + 1]! << 8) | (u8[i + 2]! << 16) | (u8[i + 3]! << 24);
  }
}
