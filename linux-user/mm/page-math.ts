import { pageSize } from '#accel/guest-memory.ts';

/**
 * Pages below this cannot be mapped (vm.mmap_min_addr). On ARM it is lower than elsewhere, since programs used to be
 * linked there (mm/Kconfig); tcc still does it.
 */
export const mmapMinAddress = 0x8000;

export const pageFloor = (address: number): number => Math.floor(address / pageSize) * pageSize;
export const pageCeil = (address: number): number => Math.ceil(address / pageSize) * pageSize;
