import type { CodeReader } from '#tcg/target.ts';

/** A little-endian 32-bit ELF file of one loaded segment, as a test reads it. */
export interface ElfFunctions {
  /** Its functions by address; a PC has bit 0 set in Thumb state. */
  readonly functions: readonly { readonly name: string; readonly pc: number }[];
  /** Its segment, all of it constant. */
  readonly code: CodeReader;
}

/** Reads the file's function symbols, in the order of their addresses, and its first segment. */
export function elfFunctions(file: Buffer): ElfFunctions {
  const word = (at: number): number => file.readUInt32LE(at);
  const segment = word(28);
  const [offset, start, size] = [word(segment + 4), word(segment + 8), word(segment + 16)];
  const sectionAt = (index: number): number => word(32) + index * 40;
  const indices = Array.from({ length: file.readUInt16LE(48) }, (_, index) => index);
  const symtab = sectionAt(indices.find((index) => word(sectionAt(index) + 4) === 2)!);
  const names = word(sectionAt(word(symtab + 24)) + 16);
  const functions: { name: string; pc: number }[] = [];
  for (let at = word(symtab + 16); at < word(symtab + 16) + word(symtab + 20); at += 16) {
    if ((file[at + 12] & 15) !== 2) continue;
    const name = names + word(at);
    functions.push({ name: file.toString('latin1', name, file.indexOf(0, name)), pc: word(at + 4) });
  }
  functions.sort((a, b) => a.pc - b.pc);
  const inside = (address: number, bytes: number): boolean => address >= start && address + bytes <= start + size;
  const code: CodeReader = {
    fetch8: (address) => (inside(address, 1) ? file[address - start + offset]! : -1),
    fetch16: (address) => (inside(address, 2) ? file.readUInt16LE(address - start + offset) : -1),
    fetch32: (address) => file.readInt32LE(address - start + offset),
    fetchable: inside,
    constant: inside,
  };
  return { functions, code };
}
