import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { armDocument, supportedArm } from '../scripts/supported-arm.ts';
import { programsOf, rowCoverage } from './random/coverage.ts';

test('docs/supported/arm.md is what the tables say', () => {
  expect(readFileSync(armDocument, 'utf8')).toBe(supportedArm());
});

test('the random tests meet every decode row, but for those that only programs can run', async () => {
  const rows = await rowCoverage(800, 4000);
  const unseen = rows.filter(({ row, fuzz, drawn }) => fuzz + drawn === 0 && programsOf(row.name) === undefined);
  expect(unseen.map(({ row, thumb }) => `${thumb ? 'T32' : 'A32'} ${row.name} [${row.pattern}]`)).toEqual([]);
}, 120_000);
