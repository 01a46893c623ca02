import type { ProgramFile } from './loader/program-file.ts';

interface SymbolEntry {
  /** As in the file: before the load bias. */
  readonly address: number;
  readonly size: number;
  readonly name: string;
}

const SHT_SYMTAB = 2;
const SHT_DYNSYM = 11;
const STT_NOTYPE = 0;
const STT_FUNC = 2;
/** Sections larger than this are left alone. */
const maximumSection = 256 << 20;

interface Section {
  readonly type: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
}

/** Section headers of a 32-bit little-endian ELF file; none if they are not all there. */
function readSections(file: ProgramFile): Section[] {
  const header = file.read(0, 52);
  if (header.length < 52 || header[4] !== 1 || header[5] !== 1) return [];
  const offset = header.readUInt32LE(32);
  const stride = header.readUInt16LE(46);
  const count = header.readUInt16LE(48);
  if (offset === 0 || stride !== 40 || offset + count * stride > file.size) return [];
  const table = file.read(offset, count * stride);
  if (table.length < count * stride) return [];
  const sections: Section[] = [];
  for (let at = 0; at < table.length; at += stride) {
    sections.push({
      type: table.readUInt32LE(at + 4),
      offset: table.readUInt32LE(at + 16),
      size: table.readUInt32LE(at + 20),
      link: table.readUInt32LE(at + 24),
    });
  }
  return sections;
}

const content = (file: ProgramFile, section: Section): Buffer =>
  section.size > maximumSection || section.offset > file.size
    ? Buffer.alloc(0)
    : file.read(section.offset, Math.min(section.size, file.size - section.offset));

/** The functions of an ELF file, from .symtab or, where that is stripped, .dynsym. Malformed tables give none. */
export class SymbolTable {
  private readonly entries: SymbolEntry[] = [];

  constructor(file: ProgramFile) {
    const sections = readSections(file);
    const table = sections.find(({ type }) => type === SHT_SYMTAB) ?? sections.find(({ type }) => type === SHT_DYNSYM);
    const strings = table === undefined ? undefined : sections[table.link];
    if (table === undefined || strings === undefined) return;
    this.read(content(file, table), content(file, strings));
    this.entries.sort((a, b) => a.address - b.address);
  }

  private read(table: Buffer, strings: Buffer): void {
    for (let at = 16; at + 16 <= table.length; at += 16) {
      const type = table[at + 12] & 15;
      const defined = table.readUInt16LE(at + 14) !== 0;
      if (!defined || (type !== STT_FUNC && type !== STT_NOTYPE)) continue;
      const start = table.readUInt32LE(at);
      const end = strings.indexOf(0, start);
      if (start === 0 || end <= start) continue;
      const name = strings.toString('utf8', start, end);
      // $a, $t, $d mark code and data, they name nothing.
      if (name.startsWith('$')) continue;
      const value = table.readUInt32LE(at + 4);
      const address = type === STT_FUNC ? (value & ~1) >>> 0 : value;
      this.entries.push({ address, size: table.readUInt32LE(at + 8), name });
    }
  }

  /** `name+0x12` for an address before the load bias, or null. */
  lookup(address: number): string | null {
    let low = 0;
    let high = this.entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.entries[middle].address > address) high = middle;
      else low = middle + 1;
    }
    const best = this.entries[low - 1];
    if (best === undefined || (best.size > 0 && address >= best.address + best.size)) return null;
    const distance = address - best.address;
    return distance === 0 ? best.name : `${best.name}+0x${distance.toString(16)}`;
  }
}
