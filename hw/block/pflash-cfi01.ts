import { type Device, subword } from '../device.ts';
import { type BlockBackend, sectorBytes } from './backend.ts';

/*
 * NOR flash with Intel's command set (JEDEC JESD68.01 and JEP137, command set 0001; Intel 28F128J3 data sheet): two chips
 * of 16 bits side by side. Its contents are read in place, like memory; a command makes reads come here until the guest
 * asks for the contents again.
 */

/** Bytes that are erased together, in both chips. */
export const flashBlock = 0x40000;
/** Most bytes that one command writes. */
const bufferBytes = 2048;
/** Manufacturer (Intel) and device code of each chip. */
const identity = [0x89, 0x18] as const;
/** A value of one chip as both show it. */
const twice = 0x00010001;

const commands = {
  program: 0x40,
  programToo: 0x10,
  erase: 0x20,
  clearStatus: 0x50,
  lock: 0x60,
  readStatus: 0x70,
  identify: 0x90,
  query: 0x98,
  writeBuffer: 0xe8,
  confirm: 0xd0,
  lockBlock: 0x01,
  readArray: 0xff,
} as const;

/** Bits of the status register. */
const status = { ready: 0x80, eraseError: 0x20, programError: 0x10 } as const;

/** What a chip answers to a query, by word. */
function queryTable(chipBytes: number): Uint8Array {
  const blocks = chipBytes / (flashBlock / 2);
  const table = new Uint8Array(0x50);
  const put = (at: number, ...bytes: readonly number[]): void => table.set(bytes, at);
  put(0x10, 0x51, 0x52, 0x59); // QRY
  put(0x13, 0x01, 0x00, 0x31, 0x00); // Intel's command set, its own table
  put(0x1b, 0x45, 0x55); // 4.5 to 5.5 V
  put(0x1f, 0x07, 0x07, 0x0a, 0x00, 0x04, 0x04, 0x04, 0x00); // times, powers of 2: µs, µs, ms; most by powers of 2
  put(0x27, Math.log2(chipBytes), 0x02, 0x00); // size; by 8 and by 16 bits
  put(0x2a, Math.log2(bufferBytes), 0x00, 0x01); // write buffer; one region of blocks
  put(0x2d, (blocks - 1) & 0xff, (blocks - 1) >> 8, (flashBlock / 2 / 256) & 0xff, flashBlock / 2 / 256 / 256);
  put(0x31, 0x50, 0x52, 0x49, 0x31, 0x30); // PRI, version 1.0: no optional commands
  put(0x3f, 0x01); // one protection register
  return table;
}

/** Where the contents lie. */
export interface FlashMemory {
  /** Physical address. */
  readonly start: number;
  readonly bytes: Uint8Array;
  /** The guest reads (and runs) them in place, or each of its reads comes to the device. */
  readInPlace(on: boolean): void;
  /** To be called before bytes are changed. */
  aboutToWrite(offset: number, length: number): void;
}

const resetState = {
  /** What reads give. */
  reading: 'array' as 'array' | 'status' | 'identity' | 'query',
  /** What the next write is for. */
  expecting: 'command' as 'command' | 'word' | 'erase' | 'lock' | 'count' | 'data' | 'confirm',
  status: status.ready as number,
  /** The block that a buffer is for, and writes that it still takes. */
  block: 0,
  left: 0,
  /** Writes to the buffer: offset, bytes and value. */
  buffer: [] as (readonly [offset: number, bytes: number, value: number])[],
};

export class PflashCfi01 implements Device {
  readonly name: string;
  readonly memory: FlashMemory;
  /** It has held something other than zeroes. */
  used: boolean;
  private readonly drive: BlockBackend | null;
  private readonly table: Uint8Array;
  private state = { ...resetState };

  /** `drive`: a disk of the flash's size that has the contents and keeps what is written. Throws what reading it throws. */
  constructor(name: string, memory: FlashMemory, drive: BlockBackend | null) {
    this.name = name;
    this.memory = memory;
    this.drive = drive;
    this.table = queryTable(memory.bytes.length / 2);
    this.used = drive !== null;
    if (drive) copyFrom(drive, memory.bytes);
  }

  /** Puts a ROM's bytes at its start. */
  fill(bytes: Uint8Array): void {
    this.memory.aboutToWrite(0, this.memory.bytes.length);
    this.memory.bytes.fill(0);
    this.memory.bytes.set(bytes);
    this.used = true;
  }

  read(offset: number, bytes: number): number {
    const { reading } = this.state;
    if (reading === 'array') return littleEndian(this.memory.bytes, offset, bytes);
    const word = reading === 'status' ? this.state.status : this.tableEntry(offset >> 2);
    return subword(word * twice, offset, bytes);
  }

  private tableEntry(index: number): number {
    if (this.state.reading === 'query') return this.table[index] ?? 0;
    // Of each block: identity, and whether it is locked.
    return identity[index & 0xff] ?? 0;
  }

  write(offset: number, bytes: number, value: number): void {
    const { state } = this;
    const command = value & 0xff;
    switch (state.expecting) {
      case 'command':
        this.command(command, offset);
        break;
      case 'word':
        this.program(offset, bytes, value);
        this.done();
        break;
      case 'erase':
        if (command === commands.confirm) this.erase(offset & -flashBlock);
        else state.status |= status.eraseError | status.programError;
        this.done();
        break;
      case 'lock':
        // There are no locks that hold.
        if (command !== commands.confirm && command !== commands.lockBlock) {
          state.status |= status.eraseError | status.programError;
        }
        this.done();
        break;
      case 'count':
        state.left = (value & 0xffff) + 1;
        state.expecting = state.left * 4 <= bufferBytes * 2 ? 'data' : 'command';
        if (state.expecting === 'command') state.status |= status.programError;
        break;
      case 'data':
        this.takeData(offset, bytes, value);
        break;
      case 'confirm':
        if (command === commands.confirm) for (const [at, size, word] of state.buffer) this.program(at, size, word);
        else state.status |= status.eraseError | status.programError;
        state.buffer = [];
        this.done();
        break;
    }
    this.memory.readInPlace(state.reading === 'array');
  }

  private command(command: number, offset: number): void {
    const { state } = this;
    state.reading = 'status';
    switch (command) {
      case commands.program:
      case commands.programToo:
        state.expecting = 'word';
        break;
      case commands.erase:
        state.expecting = 'erase';
        break;
      case commands.lock:
        state.expecting = 'lock';
        break;
      case commands.writeBuffer:
        state.expecting = 'count';
        state.block = offset & -flashBlock;
        state.buffer = [];
        break;
      case commands.clearStatus:
        state.status = status.ready;
        state.reading = 'array';
        break;
      case commands.identify:
        state.reading = 'identity';
        break;
      case commands.query:
        state.reading = 'query';
        break;
      case commands.readStatus:
      case commands.confirm:
        break;
      default:
        // READ ARRAY, and what means it to other kinds of flash (0xf0, 0x00).
        state.reading = 'array';
    }
  }

  private takeData(offset: number, bytes: number, value: number): void {
    const { state } = this;
    if ((offset & -flashBlock) === state.block) state.buffer.push([offset, bytes, value]);
    else state.status |= status.programError;
    if (--state.left === 0) state.expecting = 'confirm';
  }

  /** An operation has ended; reads give the status until the guest wants something else. */
  private done(): void {
    this.state.expecting = 'command';
    this.state.reading = 'status';
  }

  /** Bits go from 1 to 0, never back. */
  private program(offset: number, bytes: number, value: number): void {
    if (this.drive?.readOnly) {
      this.state.status |= status.programError;
      return;
    }
    const { memory } = this;
    memory.aboutToWrite(offset, bytes);
    this.used = true;
    for (let i = 0; i < bytes; i++) memory.bytes[offset + i]! &= value >>> (8 * i);
    this.keep(offset, bytes);
  }

  private erase(block: number): void {
    if (this.drive?.readOnly) {
      this.state.status |= status.eraseError;
      return;
    }
    this.memory.aboutToWrite(block, flashBlock);
    this.used = true;
    this.memory.bytes.fill(0xff, block, block + flashBlock);
    this.keep(block, flashBlock);
  }

  /** Writes changed bytes to the disk. */
  private keep(offset: number, length: number): void {
    const first = offset & -sectorBytes;
    const end = (offset + length + sectorBytes - 1) & -sectorBytes;
    // Files take no shared memory.
    this.drive?.write(first, this.memory.bytes.slice(first, end));
  }

  reset(): void {
    this.load(resetState);
  }

  save() {
    return { ...this.state, buffer: [...this.state.buffer] };
  }

  load(saved: unknown): void {
    const state = saved as typeof resetState;
    this.state = { ...state, buffer: [...state.buffer] };
    this.memory.readInPlace(state.reading === 'array');
  }
}

function littleEndian(from: Uint8Array, offset: number, bytes: number): number {
  let value = 0;
  for (let i = bytes - 1; i >= 0; i--) value = (value << 8) | from[offset + i]!;
  return value;
}

const chunkBytes = 1 << 18;

/** Copies a disk to memory that is zero; what is zero there is not touched. */
function copyFrom(drive: BlockBackend, memory: Uint8Array): void {
  const chunk = new Uint8Array(chunkBytes);
  const words = new Int32Array(chunk.buffer);
  for (let at = 0; at < memory.length; at += chunkBytes) {
    drive.read(at, chunk);
    if (words.some((word) => word !== 0)) memory.set(chunk, at);
  }
}
