import { Access } from '#accel/guest-memory.ts';
import type { Abi } from './abi/abi.ts';
import type { SegmentBytes } from './abi/mxcsr-readers.ts';
import { type ElfImage, readElf } from './loader/elf.ts';
import { LoadError } from './loader/load-error.ts';
import type { LoadedImage } from './loader/map-image.ts';
import type { ProgramFile } from './loader/program-file.ts';
import type { ProgramOpener } from './loader/program-opener.ts';
import type { Mm } from './mm/mm.ts';
import { pageFloor } from './mm/page-math.ts';
import { SymbolTable } from './symbols.ts';

/** An ELF file in memory as a report needs it. */
interface KnownImage {
  readonly path: string;
  readonly bias: number;
  readonly image: ElfImage;
}

/** Finds the ELF file at an address, its symbols and its unwind tables. Everything is read when first asked for. */
export class ImageDirectory {
  private readonly mm: Mm;
  private readonly abi: Abi;
  private readonly programs: ProgramOpener;
  private readonly loaded: LoadedImage[] = [];
  private readonly symbols = new Map<string, SymbolTable | null>();

  constructor(mm: Mm, abi: Abi, programs: ProgramOpener) {
    this.mm = mm;
    this.abi = abi;
    this.programs = programs;
  }

  add(image: LoadedImage): void {
    this.loaded.push(image);
  }

  /** What is in memory of the program's file, segment by segment: of what was told first. */
  *programSegments(): Generator<SegmentBytes> {
    const [program] = this.loaded;
    if (!program) return;
    for (const { address, fileBytes, prot } of program.image.loads) {
      if (fileBytes === 0 || this.mm.memory.refused(address + program.bias, fileBytes, Access.read) >= 0) continue;
      const bytes = this.mm.memory.view(address + program.bias, fileBytes);
      yield { bytes, executable: (prot & 4) !== 0 };
    }
  }

  /** Takes over what another directory has been told. */
  copyFrom(other: ImageDirectory): void {
    this.loaded.push(...other.loaded);
  }

  private at(address: number): KnownImage | null {
    const known = this.loaded.find(({ start, end }) => address >= start && address < end);
    return known ?? this.fromMapping(address);
  }

  /** A library that the guest's own loader has mapped. */
  private fromMapping(address: number): KnownImage | null {
    const vma = this.mm.vmas.at(address);
    if (vma === null || vma.file === null) return null;
    const { start, offset } = vma;
    return this.withFile(vma.file.path, (file) => {
      const image = readElf(file, this.abi);
      const load = image.loads.find((segment) => pageFloor(segment.offset) === offset);
      return load === undefined ? null : { path: file.path, bias: start - pageFloor(load.address), image };
    });
  }

  private withFile<T>(path: string, use: (file: ProgramFile) => T): T | null {
    try {
      const file = this.programs.open(path);
      try {
        return use(file);
      } finally {
        file.release();
      }
    } catch (error) {
      if (error instanceof LoadError) return null;
      throw error;
    }
  }

  /** `main+0x8 (hello)`, or null. */
  symbol(address: number): string | null {
    const kernel = this.abi.kernelSymbol(address);
    if (kernel !== null) return kernel;
    const place = this.locate(address);
    if (place === null) return null;
    const file = place.path.slice(place.path.lastIndexOf('/') + 1);
    return place.symbol === null ? `0x${place.offset.toString(16)} in ${file}` : `${place.symbol} (${file})`;
  }

  /** The ELF file at an address, the address in that file's own terms, and `main+0x8` or null; null outside of files. */
  locate(address: number): { readonly path: string; readonly offset: number; readonly symbol: string | null } | null {
    const image = this.at(address);
    if (image === null) return null;
    let table = this.symbols.get(image.path);
    if (table === undefined) {
      table = this.withFile(image.path, (file) => new SymbolTable(file));
      this.symbols.set(image.path, table);
    }
    const offset = address - image.bias;
    return { path: image.path, offset, symbol: table?.lookup(offset) ?? null };
  }

  /** For `Abi.backtrace`. */
  unwindTable(address: number): { readonly start: number; readonly end: number } | null {
    const image = this.at(address);
    const segment = image?.image.segments.find(({ rawType }) => rawType === this.abi.unwindSegment);
    if (image === null || segment === undefined) return null;
    const start = segment.address + image.bias;
    return { start, end: start + segment.memoryBytes };
  }
}
