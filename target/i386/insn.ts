import type { CodeReader } from '#tcg/target.ts';
import { rowLists, rowStarts } from './decode-index.ts';
import { Method, type Operand, sizeV } from './operand.ts';
import { modrmMatches, Prefix, type RowBits, rowBits, vexMaps, type X86Row } from './row.ts';
import { rows } from './rows.ts';
import { Seg } from './state.ts';

/** The longest instruction (SDM vol. 2, 2.3.11); a longer one is #GP. */
const maxLength = 15;

/** What became of decoding. */
export const Decoded = {
  ok: 0,
  /** No such instruction: #UD. */
  undefined: 1,
  /** A byte of it cannot be fetched: `faultAddress`. */
  fetchFault: 2,
  tooLong: 3,
} as const;
export type Decoded = (typeof Decoded)[keyof typeof Decoded];

/** A decoded instruction. One record serves all instructions of a block in turn. */
export class Insn {
  pc = 0;
  /** Bytes read; all of the instruction if it is `ok`. */
  length = 0;
  row: X86Row = rows[0]!;
  bits: RowBits = rowBits(rows[0]!);
  /** Operand and address size, 2 or 4 bytes. */
  operandBytes: 2 | 4 = 4;
  addressBytes: 2 | 4 = 4;
  lock = false;
  /** 0xf3 or 0xf2 if that is a prefix (the last one counts), else 0. */
  rep = 0;
  /** Was there a 66 prefix? It is the operand size unless the row has it for its mandatory prefix. */
  p66 = false;
  /** Segment override, −1 for none. */
  segment = -1;
  map = 0;
  /** What VEX says: a mandatory prefix (−1 without VEX), and the number of a register, whose bit 3 means nothing. */
  vexPrefix = -1;
  vvvv = 0;
  opcode = 0;
  modrm = 0;
  /** Memory operand: base and index register or −1, log2 of the index's scale, displacement. */
  base = -1;
  index = -1;
  scale = 0;
  displacement = 0;
  /** Immediate, branch displacement or offset, sign-extended from its size; and the second one (ENTER, far pointers). */
  immediate = 0;
  immediate2 = 0;
  faultAddress = 0;
  private code: CodeReader | undefined = undefined;
  private readonly lacks: ((row: X86Row) => boolean) | undefined;

  /** `lacks` tells the rows that the CPU does not have; without it there are none. */
  constructor(lacks?: (row: X86Row) => boolean) {
    this.lacks = lacks;
  }

  /** Is the operand in ModRM.rm memory? */
  get isMemory(): boolean {
    return this.modrm < 0xc0;
  }

  get reg(): number {
    return (this.modrm >> 3) & 7;
  }

  get rm(): number {
    return this.modrm & 7;
  }

  /** Reads the instruction at `pc`. */
  decode(code: CodeReader, pc: number): Decoded {
    this.code = code;
    this.pc = pc;
    this.length = 0;
    this.faultAddress = -1;
    const decoded = this.read();
    if (this.faultAddress >= 0) return Decoded.fetchFault;
    return this.length > maxLength ? Decoded.tooLong : decoded;
  }

  private read(): Decoded {
    const opcode = this.readOpcode(this.readPrefixes());
    if (this.length > maxLength || this.faultAddress >= 0 || !this.findRow(opcode)) return Decoded.undefined;
    const { bits } = this;
    // A register that no operand takes must be written as 1111.
    if (this.vvvv !== 0 && this.vexPrefix >= 0 && !bits.operands.some(takesVvvv)) return Decoded.undefined;
    if (this.p66 && bits.prefix !== Prefix.p66) this.operandBytes = 2;
    if (bits.modrm) {
      this.byte();
      if (this.modrm < 0xc0) this.readAddress();
    }
    for (const operand of bits.operands) this.readImmediate(operand.method, operand.size);
    return Decoded.ok;
  }

  /** The next byte; 0 where it cannot be fetched, which is noted. */
  private byte(): number {
    if (this.length > maxLength) return 0;
    const at = (this.pc + this.length) >>> 0;
    const byte = this.code!.fetch8(at);
    if (byte < 0) {
      if (this.faultAddress < 0) this.faultAddress = at;
      return 0;
    }
    this.length++;
    return byte;
  }

  private word(): number {
    const low = this.byte();
    return low | (this.byte() << 8);
  }

  private dword(): number {
    const low = this.word();
    return low | (this.word() << 16);
  }

  /** Reads the prefixes and returns the byte after them. */
  private readPrefixes(): number {
    this.operandBytes = 4;
    this.addressBytes = 4;
    this.lock = false;
    this.rep = 0;
    this.p66 = false;
    this.segment = -1;
    for (;;) {
      const byte = this.byte();
      switch (byte) {
        case 0x26:
          this.segment = Seg.es;
          break;
        case 0x2e:
          this.segment = Seg.cs;
          break;
        case 0x36:
          this.segment = Seg.ss;
          break;
        case 0x3e:
          this.segment = Seg.ds;
          break;
        case 0x64:
          this.segment = Seg.fs;
          break;
        case 0x65:
          this.segment = Seg.gs;
          break;
        case 0x66:
          this.p66 = true;
          break;
        case 0x67:
          this.addressBytes = 2;
          break;
        case 0xf0:
          this.lock = true;
          break;
        case 0xf2:
        case 0xf3:
          this.rep = byte;
          break;
        default:
          return byte;
      }
      if (this.length > maxLength) return 0;
    }
  }

  private readOpcode(first: number): number {
    this.map = 0;
    this.vexPrefix = -1;
    this.opcode = first;
    if ((first === 0xc4 || first === 0xc5) && this.nextByte() >= 0xc0) return this.readVex(first);
    if (first === 0x0f) {
      this.map = 1;
      this.opcode = this.byte();
      if (this.opcode === 0x38 || this.opcode === 0x3a) {
        this.map = this.opcode === 0x38 ? 2 : 3;
        this.opcode = this.byte();
      }
    }
    return this.map * 256 + this.opcode;
  }

  /**
   * Reads what follows C4 or C5 where the next byte would be a register for LES and LDS, which they have none of: a VEX
   * prefix (SDM vol. 2, 2.3.5). −1 if no instruction can follow.
   */
  private readVex(first: number): number {
    if (first === 0xc5 || this.p66 || this.rep !== 0 || this.lock) return -1;
    const map = this.byte() & 31;
    const byte = this.byte();
    const isLong = (byte & 4) !== 0;
    this.vexPrefix = vexPrefixes[byte & 3]!;
    this.vvvv = (~byte >> 3) & 15;
    this.map = map + vexMaps;
    this.opcode = this.byte();
    return (map === 2 || map === 3) && !isLong ? this.map * 256 + this.opcode : -1;
  }

  /** Finds the row; `modrm` is then the byte after the opcode, which is not yet read. */
  private findRow(key: number): boolean {
    if (key < 0) return false;
    const end = rowStarts[key + 1]!;
    const mandatory = this.mandatoryPrefix();
    let peeked = false;
    this.modrm = 0xff;
    for (let at = rowStarts[key]!; at < end; at++) {
      const candidate = rows[rowLists[at]!]!;
      const bits = rowBits(candidate);
      if (bits.prefix !== Prefix.any && bits.prefix !== mandatory) continue;
      if (bits.modrm) {
        if (!peeked) this.modrm = this.nextByte();
        peeked = true;
        if (!modrmMatches(bits, this.modrm)) continue;
      }
      if (this.lacks?.(candidate)) continue;
      this.row = candidate;
      this.bits = bits;
      return true;
    }
    return false;
  }

  private mandatoryPrefix(): number {
    if (this.vexPrefix >= 0) return this.vexPrefix;
    if (this.rep !== 0) return this.rep;
    return this.p66 ? Prefix.p66 : Prefix.none;
  }

  /** The byte that `byte` would read. */
  private nextByte(): number {
    const { length } = this;
    const byte = this.byte();
    this.length = length;
    return byte;
  }

  /** The memory operand's address (SDM vol. 2, tables 2-1 to 2-3). */
  private readAddress(): void {
    const { modrm } = this;
    const mod = modrm >> 6;
    this.base = -1;
    this.index = -1;
    this.scale = 0;
    this.displacement = 0;
    if (this.addressBytes === 2) {
      this.readAddress16(mod, modrm & 7);
      return;
    }
    this.base = modrm & 7;
    if (this.base === 4) {
      const sib = this.byte();
      this.base = sib & 7;
      this.index = (sib >> 3) & 7;
      this.scale = sib >> 6;
      if (this.index === 4) this.index = -1;
    }
    if (mod === 0 && this.base === 5) {
      this.base = -1;
      this.displacement = this.dword();
    } else if (mod === 1) this.displacement = (this.byte() << 24) >> 24;
    else if (mod === 2) this.displacement = this.dword();
  }

  private readAddress16(mod: number, rm: number): void {
    this.base = bases16[rm]!;
    this.index = indexes16[rm]!;
    if (mod === 0 && rm === 6) {
      this.base = -1;
      this.displacement = this.word();
    } else if (mod === 1) this.displacement = (this.byte() << 24) >> 24;
    else if (mod === 2) this.displacement = this.word();
  }

  private readImmediate(method: number, size: number): void {
    const bytes = size === sizeV ? this.operandBytes : size;
    switch (method) {
      case Method.I:
      case Method.J:
      case Method.Is:
        this.immediate2 = this.immediate;
        this.immediate =
          bytes === 1 ? (this.byte() << 24) >> 24 : bytes === 2 ? (this.word() << 16) >> 16 : this.dword();
        return;
      case Method.O:
        this.base = -1;
        this.index = -1;
        this.displacement = this.addressBytes === 2 ? this.word() : this.dword();
        return;
      case Method.A:
        this.immediate = this.operandBytes === 2 ? this.word() : this.dword();
        this.immediate2 = this.word();
        return;
      default:
        return;
    }
  }
}

const takesVvvv = ({ method }: Operand): boolean => method === Method.B;

/** By VEX.pp. */
const vexPrefixes = [Prefix.none, Prefix.p66, Prefix.f3, Prefix.f2];

/** BX BX BP BP SI DI BP BX and SI DI SI DI. */
const bases16 = [3, 3, 5, 5, 6, 7, 5, 3];
const indexes16 = [6, 7, 6, 7, -1, -1, -1, -1];
