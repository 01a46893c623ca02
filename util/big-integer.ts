/** Bits of a value ≥ 0 without its leading zeros. */
export function bitLength(value: bigint): number {
  let rest = value;
  let count = 0;
  while (rest > 0xffffffffn) {
    rest >>= 32n;
    count += 32;
  }
  return count + 32 - Math.clz32(Number(rest));
}

/** Floor of the square root. */
export function integerSqrt(value: bigint): bigint {
  if (value < 2n) return value;
  let guess = 1n << BigInt((bitLength(value) + 1) >> 1);
  for (;;) {
    const next = (guess + value / guess) >> 1n;
    if (next >= guess) return guess;
    guess = next;
  }
}
