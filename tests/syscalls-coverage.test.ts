import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createEntropy } from '#linux-user/entropy.ts';
import { armSyscallNames } from '#syscalls/nr/arm.ts';
import { i386SyscallNames } from '#syscalls/nr/i386.ts';
import { allRows } from '#syscalls/table.ts';
import { guests, supportedSyscalls, syscallsDocument } from '../scripts/supported-syscalls.ts';

test.each(guests)('the document of the system calls of $arch is what the table says', (guest) => {
  expect(readFileSync(syscallsDocument(guest), 'utf8')).toBe(supportedSyscalls(guest));
});

test.each([
  ['arm', armSyscallNames],
  ['i386', i386SyscallNames],
])('%s: names are numbered once', (_arch, numbered) => {
  const names = Object.values(numbered);
  expect(new Set(names).size).toBe(names.length);
  expect(names.length).toBeGreaterThan(420);
});

test('every row has a number', () => {
  const names = new Set([...Object.values(armSyscallNames), ...Object.values(i386SyscallNames)]);
  const left = Object.keys(allRows(null, createEntropy(1n))).filter((name) => !names.has(name));
  expect(left).toEqual([]);
});
