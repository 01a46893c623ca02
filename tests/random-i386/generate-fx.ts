import type { X86Row } from '#target/i386/row.ts';
import { simdRows } from '#target/i386/simd.rows.ts';
import { sseRows } from '#target/i386/sse.rows.ts';
import { x87Rows } from '#target/i386/x87.rows.ts';
import type { Difference } from '../random/campaign.ts';
import type { Prng } from '../random/prng.ts';
import { fxBytes } from './rig.ts';

const fxRows = new Set<X86Row>([...x87Rows, ...simdRows, ...sseRows]);
/** Does the instruction work on registers of the FXSAVE image? */
export const isFx = (row: X86Row): boolean => fxRows.has(row);

/** Offsets in an FXSAVE image (SDM vol. 1, table 10-2). */
const Fx = { control: 0, status: 2, tag: 4, mxcsr: 24, st: 32, xmm: 160, end: 288 };
const mxcsrFlags = 0x3f;
const usualMxcsr = 0x1f80;

const wide = (prng: Prng): bigint => (BigInt(prng.u32()) << 32n) | BigInt(prng.u32());

/** The bits of a float with `exponentBits` and `fractionBits`: special ones, and numbers near 1. */
function randomFloat(prng: Prng, exponentBits: bigint, fractionBits: bigint): bigint {
  const sign = BigInt(prng.below(2)) << (exponentBits + fractionBits);
  const top = (1n << exponentBits) - 1n;
  const half = top >> 1n;
  const fraction = prng.chance(30)
    ? prng.pick([0n, 1n, (1n << fractionBits) - 1n, 1n << (fractionBits - 1n)])
    : wide(prng) & ((1n << fractionBits) - 1n);
  const exponent = prng.chance(70)
    ? half + BigInt(prng.below(80) - 40)
    : prng.pick([0n, 0n, 1n, 2n, top, top, top - 1n, half]);
  return sign | (exponent << fractionBits) | fraction;
}

/** 16 bytes: floats of one kind, or anything. */
function randomXmm(prng: Prng): bigint {
  const kind = prng.below(4);
  if (kind === 0) return (wide(prng) << 64n) | wide(prng);
  if (kind === 1) return (randomFloat(prng, 11n, 52n) << 64n) | randomFloat(prng, 11n, 52n);
  let value = 0n;
  for (let i = 0; i < 4; i++) value = (value << 32n) | randomFloat(prng, 8n, 23n);
  return value;
}

/** 10 bytes of an x87 register. */
function randomSt(prng: Prng): bigint {
  const integer = 1n << 63n;
  const sign = BigInt(prng.below(2)) << 79n;
  const fraction = prng.chance(50) ? wide(prng) & ~0x7ffn : wide(prng);
  const exponent = prng.chance(75) ? 0x3fff + prng.below(100) - 50 : prng.pick([0, 1, 0x7fff, 0x7ffe, 0x3fff, 0x43fe]);
  if (prng.chance(8)) return sign;
  const significand = prng.chance(4) ? wide(prng) : (exponent === 0 ? 0n : integer) | (fraction & (integer - 1n));
  return sign | (BigInt(exponent) << 64n) | significand;
}

function put(image: Uint8Array, at: number, value: bigint, bytes: number): void {
  for (let i = 0; i < bytes; i++) image[at + i] = Number((value >> BigInt(8 * i)) & 0xffn);
}

/** An FXSAVE image. Half of them have the control bits that programs begin with. */
export function randomFx(prng: Prng): Uint8Array {
  const image = new Uint8Array(fxBytes);
  const usual = prng.chance(50);
  const control = 0x37f & ~0xf00;
  const x87Control = usual ? 0x37f : control | (prng.pick([0, 2, 3, 3]) << 8) | (prng.below(4) << 10);
  put(image, Fx.control, BigInt(x87Control), 2);
  put(image, Fx.status, BigInt((prng.below(8) << 11) | (prng.u32() & 0x4700)), 2);
  put(image, Fx.tag, BigInt(prng.chance(20) ? prng.below(256) : (0xff << prng.below(8)) & 0xff), 1);
  const unusualMxcsr =
    usualMxcsr | (prng.below(4) << 13) | (prng.chance(30) ? 0x8000 : 0) | (prng.chance(30) ? 0x40 : 0);
  put(image, Fx.mxcsr, BigInt(usual ? usualMxcsr : unusualMxcsr), 4);
  for (let n = 0; n < 8; n++) put(image, Fx.st + 16 * n, randomSt(prng), 10);
  for (let n = 0; n < 8; n++) put(image, Fx.xmm + 16 * n, randomXmm(prng), 16);
  return image;
}

/** Another image, mostly with the same control words, tags and top: compiled code is made for those it has seen. */
export function otherFx(prng: Prng, first: Uint8Array): Uint8Array {
  const image = randomFx(prng);
  if (prng.chance(70)) image.set(first.subarray(Fx.control, Fx.tag + 1), Fx.control);
  if (prng.chance(70)) image.set(first.subarray(Fx.mxcsr, Fx.mxcsr + 4), Fx.mxcsr);
  return image;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).reverse().toString('hex');

/** Approximations, of which the manual gives the accuracy only, or processors differ. */
export const approximate = /^(RCP|RSQRT)|^(F2XM1|FYL2X|FYL2XP1|FPATAN|FPTAN|FSIN|FCOS|FSINCOS)$/;

/** What of an image is compared: name, offset, bytes. */
const parts: readonly (readonly [name: string, at: number, bytes: number])[] = [
  ['control word', Fx.control, 2],
  ['status word', Fx.status, 2],
  ['tags', Fx.tag, 1],
  ['mxcsr', Fx.mxcsr, 2],
  ...Array.from({ length: 8 }, (_, n) => [`st${n}`, Fx.st + 16 * n, 10] as const),
  ...Array.from({ length: 8 }, (_, n) => [`xmm${n}`, Fx.xmm + 16 * n, 16] as const),
];

/** Where an approximation or the flags of its rounding may be. */
const approximated = /^(status word|st0|st1|xmm[0-7])$/;

const partsOf = (image: Uint8Array): string[] => parts.map(([, at, bytes]) => hex(image.subarray(at, at + bytes)));

/** The image without the flags of MXCSR, if its control bits are the usual ones. */
function withoutFlags(image: Uint8Array): Uint8Array {
  const mxcsr = image[Fx.mxcsr]! | (image[Fx.mxcsr + 1]! << 8);
  if ((mxcsr & ~mxcsrFlags) !== usualMxcsr) return image;
  const copy = Uint8Array.from(image);
  copy[Fx.mxcsr]! &= ~mxcsrFlags;
  return copy;
}

/**
 * What differs of the images. Without `fpFlags` those of MXCSR do not count while it is as programs begin with it;
 * `isApproximate`: the last instruction was such a one.
 */
export function compareFx(
  expected: Uint8Array | undefined,
  got: Uint8Array | undefined,
  fpFlags: boolean,
  isApproximate: boolean,
): Difference[] {
  if (expected === undefined || got === undefined) return [];
  const [host, ours] = [expected, got].map((image) => partsOf(fpFlags ? image : withoutFlags(image)));
  return host!.flatMap((value, i) => {
    const name = parts[i]![0];
    const isSame = value === ours![i] || (isApproximate && approximated.test(name));
    return isSame ? [] : [[name, value, ours![i]!]];
  });
}

/** An image in lines. */
export function describeFx(image: Uint8Array): string[] {
  const values = partsOf(image).map((value, i) => `${parts[i]![0]}=${value}`);
  return [values.slice(0, 4).join(' '), ...values.slice(4)];
}
