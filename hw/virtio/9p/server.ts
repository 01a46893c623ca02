import { Errno, type ErrnoName, errnoOf } from '#util/errno.ts';
import type { FileChanges, FileStat, OpenFile, Path, SharedFiles } from './files.ts';
import { MessageError, MessageReader, MessageWriter } from './message.ts';

/* A server of 9P2000.L (diod's protocol.md, Linux's net/9p): what the guest asks for by fids is done with the host's files. */

/** Requests; an answer's type is one more. */
const request = {
  statfs: 8,
  lopen: 12,
  lcreate: 14,
  symlink: 16,
  rename: 20,
  readlink: 22,
  getattr: 24,
  setattr: 26,
  readdir: 40,
  fsync: 50,
  lock: 52,
  getlock: 54,
  link: 70,
  mkdir: 72,
  renameat: 74,
  unlinkat: 76,
  version: 100,
  attach: 104,
  flush: 108,
  walk: 110,
  read: 116,
  write: 118,
  clunk: 120,
  remove: 122,
} as const;
const errorAnswer = 7;
const headBytes = 7;
/** Bytes of an answer to a read beside the data. */
const readHeadBytes = headBytes + 4;
const maxMessageBytes = 512 << 10;
const minMessageBytes = 4096;

const directoryMode = 0o040000;
const linkMode = 0o120000;
const typeMask = 0o170000;
/** Kinds of a qid. */
const qidDirectory = 0x80;
const qidLink = 2;
/** Of unlinkat: a directory is meant. */
const removeDirectory = 0x200;
/** Bits of setattr's valid. */
const attribute = { mode: 1, uid: 2, gid: 4, size: 8, atime: 16, mtime: 32, atimeSet: 128, mtimeSet: 256 } as const;
/** All that getattr can tell but the time of creation. */
const basicAttributes = 0x7ff;
/** O_CREAT, O_EXCL and O_TRUNC: what is not done again. */
const onlyOnce = 0o1300;
const creates = 0o100;
const statfsMagic = 0x01021997;
const maxNameBytes = 255;
/** Lock states: granted; type of getlock's answer: unlocked. */
const lockSuccess = 0;
const unlocked = 2;

interface Fid {
  path: Path;
  file: OpenFile | null;
  flags: number;
  /** Names of a directory, from its first readdir on. */
  names: string[] | null;
}

export interface SavedFid {
  readonly fid: number;
  readonly path: Path;
  /** Of an open file; null for others. */
  readonly flags: number | null;
}

const fail = (name: ErrnoName): never => {
  throw new Errno(name);
};

export class FileServer {
  private readonly files: SharedFiles;
  private readonly fids = new Map<number, Fid>();
  private messageBytes = maxMessageBytes;

  constructor(files: SharedFiles) {
    this.files = files;
  }

  /** Forgets all fids. */
  reset(): void {
    for (const fid of this.fids.values()) this.close(fid);
    this.fids.clear();
  }

  save() {
    const fids = Array.from(this.fids, ([fid, { path, file, flags }]): SavedFid => {
      return { fid, path, flags: file === null ? null : flags };
    });
    return { messageBytes: this.messageBytes, fids };
  }

  /** Files that are gone meanwhile are no open files any more. */
  load({ messageBytes, fids }: ReturnType<FileServer['save']>): void {
    this.reset();
    this.messageBytes = messageBytes;
    for (const { fid, path, flags } of fids) {
      const known: Fid = { path, file: null, flags: flags ?? 0, names: null };
      this.fids.set(fid, known);
      if (flags === null) continue;
      try {
        known.file = this.files.open(path, flags & ~onlyOnce, 0);
      } catch (error) {
        if (errnoOf(error) === undefined) throw error;
      }
    }
  }

  /** The answer to a message. */
  answer(message: Uint8Array): Uint8Array {
    const reader = new MessageReader(message);
    const body = new MessageWriter();
    let type = errorAnswer - 1;
    let tag = 0xffff;
    try {
      reader.u32();
      type = reader.u8();
      tag = reader.u16();
      this.serve(type, reader, body);
      return framed(type + 1, tag, body.result);
    } catch (error) {
      const number = errnoOf(error instanceof MessageError ? new Errno('EPROTO') : error);
      if (number === undefined) throw error;
      return framed(errorAnswer, tag, new MessageWriter().u32(number).result);
    }
  }

  private serve(type: number, from: MessageReader, to: MessageWriter): void {
    const { files } = this;
    switch (type) {
      case request.version:
        this.version(from, to);
        return;
      case request.attach: {
        const fid = from.u32();
        this.add(fid, []);
        writeQid(to, files.stat([]));
        return;
      }
      case request.walk:
        this.walk(from, to);
        return;
      case request.flush:
        // There is nothing under way: each request is answered before the next is read.
        return;
      case request.clunk:
        this.clunk(from.u32());
        return;
      case request.remove: {
        const number = from.u32();
        const { path } = this.fid(number);
        try {
          files.remove(path, isDirectory(files.stat(path)));
        } finally {
          this.clunk(number);
        }
        return;
      }
      case request.lopen: {
        const fid = this.fid(from.u32());
        this.open(fid, from.u32() & ~creates, 0);
        writeQid(to, this.stat(fid));
        to.u32(0);
        return;
      }
      case request.lcreate: {
        const fid = this.fid(from.u32());
        const path = [...fid.path, nameOf(from.text())];
        const flags = from.u32() | creates;
        const mode = from.u32();
        if (fid.file !== null) fail('EINVAL');
        fid.file = files.open(path, flags, mode & 0o7777);
        Object.assign(fid, { path, flags });
        writeQid(to, this.stat(fid));
        to.u32(0);
        return;
      }
      case request.read: {
        const { file } = this.fid(from.u32());
        const offset = from.u64();
        const bytes = new Uint8Array(Math.min(from.u32(), this.messageBytes - readHeadBytes));
        const length = files.read(file ?? fail('EBADF'), offset, bytes);
        to.u32(length).data(bytes.subarray(0, length));
        return;
      }
      case request.write: {
        const { file } = this.fid(from.u32());
        const offset = from.u64();
        to.u32(files.write(file ?? fail('EBADF'), offset, from.data(from.u32())));
        return;
      }
      case request.fsync:
        files.sync(this.fid(from.u32()).file ?? fail('EBADF'));
        return;
      case request.getattr:
        writeAttributes(to, this.stat(this.fid(from.u32())));
        return;
      case request.setattr:
        this.setAttributes(from);
        return;
      case request.readdir:
        this.readDirectory(from, to);
        return;
      case request.readlink:
        to.text(files.readLink(this.fid(from.u32()).path));
        return;
      case request.mkdir: {
        const path = this.child(from);
        files.makeDirectory(path, from.u32() & 0o7777);
        writeQid(to, files.stat(path));
        return;
      }
      case request.symlink: {
        const path = this.child(from);
        files.makeLink(path, from.text());
        writeQid(to, files.stat(path));
        return;
      }
      case request.link: {
        const directory = this.fid(from.u32());
        const existing = this.fid(from.u32());
        files.linkTo([...directory.path, nameOf(from.text())], existing.path);
        return;
      }
      case request.unlinkat: {
        const path = this.child(from);
        files.remove(path, (from.u32() & removeDirectory) !== 0);
        return;
      }
      case request.rename: {
        const fid = this.fid(from.u32());
        const directory = this.fid(from.u32());
        this.rename(fid.path, [...directory.path, nameOf(from.text())]);
        return;
      }
      case request.renameat: {
        const old = this.child(from);
        this.rename(old, this.child(from));
        return;
      }
      case request.statfs:
        this.space(from, to);
        return;
      case request.lock:
        // The guest's own kernel knows of its locks; nobody else asks.
        this.fid(from.u32());
        to.u8(lockSuccess);
        return;
      case request.getlock: {
        this.fid(from.u32());
        from.u8();
        to.u8(unlocked).u64(from.u64()).u64(from.u64()).u32(from.u32()).text(from.text());
        return;
      }
      default:
        fail('EOPNOTSUPP');
    }
  }

  private version(from: MessageReader, to: MessageWriter): void {
    const wanted = from.u32();
    const version = from.text();
    if (wanted < minMessageBytes) fail('EINVAL');
    this.reset();
    this.messageBytes = Math.min(wanted, maxMessageBytes);
    to.u32(this.messageBytes).text(version === '9P2000.L' ? version : 'unknown');
  }

  // ---- fids

  private fid(number: number): Fid {
    return this.fids.get(number) ?? fail('EBADF');
  }

  private add(number: number, path: Path): void {
    if (this.fids.has(number)) fail('EINVAL');
    this.fids.set(number, { path, file: null, flags: 0, names: null });
  }

  private close(fid: Fid): void {
    if (fid.file !== null) this.files.close(fid.file);
    fid.file = null;
  }

  private clunk(number: number): void {
    this.close(this.fid(number));
    this.fids.delete(number);
  }

  /** The path of a name in the directory of a fid. */
  private child(from: MessageReader): Path {
    const { path } = this.fid(from.u32());
    return [...path, nameOf(from.text())];
  }

  private stat({ file, path }: Fid): FileStat {
    return file === null ? this.files.stat(path) : this.files.statOpen(file);
  }

  private open(fid: Fid, flags: number, mode: number): void {
    if (fid.file !== null) fail('EINVAL');
    fid.file = this.files.open(fid.path, flags, mode);
    fid.flags = flags;
  }

  private walk(from: MessageReader, to: MessageWriter): void {
    const start = this.fid(from.u32());
    const number = from.u32();
    const count = from.u16();
    const found: FileStat[] = [];
    let { path } = start;
    for (let i = 0; i < count; i++) {
      const name = from.text();
      // Above the shared folder there is nothing.
      path = name === '..' ? path.slice(0, -1) : name === '.' ? path : [...path, nameOf(name)];
      try {
        found.push(this.files.stat(path));
      } catch (error) {
        if (i === 0 || errnoOf(error) === undefined) throw error;
        break;
      }
    }
    if (found.length === count) {
      if (this.fids.get(number) === start) {
        this.close(start);
        Object.assign(start, { path, names: null });
      } else {
        this.add(number, path);
      }
    }
    to.u16(found.length);
    for (const stat of found) writeQid(to, stat);
  }

  /** What lies below a renamed directory has another path, too. */
  private rename(old: Path, path: Path): void {
    this.files.rename(old, path);
    for (const fid of this.fids.values()) {
      if (old.every((name, i) => fid.path[i] === name)) fid.path = [...path, ...fid.path.slice(old.length)];
    }
  }

  // ---- what they lead to

  private setAttributes(from: MessageReader): void {
    const { path } = this.fid(from.u32());
    const valid = from.u32();
    const [mode, uid, gid] = [from.u32(), from.u32(), from.u32()];
    const size = from.u64();
    const time = (): number => from.u64() + from.u64() / 1e9;
    const [atime, mtime] = [time(), time()];
    const now = Date.now() / 1000;
    const changes: FileChanges = {
      ...(valid & attribute.mode && { mode: mode & 0o7777 }),
      ...(valid & attribute.uid && { uid }),
      ...(valid & attribute.gid && { gid }),
      ...(valid & attribute.size && { size }),
      ...(valid & attribute.atime && { atime: valid & attribute.atimeSet ? atime : now }),
      ...(valid & attribute.mtime && { mtime: valid & attribute.mtimeSet ? mtime : now }),
    };
    this.files.change(path, changes);
  }

  private readDirectory(from: MessageReader, to: MessageWriter): void {
    const fid = this.fid(from.u32());
    const offset = from.u64();
    const room = Math.min(from.u32(), this.messageBytes - readHeadBytes);
    if (offset === 0 || fid.names === null) fid.names = ['.', '..', ...this.files.list(fid.path)];
    const entries = new MessageWriter();
    for (let i = offset; i < fid.names.length; i++) {
      const name = fid.names[i]!;
      const entry = new MessageWriter();
      const path = name === '.' ? fid.path : name === '..' ? fid.path.slice(0, -1) : [...fid.path, name];
      const stat = this.statOf(path);
      if (!stat) continue;
      writeQid(entry, stat);
      entry
        .u64(i + 1)
        .u8((stat.mode & typeMask) >> 12)
        .text(name);
      if (entries.length + entry.length > room) break;
      entries.data(entry.result);
    }
    to.u32(entries.length).data(entries.result);
  }

  /** Undefined for what is gone meanwhile, or has a name that is none. */
  private statOf(path: Path): FileStat | undefined {
    try {
      return this.files.stat(path);
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      return undefined;
    }
  }

  private space(from: MessageReader, to: MessageWriter): void {
    this.fid(from.u32());
    const { blockSize, blocks, free, available, files, freeFiles } = this.files.space();
    to.u32(statfsMagic).u32(blockSize).u64(blocks).u64(free).u64(available);
    to.u64(files).u64(freeFiles).u64(0).u32(maxNameBytes);
  }
}

function framed(type: number, tag: number, body: Uint8Array): Uint8Array {
  return new MessageWriter()
    .u32(headBytes + body.length)
    .u8(type)
    .u16(tag)
    .data(body).result;
}

/** A name of one component; others are refused. */
function nameOf(text: string): string {
  if (text === '' || text === '.' || text === '..' || /[/\0]/.test(text)) return fail('ENOENT');
  return text;
}

const isDirectory = ({ mode }: FileStat): boolean => (mode & typeMask) === directoryMode;

function writeQid(to: MessageWriter, stat: FileStat): void {
  const kind = isDirectory(stat) ? qidDirectory : (stat.mode & typeMask) === linkMode ? qidLink : 0;
  // Two file systems may have the same numbers.
  const number = BigInt.asUintN(64, stat.ino ^ (stat.dev << 48n));
  to.u8(kind)
    .u32(Number(BigInt.asUintN(32, stat.mtime)))
    .u64(number);
}

function writeAttributes(to: MessageWriter, stat: FileStat): void {
  const second = 1_000_000_000n;
  to.u64(basicAttributes);
  writeQid(to, stat);
  to.u32(stat.mode).u32(stat.uid).u32(stat.gid).u64(stat.nlink).u64(stat.rdev).u64(stat.size);
  to.u64(stat.blksize).u64(stat.blocks);
  for (const time of [stat.atime, stat.mtime, stat.ctime, 0n]) to.u64(time / second).u64(time % second);
  to.u64(0).u64(0);
}
