import { closeSync, openSync, readSync } from 'node:fs';

/** Fills `length` bytes from `start` on: all randomness the guest sees (getrandom, AT_RANDOM, /dev/urandom). */
export type Entropy = (bytes: Uint8Array, start: number, length: number) => void;

/** The host's randomness, or with a seed the same bytes in every run (splitmix64; Steele, Lea, Flood 2014). */
export function createEntropy(seed: bigint | null): Entropy {
  if (seed === null) {
    return hostRandomness;
  }
  let state = BigInt.asUintN(64, seed);
  return (bytes, start, length) => {
    for (let i = 0; i < length; i += 8) {
      let word = splitmix((state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n)));
      for (let j = i; j < Math.min(i + 8, length); j++, word >>= 8n) bytes[start + j] = Number(word & 0xffn);
    }
  };
}

function hostRandomness(bytes: Uint8Array, start: number, length: number): void {
  if (length > 0 && !fromDevice(bytes, start, length)) fromCrypto(bytes, start, length);
}

/** False where the host has no such device. */
function fromDevice(bytes: Uint8Array, start: number, length: number): boolean {
  let fd: number;
  try {
    fd = openSync('/dev/urandom', 'r');
  } catch {
    return false;
  }
  try {
    // A view, since Node takes no offset beyond 2^31 - 1 and a guest's stack lies there.
    for (let done = 0; done < length; ) done += readSync(fd, bytes.subarray(start + done, start + length));
  } finally {
    closeSync(fd);
  }
  return true;
}

/** Loading node:crypto costs 15 ms, which every program would pay for its sixteen bytes of AT_RANDOM. */
function fromCrypto(bytes: Uint8Array, start: number, length: number): void {
  const { randomFillSync } = process.getBuiltinModule('node:crypto');
  // It refuses more than 2^31 - 1 bytes at once.
  for (let done = 0; done < length; done += 2 ** 30) {
    randomFillSync(bytes.subarray(start + done, start + Math.min(done + 2 ** 30, length)));
  }
}

function splitmix(state: bigint): bigint {
  const a = BigInt.asUintN(64, (state ^ (state >> 30n)) * 0xbf58476d1ce4e5b9n);
  const b = BigInt.asUintN(64, (a ^ (a >> 27n)) * 0x94d049bb133111ebn);
  return b ^ (b >> 31n);
}
