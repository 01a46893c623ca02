/** Registers that the guest reads and writes. Offsets count from the device's start; `bytes` is 1, 2 or 4. */
export interface Device {
  /** What `info mtree` calls it. */
  readonly name: string;
  read(offset: number, bytes: number): number;
  write(offset: number, bytes: number, value: number): void;
  reset(): void;
  /** Everything that must be kept for the machine to go on later: plain data. */
  save(): unknown;
  load(state: unknown): void;
}

/** An interrupt line, or any other wire: up or down. */
export type Line = (level: boolean) => void;

/** RAM as devices reach it (DMA), by physical address. */
export interface Ram {
  /** The bytes [physical, physical + length) themselves; undefined if any of them is not RAM. */
  ram(physical: number, length: number): Uint8Array | undefined;
  /** To be called where bytes are changed: code in there is dropped. */
  aboutToWrite(physical: number, length: number): void;
}

/** Guest time. */
export interface Clock {
  /** Nanoseconds since the machine was made. */
  now(): number;
  /** Makes a timer that calls `fire` once at the time it was last set to. */
  timer(fire: () => void): Timer;
}

export interface Timer {
  /** Sets it to a time in nanoseconds; Infinity: never. */
  set(deadline: number): void;
}

/** The value of an aligned register as an access of fewer bytes sees it. */
export const subword = (value: number, offset: number, bytes: number): number =>
  bytes === 4 ? value : (value >>> (8 * (offset & 3))) & ((1 << (8 * bytes)) - 1);

/** Where a PrimeCell's identification registers begin; it has eight, a byte in each word. */
const identificationStart = 0xfe0;

/** What a PrimeCell reads as where it has no other register: its identification, else 0. */
export const primeCellWord = (identification: readonly number[], offset: number): number =>
  offset >= identificationStart ? (identification[(offset - identificationStart) >> 2] ?? 0) : 0;
