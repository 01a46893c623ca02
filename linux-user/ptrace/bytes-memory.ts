import type { ImageMemory } from '../abi/i386-fpu.ts';

/** Bytes that are written to like guest memory. */
export class BytesMemory implements ImageMemory {
  private readonly bytes: Uint8Array;
  private readonly words: DataView;

  constructor(length: number) {
    this.bytes = new Uint8Array(length);
    this.words = new DataView(this.bytes.buffer);
  }

  view(address: number, length: number): Uint8Array {
    return this.bytes.subarray(address, address + length);
  }

  write(address: number, bytes: Uint8Array): void {
    this.bytes.set(bytes, address);
  }

  load8(address: number): number {
    return this.words.getUint8(address);
  }

  load16(address: number): number {
    return this.words.getUint16(address, true);
  }

  load32(address: number): number {
    return this.words.getUint32(address, true);
  }

  store8(address: number, value: number): void {
    this.words.setUint8(address, value & 0xff);
  }

  store16(address: number, value: number): void {
    this.words.setUint16(address, value & 0xffff, true);
  }

  store32(address: number, value: number): void {
    this.words.setInt32(address, value, true);
  }
}
