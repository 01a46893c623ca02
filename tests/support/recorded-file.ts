import type { ImageFile } from '#system/block/host-file.ts';

type Change =
  | { readonly kind: 'write'; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate'; readonly size: number }
  | { readonly kind: 'sync' };

/** A file in memory that can tell what it was at each moment. */
export class RecordedFile implements ImageFile {
  readonly path = 'recorded';
  readonly readOnly = false;
  readonly changes: Change[] = [];
  private bytes = new Uint8Array(0);
  size = 0;

  static of(bytes: Uint8Array): RecordedFile {
    const file = new RecordedFile();
    file.apply({ kind: 'write', offset: 0, bytes });
    return file;
  }

  get contents(): Uint8Array {
    return this.bytes.slice(0, this.size);
  }

  read(offset: number, into: Uint8Array): void {
    const there = this.bytes.subarray(Math.min(offset, this.size), Math.min(offset + into.length, this.size));
    into.set(there);
    into.fill(0, there.length);
  }

  write(offset: number, from: Uint8Array): void {
    this.record({ kind: 'write', offset, bytes: from.slice() });
  }

  truncate(size: number): void {
    this.record({ kind: 'truncate', size });
  }

  sync(): void {
    this.record({ kind: 'sync' });
  }

  close(): void {}

  private record(change: Change): void {
    this.changes.push(change);
    this.apply(change);
  }

  private apply(change: Change): void {
    if (change.kind === 'sync') return;
    const end = change.kind === 'write' ? change.offset + change.bytes.length : change.size;
    if (end > this.bytes.length) {
      const grown = new Uint8Array(end * 2);
      grown.set(this.bytes.subarray(0, this.size));
      this.bytes = grown;
    }
    if (change.kind === 'truncate') this.bytes.fill(0, end, Math.max(end, this.size));
    else this.bytes.set(change.bytes, change.offset);
    this.size = change.kind === 'truncate' ? end : Math.max(this.size, end);
  }

  /**
   * The file as it was after the first `count` changes; `keeps`: which of those since the last sync are not lost, as a
   * power failure may do.
   */
  at(count: number, keeps: () => boolean = () => true): RecordedFile {
    const file = new RecordedFile();
    const synced = this.changes.slice(0, count).findLastIndex((change) => change.kind === 'sync');
    for (const [i, change] of this.changes.slice(0, count).entries()) {
      if (i <= synced || keeps()) file.apply(change);
    }
    return file;
  }
}
