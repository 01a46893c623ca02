/** Major and minor number in a dev_t as Node reports it (makedev(3), the glibc and kernel encoding). */
export const deviceMajor = (device: bigint): number =>
  Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xffff_f000n));
export const deviceMinor = (device: bigint): number => Number((device & 0xffn) | ((device >> 12n) & 0xffff_ff00n));
