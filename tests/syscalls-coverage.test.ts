import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createEntropy } from '#linux-user/entropy.ts';
import { allRows, coverage } from '#syscalls/table.ts';
import { supportedSyscalls, syscallsDocuments } from '../scripts/supported-syscalls.ts';

test.each(syscallsDocuments)('the page of the calls of $title is what the table says', (document) => {
  expect(readFileSync(document.path, 'utf8')).toBe(supportedSyscalls(document));
});

const namesOf = (arch: 'arm' | 'i386'): string[] => coverage(arch).map(([, name]) => name);

test.each(['arm', 'i386'] as const)('names are numbered once: %s', (arch) => {
  const names = namesOf(arch);
  expect(new Set(names).size).toBe(names.length);
  expect(names.length).toBeGreaterThan(420);
});

test('every row has a number', () => {
  const names = new Set([...namesOf('arm'), ...namesOf('i386')]);
  expect(Object.keys(allRows(null, createEntropy(1n))).filter((name) => !names.has(name))).toEqual([]);
});
