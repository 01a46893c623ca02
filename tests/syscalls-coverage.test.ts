import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createEntropy } from '#linux-user/entropy.ts';
import { armSyscallNames } from '#syscalls/nr/arm.ts';
import { i386SyscallNames } from '#syscalls/nr/i386.ts';
import { allRows } from '#syscalls/table.ts';
import { supportedSyscalls, syscallsDocument } from '../scripts/supported-syscalls.ts';

test('docs/supported/syscalls.md is what the table says', () => {
  expect(readFileSync(syscallsDocument, 'utf8')).toBe(supportedSyscalls());
});

test('names are numbered once', () => {
  const names = Object.values(armSyscallNames);
  expect(new Set(names).size).toBe(names.length);
  expect(names.length).toBeGreaterThan(420);
});

test('every row has a number', () => {
  const names = new Set([...Object.values(armSyscallNames), ...Object.values(i386SyscallNames)]);
  const left = Object.keys(allRows(null, createEntropy(1n))).filter((name) => !names.has(name));
  expect(left).toEqual([]);
});
