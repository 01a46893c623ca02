import { HostAccess, type HostPages, pageSize } from './host-pages.ts';

/** Host access by permission byte. */
const hostAccess = Uint8Array.from({ length: 8 }, (_, access) => {
  if ((access & 2) !== 0) return HostAccess.write;
  return access === 0 ? HostAccess.none : HostAccess.read;
});

/** Keeps the host's pages in step with permission bytes, at the cost of a host call for each change. */
export class PageProtection {
  private readonly host: HostPages;
  private readonly permissions: Uint8Array;
  /** Runs of pages of one access, as far as the host has been told of them. */
  private runs = 0;

  /** `permissions`: the bytes of all pages. They say what is in force between calls. */
  constructor(host: HostPages, permissions: Uint8Array) {
    this.host = host;
    this.permissions = permissions;
  }

  /**
   * Puts the permission bytes of the pages [first, end) in force, where the host still allows everything. `inUse(page)`
   * is the next page from `page` on that may allow something. False: it is not in force, and the caller must `open`.
   */
  close(first: number, end: number, inUse: (page: number) => number): boolean {
    const { host, permissions } = this;
    if (!host.protect(first * pageSize, end * pageSize, HostAccess.none)) return false;
    let runs = 1;
    for (let page = inUse(first); page < end; page = inUse(page)) {
      const access = hostAccess[permissions[page]!]! as HostAccess;
      const start = page;
      do page++;
      while (page < end && hostAccess[permissions[page]!] === access);
      if (access === HostAccess.none) continue;
      runs += 2;
      if (!host.protect(start * pageSize, page * pageSize, access)) return false;
    }
    return this.account(runs);
  }

  /**
   * Changes the pages [first, end) to `access`, before their permission bytes change. False: it is not in force, and
   * the caller must `open`.
   */
  change(first: number, end: number, access: number): boolean {
    const { permissions } = this;
    const wanted = hostAccess[access]! as HostAccess;
    const of = (page: number): number => hostAccess[permissions[page]!]!;
    let changedFrom = -1;
    let changedTo = -1;
    let borders = 0;
    let left = first > 0 ? of(first - 1) : HostAccess.none;
    const before = left;
    for (let page = first; page < end; page++) {
      const now = of(page);
      if (now !== left) borders--;
      left = now;
      if (now === wanted) continue;
      if (changedFrom < 0) changedFrom = page;
      changedTo = page + 1;
    }
    if (changedFrom < 0) return true;
    const after = end < permissions.length ? of(end) : HostAccess.none;
    if (after !== left) borders--;
    if (before !== wanted) borders++;
    if (after !== wanted) borders++;
    // First the account: the host call is what could exhaust the host.
    if (!this.account(borders)) return false;
    return this.host.protect(changedFrom * pageSize, changedTo * pageSize, wanted);
  }

  /** Lets the host's writes to the pages [first, end), which stay readable, through or not. */
  allowWrites(first: number, end: number, allowed: boolean): void {
    const access = allowed ? HostAccess.write : HostAccess.read;
    if (this.host.protect(first * pageSize, end * pageSize, access)) return;
    throw new Error("the host does not change the protection of the engine's own pages");
  }

  /** Allows everything in the pages of `ranges` again: this object has had its time. */
  open(ranges: readonly (readonly [first: number, end: number])[]): void {
    for (const [first, end] of ranges) {
      if (this.host.protect(first * pageSize, end * pageSize, HostAccess.write)) continue;
      throw new Error('host pages that were closed cannot be opened again');
    }
    this.account(-this.runs);
  }

  /** Gives the memory of the pages [first, end), which are writable, back to the host: they are zero then. */
  discard(first: number, end: number): void {
    this.host.discard(first * pageSize, end * pageSize);
  }

  private account(change: number): boolean {
    this.runs += change;
    return this.host.account(change);
  }
}
