import { pageSize } from '#accel/guest-memory.ts';

/** Pages below this cannot be mapped (vm.mmap_min_addr). */
export const mmapMinAddress = 0x10000;

export const pageFloor = (address: number): number => Math.floor(address / pageSize) * pageSize;
export const pageCeil = (address: number): number => Math.ceil(address / pageSize) * pageSize;
