import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { machineDocument, supportedMachine } from '../scripts/supported-machine.ts';

test('docs/supported/machine.md is what the tables say', () => {
  expect(readFileSync(machineDocument, 'utf8')).toBe(supportedMachine());
});
