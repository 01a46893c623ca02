import type { UnixAddress } from './address.ts';

/** A unix socket that has a name. */
export interface NamedSocket {
  readonly type: number;
  readonly address: UnixAddress;
}

/** The names of the guests' unix sockets. A path leads to its socket by the inode, so that it can be renamed. */
export class UnixNames<T extends NamedSocket = NamedSocket> {
  private readonly abstract = new Map<string, T>();
  private readonly byInode = new Map<string, T>();
  private nextAutomatic = 0;

  /** Each type of socket has abstract names of its own. */
  findAbstract(name: Uint8Array, type: number): T | null {
    return this.abstract.get(abstractKey(name, type)) ?? null;
  }

  findInode(dev: bigint, ino: bigint): T | null {
    return this.byInode.get(`${dev}:${ino}`) ?? null;
  }

  /** The returned function gives the name back. */
  addAbstract(socket: T): () => void {
    const key = abstractKey(socket.address.path, socket.type);
    this.abstract.set(key, socket);
    return () => this.abstract.delete(key);
  }

  addInode(dev: bigint, ino: bigint, socket: T): () => void {
    const key = `${dev}:${ino}`;
    this.byInode.set(key, socket);
    return () => this.byInode.delete(key);
  }

  /** A free abstract name as Linux gives them to sockets that ask for any: NUL and five hexadecimal digits. */
  automatic(type: number): Uint8Array {
    for (;;) {
      this.nextAutomatic = (this.nextAutomatic + 1) & 0xfffff;
      const name = Buffer.from(`\0${this.nextAutomatic.toString(16).padStart(5, '0')}`);
      if (this.findAbstract(name, type) === null) return name;
    }
  }
}

const abstractKey = (name: Uint8Array, type: number): string => `${type}:${Buffer.from(name).toString('latin1')}`;
