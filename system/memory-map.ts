import type { DeviceBus } from '#accel/virtual-memory.ts';
import type { Device } from '#hw/device.ts';

/** A device at a place in physical memory. */
export interface Region {
  readonly start: number;
  readonly size: number;
  readonly device: Device;
}

/** Physical memory beyond RAM, as sorted ranges. */
export class MemoryMap implements DeviceBus {
  readonly regions: Region[] = [];
  /** Accesses of devices so far. */
  accesses = 0;
  private last: Region | undefined;
  private readonly unassigned: (text: string) => void;

  /** `unassigned` is told of accesses to nothing. */
  constructor(unassigned: (text: string) => void) {
    this.unassigned = unassigned;
  }

  add(start: number, size: number, device: Device): void {
    const at = this.regions.findIndex((region) => region.start > start);
    const before = this.regions[(at < 0 ? this.regions.length : at) - 1];
    const after = this.regions[at];
    if ((before && before.start + before.size > start) || (after && start + size > after.start)) {
      throw new Error(`${device.name} at 0x${start.toString(16)} overlaps another device`);
    }
    this.regions.splice(at < 0 ? this.regions.length : at, 0, { start, size, device });
  }

  find(address: number): Region | undefined {
    const { last } = this;
    if (last && address >= last.start && address < last.start + last.size) return last;
    let low = 0;
    let high = this.regions.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.regions[middle]!.start <= address) low = middle + 1;
      else high = middle;
    }
    const region = this.regions[low - 1];
    if (!region || address >= region.start + region.size) return undefined;
    this.last = region;
    return region;
  }

  read(address: number, bytes: number): number {
    this.accesses++;
    const region = this.find(address);
    if (region) return region.device.read(address - region.start, bytes);
    this.unassigned(`read of ${bytes} bytes at physical 0x${address.toString(16)}`);
    return 0;
  }

  write(address: number, bytes: number, value: number): void {
    this.accesses++;
    const region = this.find(address);
    if (region) region.device.write(address - region.start, bytes, value);
    else this.unassigned(`write of ${bytes} bytes at physical 0x${address.toString(16)}`);
  }
}
