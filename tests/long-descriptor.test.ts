import { expect, test } from 'vitest';
import { LongStatus } from '#target/arm/long-descriptor.ts';
import { longFormat, PageTableWalker, ttbcrEae, type WalkResult } from '#target/arm/page-walk.ts';

/* The long-descriptor format against tables made by hand (DDI 0406C B3.6). */

const [read, write, execute] = [1, 2, 4];
const valid = 1;
const table = 3;
const page = 3;
const accessed = 1 << 10;
const user = 1 << 6;
const readOnly = 1 << 7;
const notGlobal = 1 << 11;
/** Bits of the high words. */
const top = { pxn: 1 << 21, xn: 1 << 22, pxnTable: 1 << 27, xnTable: 1 << 28, noUser: 1 << 29, readOnly: 1 << 30 };

/** `descriptors`: low and high word by physical address. What lies beyond 1 MiB is no memory. */
function walker(descriptors: Readonly<Record<number, readonly [number, number]>>, registers: object = {}) {
  const control = {
    ...{ sctlr: 1, ttbcr: ttbcrEae, ttbr0: 0x4000, ttbr1: 0x8000, ttbr0High: 0, ttbr1High: 0, dacr: 0 },
    ...{ privileged: true, ...registers },
  };
  const word = (at: number): number | undefined => {
    if (at >= 0x100000) return undefined;
    return descriptors[at & ~7]?.[(at >> 2) & 1] ?? 0;
  };
  return new PageTableWalker(control, word);
}
const into: WalkResult = { physical: 0, allowed: 0, global: false, large: false };
/** Three levels for address 0x80203000, with `leaf` at the end. */
const three = (leaf: readonly [number, number], first = 0, second = 0) => ({
  [0x4000 + 2 * 8]: [0x5000 | table, first] as const,
  [0x5000 + 1 * 8]: [0x6000 | table, second] as const,
  [0x6000 + 3 * 8]: leaf,
});
const address = 0x80203abc;

test('a page, a block of 2 MiB and one of 1 GiB', () => {
  const leaf = [0x40055000 | accessed | page, 0] as const;
  expect(walker(three(leaf)).walk(address, write, into)).toBe(true);
  expect(into).toEqual({ physical: 0x40055000, allowed: 7, global: true, large: false });
  const block = walker({ [0x4010]: [0x5000 | table, 0], [0x5008]: [0x40200000 | accessed | notGlobal | valid, 0] });
  expect(block.walk(0x80312345, read, into)).toBe(true);
  expect(into).toEqual({ physical: 0x40312000, allowed: 7, global: false, large: true });
  const giga = walker({ [0x4010]: [0x40000000 | accessed | valid, 0] });
  expect(giga.walk(0xb2345678, read, into)).toBe(true);
  expect([into.physical, giga.huge]).toEqual([0x72345000, true]);
});

test('what may be done, at both privileges', () => {
  const allowed = (bits: number, high = 0, registers = {}, first = 0, second = 0): number | undefined => {
    const leaf = [0x40055000 | accessed | page | bits, high] as const;
    walker(three(leaf, first, second), registers).walk(address, read, into);
    return into.allowed;
  };
  const atPl0 = { privileged: false };
  expect([allowed(0), allowed(user), allowed(readOnly), allowed(user | readOnly)]).toEqual([7, 7, 5, 5]);
  expect([0, user, readOnly, user | readOnly].map((bits) => allowed(bits, 0, atPl0))).toEqual([0, 7, 0, 5]);
  expect([allowed(user, top.xn), allowed(user, top.pxn), allowed(user, top.pxn, atPl0)]).toEqual([3, 3, 7]);
  // Tables restrict what they lead to.
  expect([allowed(user, 0, atPl0, top.noUser), allowed(user, 0, {}, 0, top.readOnly)]).toEqual([0, 5]);
  expect([allowed(user, 0, {}, top.xnTable), allowed(user, 0, {}, 0, top.pxnTable)]).toEqual([3, 3]);
  // SCTLR.WXN
  expect([allowed(0, 0, { sctlr: 1 | (1 << 19) }), allowed(readOnly, 0, { sctlr: 1 | (1 << 19) })]).toEqual([3, 5]);
});

test('faults name their cause and level', () => {
  const fault = (descriptors: Parameters<typeof walker>[0], access = read, registers = {}): number => {
    const made = walker(descriptors, registers);
    expect(made.walk(address, access, into)).toBe(false);
    return made.status(access);
  };
  const wnr = 1 << 11;
  expect(fault({})).toBe(longFormat | LongStatus.translation | 1);
  expect(fault({ [0x4010]: [0x5000 | table, 0] }, write)).toBe(longFormat | LongStatus.translation | 2 | wnr);
  expect(fault(three([0x40055000 | accessed | valid, 0]))).toBe(longFormat | LongStatus.translation | 3);
  expect(fault(three([0x40055000 | page, 0]))).toBe(longFormat | LongStatus.accessFlag | 3);
  expect(fault(three([0x40055000 | accessed | readOnly | page, 0]), write)).toBe(
    longFormat | LongStatus.permission | 3 | wnr,
  );
  expect(fault(three([0x40055000 | accessed | page, top.xn]), execute)).toBe(longFormat | LongStatus.permission | 3);
  expect(fault({ [0x4010]: [0x200000 | table, 0] })).toBe(longFormat | LongStatus.walkAbort | 2);
  expect(fault(three([0x40055000 | accessed | page, 1]))).toBe(longFormat | LongStatus.externalAbort);
  expect(fault({}, read, { ttbcr: ttbcrEae | (1 << 7) })).toBe(longFormat | LongStatus.translation | 1);
});

test('TTBR1 has what T1SZ says, and short tables begin at the second level', () => {
  const leaf = [0x40055000 | accessed | page, 0] as const;
  // T1SZ = 1: the upper half, with two entries in the first table.
  const half = walker(
    { [0x8000]: [0x5000 | table, 0], [0x5008]: [0x6000 | table, 0], [0x6018]: leaf },
    { ttbcr: ttbcrEae | (1 << 16) },
  );
  expect(half.walk(address, read, into) && into.physical).toBe(0x40055000);
  expect(half.walk(0x203000, read, into)).toBe(false);
  // T1SZ = 2: the topmost GiB, its table of the second level.
  const quarter = walker(
    { [0x8000 + 8]: [0x6000 | table, 0], [0x6018]: leaf },
    { ttbcr: ttbcrEae | (2 << 16), ttbr1: 0x8000 },
  );
  expect(quarter.walk(0xc0203abc, read, into) && into.physical).toBe(0x40055000);
  // T0SZ = 1, T1SZ = 2: what neither has.
  expect(walker({}, { ttbcr: ttbcrEae | 1 | (2 << 16) }).walk(0x90000000, read, into)).toBe(false);
});
