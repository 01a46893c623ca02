import type { Device, Ram } from '../device.ts';

/*
 * QEMU's firmware configuration (docs/specs/fw_cfg.rst) over MMIO: items of bytes that are selected by a key and read one
 * after the other, or by DMA. What a register holds is big-endian; the data register keeps the order of bytes.
 */

/** Keys of items. */
export const keys = {
  signature: 0x00,
  id: 0x01,
  ramSize: 0x03,
  cpus: 0x05,
  kernelSize: 0x08,
  initrdSize: 0x0b,
  maxCpus: 0x0f,
  kernelData: 0x11,
  initrdData: 0x12,
  commandLineSize: 0x14,
  commandLineData: 0x15,
  directory: 0x19,
  firstFile: 0x20,
} as const;

/** A named item. */
export interface FwCfgFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** What the guest is told. */
export interface FwCfgContent {
  readonly ramSize: number;
  readonly cpus: number;
  readonly kernel: Uint8Array;
  readonly initrd: Uint8Array;
  readonly commandLine: string;
  readonly files: readonly FwCfgFile[];
}

/** Longest name of a file, without the NUL at its end. */
export const longestName = 55;

const registers = { data: 0x00, selector: 0x08, dmaHigh: 0x10, dmaLow: 0x14 } as const;
/** What the DMA address reads as: "QEMU CFG". */
const dmaSignature = [0x554d4551, 0x47464320] as const;
/** Features in `id`: the registers, DMA. */
const features = 3;
const dma = { error: 1, read: 2, skip: 4, select: 8, write: 16, bytes: 16 } as const;
const directoryEntry = 64;

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const nothing = new Uint8Array(0);

function numbers(bytes: 2 | 4 | 8, value: number): Uint8Array {
  const item = new Uint8Array(bytes);
  for (let i = 0; i < bytes; i++) item[i] = Math.floor(value / 2 ** (8 * i));
  return item;
}

const swap16 = (value: number): number => ((value & 0xff) << 8) | ((value >>> 8) & 0xff);
const swap32 = (value: number): number => ((swap16(value) << 16) | swap16(value >>> 16)) >>> 0;

/** The items of `content`, by key. */
function itemsOf(content: FwCfgContent): Map<number, Uint8Array> {
  const { ramSize, cpus, kernel, initrd, commandLine } = content;
  const files = content.files.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const words = commandLine === '' ? nothing : text(`${commandLine}\0`);
  return new Map<number, Uint8Array>([
    [keys.signature, text('QEMU')],
    [keys.id, numbers(4, features)],
    [keys.ramSize, numbers(8, ramSize)],
    [keys.cpus, numbers(2, cpus)],
    [keys.maxCpus, numbers(2, cpus)],
    [keys.kernelSize, numbers(4, kernel.length)],
    [keys.kernelData, kernel],
    [keys.initrdSize, numbers(4, initrd.length)],
    [keys.initrdData, initrd],
    [keys.commandLineSize, numbers(4, words.length)],
    [keys.commandLineData, words],
    [keys.directory, directory(files)],
    ...files.map(({ bytes }, n) => [keys.firstFile + n, bytes] as const),
  ]);
}

function directory(files: readonly FwCfgFile[]): Uint8Array {
  const item = new Uint8Array(4 + directoryEntry * files.length);
  const view = new DataView(item.buffer);
  view.setUint32(0, files.length);
  for (const [n, { name, bytes }] of files.entries()) {
    const at = 4 + n * directoryEntry;
    view.setUint32(at, bytes.length);
    view.setUint16(at + 4, keys.firstFile + n);
    item.set(text(name).subarray(0, longestName), at + 8);
  }
  return item;
}

export class FwCfg implements Device {
  readonly name = 'fw_cfg';
  private readonly ram: Ram;
  private items = new Map<number, Uint8Array>();
  private state = { ...resetState };

  constructor(ram: Ram) {
    this.ram = ram;
  }

  /** Sets what it tells. */
  fill(content: FwCfgContent): void {
    this.items = itemsOf(content);
  }

  private get item(): Uint8Array {
    return this.items.get(this.state.key) ?? nothing;
  }

  read(offset: number, bytes: number): number {
    if (offset < registers.selector) return this.readData(bytes);
    if (offset === registers.dmaHigh) return dmaSignature[0];
    return offset === registers.dmaLow ? dmaSignature[1] : 0;
  }

  /** Behind an item's end there are zeros. */
  private readData(bytes: number): number {
    let value = 0;
    for (let i = 0; i < bytes; i++) value |= (this.item[this.state.offset++] ?? 0) << (8 * i);
    return value;
  }

  write(offset: number, bytes: number, value: number): void {
    const { state } = this;
    if (offset === registers.selector && bytes === 2) this.select(swap16(value));
    else if (offset === registers.dmaHigh && bytes === 4) state.dmaHigh = swap32(value);
    else if (offset === registers.dmaLow && bytes === 4) {
      const address = state.dmaHigh * 2 ** 32 + swap32(value);
      state.dmaHigh = 0;
      this.transfer(address);
    }
  }

  private select(key: number): void {
    this.state.key = key;
    this.state.offset = 0;
  }

  /** Does what the structure at `address` asks for: control, length and address, all big-endian. */
  private transfer(address: number): void {
    const request = this.ram.ram(address, dma.bytes);
    if (!request) return;
    const view = new DataView(request.buffer, request.byteOffset, dma.bytes);
    const control = view.getUint32(0);
    const length = view.getUint32(4);
    const target = view.getUint32(8) * 2 ** 32 + view.getUint32(12);
    if (control & dma.select) this.select(control >>> 16);
    let done = (control & dma.write) === 0;
    if (control & dma.read) done = done && this.copy(target, length);
    else if (control & dma.skip) this.state.offset += length;
    this.ram.aboutToWrite(address, 4);
    view.setUint32(0, done ? 0 : dma.error);
  }

  private copy(target: number, length: number): boolean {
    const to = this.ram.ram(target, length);
    if (!to) return false;
    const { offset } = this.state;
    const from = this.item.subarray(offset, offset + length);
    this.ram.aboutToWrite(target, length);
    to.set(from);
    to.fill(0, from.length);
    this.state.offset += length;
    return true;
  }

  reset(): void {
    this.load(resetState);
  }

  save() {
    return { ...this.state };
  }

  load(state: unknown): void {
    this.state = { ...(state as typeof resetState) };
  }
}

const resetState = { key: 0, offset: 0, dmaHigh: 0 };
