/*
 * The boot protocol of 32-bit ARM Linux (Documentation/arch/arm/booting.rst): where the kernel, the initial RAM disk
 * and the device tree go, and what the registers hold.
 */

export class BootError extends Error {}

export interface BootImage {
  /** Physical addresses and what goes there. */
  readonly loads: readonly { readonly address: number; readonly bytes: Uint8Array }[];
  readonly entry: number;
}

export interface Placement {
  readonly kernel: BootImage;
  readonly initrd: number;
  readonly deviceTree: number;
}

const zImageMagic = 0x016f2818;
const elfMagic = 0x464c457f;
const machineArm = 40;
/** Where QEMU puts a zImage, from the start of RAM. */
const zImageOffset = 0x10000;
const defaultTextOffset = 0x8000;
/** Initial RAM disks go here at the highest, from the start of RAM. */
const maxInitrdOffset = 128 << 20;

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** What a kernel file loads. `name` is for messages. */
export function readKernel(bytes: Uint8Array, name: string, ramStart: number): BootImage {
  const view = viewOf(bytes);
  if (bytes.length < 64) throw new BootError(`${name}: too short for a kernel`);
  if (view.getUint32(0, true) === elfMagic) return readElf(view, bytes, name, ramStart);
  if (view.getUint32(0x24, true) === zImageMagic) {
    const size = view.getUint32(0x2c, true) - view.getUint32(0x28, true);
    if (size > bytes.length) throw new BootError(`${name}: the zImage is cut off (${bytes.length} of ${size} bytes)`);
    return at(ramStart + zImageOffset, bytes);
  }
  return at(ramStart + textOffset(view, name), bytes);
}

const at = (address: number, bytes: Uint8Array): BootImage => ({ loads: [{ address, bytes }], entry: address });

/**
 * TEXT_OFFSET of an uncompressed kernel, which has no header: what its first instructions subtract from their own
 * address to get the start of RAM (`sub r8, r8, #TEXT_OFFSET`).
 */
function textOffset(view: DataView, name: string): number {
  const isCode = (word: number): boolean => word >>> 28 === 0xe;
  if (!isCode(view.getUint32(0, true)) && !isCode(view.getUint32(4, true))) {
    throw new BootError(`${name}: no ARM kernel (zImage, Image or ELF)`);
  }
  for (let offset = 0; offset < 0x200 && offset + 4 <= view.byteLength; offset += 4) {
    const word = view.getUint32(offset, true);
    if ((word & 0xfffff000) >>> 0 !== 0xe2488000) continue;
    const rotation = (word >>> 7) & 30;
    const value = word & 0xff;
    return ((value >>> rotation) | (value << (32 - rotation))) >>> 0;
  }
  return defaultTextOffset;
}

/** An ELF kernel (vmlinux): its segments, at their physical addresses. */
function readElf(view: DataView, bytes: Uint8Array, name: string, ramStart: number): BootImage {
  const wrong = (why: string): never => {
    throw new BootError(`${name}: ${why}`);
  };
  if (view.getUint8(4) !== 1 || view.getUint8(5) !== 1 || view.getUint16(18, true) !== machineArm) {
    wrong('an ELF file, but not of a 32-bit little-endian ARM');
  }
  const headers = view.getUint32(28, true);
  const size = view.getUint16(42, true);
  const count = view.getUint16(44, true);
  if (headers + size * count > bytes.length || size < 32) wrong('the ELF file is cut off');
  const loads: { address: number; bytes: Uint8Array }[] = [];
  const entry = view.getUint32(24, true);
  let physicalEntry = entry;
  for (let i = 0; i < count; i++) {
    const header = headers + i * size;
    if (view.getUint32(header, true) !== 1) continue;
    const [offset, virtual, physical, length] = [4, 8, 12, 16].map((field) => view.getUint32(header + field, true));
    if (offset! + length! > bytes.length) wrong('the ELF file is cut off');
    // Kernels linked for a board may name virtual addresses here: RAM decides.
    const address = physical! >= ramStart ? physical! : ramStart + (physical! & 0x0fffffff);
    loads.push({ address, bytes: bytes.subarray(offset, offset! + length!) });
    if (entry >= virtual! && entry < virtual! + length!) physicalEntry = entry - virtual! + address;
  }
  if (loads.length === 0) wrong('the ELF file has nothing to load');
  return { loads, entry: physicalEntry };
}

/** Addresses of what goes beside the kernel. */
export function place(
  kernel: BootImage,
  ramStart: number,
  ramSize: number,
  initrdBytes: number,
): Omit<Placement, 'kernel'> {
  const kernelEnd = Math.max(...kernel.loads.map(({ address, bytes }) => address + bytes.length));
  const page = (address: number): number => Math.ceil(address / 4096) * 4096;
  const initrd = page(Math.max(ramStart + Math.min(Math.floor(ramSize / 2), maxInitrdOffset), kernelEnd));
  const deviceTree = page(initrd + initrdBytes);
  if (deviceTree + (1 << 20) > ramStart + ramSize) throw new BootError('kernel and initrd do not fit into RAM');
  return { initrd, deviceTree };
}
