import type { Entropy } from '../entropy.ts';
import { Poll } from './flags.ts';
import { type FileStat, OpenFile } from './open-file.ts';

/** /dev/random and /dev/urandom: the guest's own randomness, which -seed fixes. */
export class RandomDevice extends OpenFile {
  private readonly entropy: Entropy;
  private readonly identity: FileStat;

  constructor(path: Uint8Array, flags: number, entropy: Entropy, identity: FileStat) {
    super(path, flags);
    this.entropy = entropy;
    this.identity = identity;
  }

  override get pollable(): boolean {
    return true;
  }

  override get seekable(): boolean {
    return true;
  }

  override stat(): FileStat {
    return this.identity;
  }

  override read(bytes: Uint8Array, start: number, length: number): number {
    this.entropy(bytes, start, length);
    return length;
  }

  override write(_bytes: Uint8Array, _start: number, length: number): number {
    return length;
  }

  override pread(bytes: Uint8Array, start: number, length: number): number {
    return this.read(bytes, start, length);
  }

  override pwrite(_bytes: Uint8Array, _start: number, length: number): number {
    return length;
  }

  override seek(): number {
    return 0;
  }

  override poll(events: number): number {
    return events & (Poll.in | Poll.out | Poll.rdNorm | Poll.wrNorm);
  }
}
