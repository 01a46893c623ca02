import { Access } from '#accel/guest-memory.ts';
import { Errno } from '#util/errno.ts';
import type { Mm } from '../mm/mm.ts';
import { mmapMinAddress, pageCeil, pageFloor } from '../mm/page-math.ts';
import { MapFlags } from '../mm/vma.ts';
import type { ElfImage, Segment } from './elf.ts';
import { LoadError } from './load-error.ts';
import type { ProgramFile } from './program-file.ts';

/** An ELF file in guest memory. Addresses are guest addresses. */
export interface LoadedImage {
  readonly name: string;
  /** Absolute host path. */
  readonly path: string;
  readonly image: ElfImage;
  /** Memory address minus p_vaddr. */
  readonly bias: number;
  readonly start: number;
  readonly end: number;
  /** e_entry in memory. */
  readonly entry: number;
  /** The program headers in memory; 0 if no segment holds them. */
  readonly programHeaders: number;
}

const { FIXED, PRIVATE, ANONYMOUS } = MapFlags;

/** Where an image goes: `preferred` for a position-independent one if that is free, else as mmap chooses. */
function chooseBias(mm: Mm, file: ProgramFile, image: ElfImage, preferred: number): number {
  const low = pageFloor(image.loads[0].address);
  const length = pageCeil(image.loads.at(-1)!.address + image.loads.at(-1)!.memoryBytes) - low;
  if (image.type === 'exec') return 0;
  const align = Math.max(4096, ...image.loads.map((load) => load.align));
  try {
    // Room for the alignment, which mmap's own choice does not keep.
    const slack = align > 4096 ? align : 0;
    const found = mm.findFree(preferred, length + slack);
    return Math.ceil(found / align) * align - Math.floor(low / align) * align;
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
    throw new LoadError(`${file.name}: does not fit: its segments span ${length} bytes`, 126);
  }
}

/** Maps the PT_LOAD segments. Throws LoadError where they do not fit. */
export function mapImage(mm: Mm, file: ProgramFile, image: ElfImage, preferred: number): LoadedImage {
  const bias = chooseBias(mm, file, image, preferred);
  const last = image.loads.at(-1)!;
  const start = pageFloor(image.loads[0].address) + bias;
  const end = last.address + last.memoryBytes + bias;
  const range = `0x${start.toString(16)}-0x${end.toString(16)}`;
  if (start < mmapMinAddress) {
    throw new LoadError(`${file.name}: its segments ${range} begin below 0x${mmapMinAddress.toString(16)}`, 126);
  }
  if (pageCeil(end) > mm.taskSize || !mm.vmas.free(start, pageCeil(end))) {
    throw new LoadError(`${file.name}: its segments ${range} do not fit into the guest's address space`, 126);
  }
  for (const load of image.loads) mapSegment(mm, file, load, bias);
  const holder = image.loads.find(
    ({ offset, fileBytes }) =>
      image.programHeaderOffset >= offset && image.programHeaderOffset + image.programHeaderBytes <= offset + fileBytes,
  );
  return {
    name: file.name,
    path: file.path,
    image,
    bias,
    start,
    end,
    entry: (image.entry + bias) % 2 ** 32,
    programHeaders: holder === undefined ? 0 : holder.address + bias + (image.programHeaderOffset - holder.offset),
  };
}

function mapSegment(mm: Mm, file: ProgramFile, load: Segment, bias: number): void {
  const address = load.address + bias;
  const fileEnd = address + load.fileBytes;
  const end = address + load.memoryBytes;
  const page = pageFloor(address);
  let mapped = page;
  if (load.fileBytes > 0) {
    mapped = pageCeil(fileEnd);
    const offset = load.offset - (address - page);
    const { prot } = load;
    mapPages(mm, file, { address: page, length: mapped - page, prot, flags: FIXED | PRIVATE, file, offset });
    if (end > fileEnd) clearTail(mm, fileEnd, mapped);
  }
  if (pageCeil(end) > mapped) {
    const length = pageCeil(end) - mapped;
    const flags = FIXED | PRIVATE | ANONYMOUS;
    mapPages(mm, file, { address: mapped, length, prot: load.prot, flags, file: null, offset: 0 });
  }
}

function mapPages(mm: Mm, file: ProgramFile, request: Parameters<Mm['mmap']>[0]): void {
  try {
    mm.mmap(request);
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
    throw new LoadError(`${file.name}: cannot map 0x${request.address.toString(16)} (${error.code})`, 126);
  }
}

/** Zeroes what the last file page holds beyond the segment. */
function clearTail(mm: Mm, from: number, to: number): void {
  const page = pageFloor(from);
  if (page === from && from === to) return;
  const access = mm.memory.permissions[page / 4096];
  mm.makeWritable(page, to);
  mm.memory.view(from, to - from, Access.write).fill(0);
  mm.memory.protect(page, to, access);
}
