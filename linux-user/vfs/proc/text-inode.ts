import { Errno } from '#util/errno.ts';
import type { Process } from '../../process.ts';
import { Mode, Open } from '../flags.ts';
import { Inode } from '../inode.ts';
import { MemoryFile } from '../memory-file.ts';
import { anonymousStat, type FileStat, type OpenFile } from '../open-file.ts';

/** Takes what a guest writes into a file of /proc. Throws Errno. */
export type TakeText = (text: string, writer: Process) => void;

/** A file whose text is made when it is opened, and again when it is read from its start. */
class TextFile extends MemoryFile {
  private readonly make: () => Uint8Array;
  private readonly take: ((text: string) => void) | null;
  private stale = false;

  constructor(
    path: Uint8Array,
    flags: number,
    make: () => Uint8Array,
    take: ((text: string) => void) | null,
    owner: TextInode,
  ) {
    super(path, flags, owner.memory(make()));
    this.make = make;
    this.take = take;
  }

  override read(bytes: Uint8Array, start: number, length: number): number {
    const count = super.read(bytes, start, length);
    this.stale = true;
    return count;
  }

  override pread(bytes: Uint8Array, start: number, length: number, offset: number): number {
    if (offset === 0 && this.stale) this.refresh();
    return super.pread(bytes, start, length, offset);
  }

  private refresh(): void {
    this.stale = false;
    const text = this.make();
    this.data.resize(text.length);
    this.data.write(text, 0, text.length, 0);
  }

  override pwrite(bytes: Uint8Array, start: number, length: number): number {
    if (this.take === null) throw new Errno('EINVAL');
    this.take(Buffer.from(bytes.subarray(start, start + length)).toString('latin1'));
    return length;
  }

  override write(bytes: Uint8Array, start: number, length: number): number {
    return this.pwrite(bytes, start, length);
  }

  override truncate(): void {}
}

/** A file of /proc or /sys. */
export class TextInode extends Inode {
  private readonly make: (viewer: Process) => string | Uint8Array;
  private readonly take: TakeText | null;
  private readonly identity: FileStat;

  constructor(make: (viewer: Process) => string | Uint8Array, take: TakeText | null = null, mode?: number) {
    super();
    this.make = make;
    this.take = take;
    const permissions = mode ?? (take === null ? 0o444 : 0o644);
    this.identity = { ...anonymousStat(Mode.regular | permissions), blksize: 1024n };
  }

  override stat(): FileStat {
    return this.identity;
  }

  /** The text as an open file has it: its size is not told. */
  memory(content: Uint8Array): ConstructorParameters<typeof MemoryFile>[2] {
    const { data } = MemoryFile.text(Buffer.alloc(0), 0, content, 0).owner;
    const denied = (): never => {
      throw new Errno('EPERM');
    };
    return { data, stat: () => this.identity, chmod: denied, chown: denied, setTimes: denied, touched: () => {} };
  }

  override open(viewer: Process, path: Uint8Array, flags: number): OpenFile {
    const { take } = this;
    if ((flags & Open.accessMode) !== Open.readOnly && take === null) throw new Errno('EACCES');
    const make = (): Uint8Array => Buffer.from(this.make(viewer));
    return new TextFile(path, flags, make, take === null ? null : (text) => take(text, viewer), this);
  }

  override truncate(): void {
    if (this.take === null) throw new Errno('EACCES');
  }
}
