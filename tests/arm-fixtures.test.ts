import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { repoRoot } from './support/cache.ts';
import { runTsemu, type Tier } from './support/run.ts';

const tiers: Tier[] = ['auto', 'interp', 'region'];
const fixture = (name: string): string => join(repoRoot, 'fixtures/arm', name);

const caught = `signal 0000000b code 00000001 address fffffff4 load r0 fffffff0 r9 00000099
signal 0000000b code 00000001 address 00000008 store r0 00000008 r9 00000099
signal 00000004 udf r0 0000600d r9 00000099
0000600d
0000600d
0000600d
`;

/** Program, exit code (128 + signal for a fatal one) and standard output. */
const programs: [string, number, string][] = [
  ['hello', 0, 'Hello from ARM!\n'],
  ['hello-nosections', 0, 'Hello from ARM!\n'],
  ['exit42', 42, ''],
  ['arith', 0, 'arith: ok\n'],
  ['arith-t32', 0, 'arith: ok\n'],
  ['segv-handler', 7, caught],
  ['null-deref', 139, ''],
  ['undefined', 132, ''],
];

describe.each(tiers)('committed programs, tier %s', (tier) => {
  test.each(programs)('%s', async (name, status, stdout) => {
    const outcome = await runTsemu([fixture(name)], { tier });
    expect({ status: outcome.status, stdout: outcome.stdout.toString() }, outcome.stderr.toString()).toEqual({
      status,
      stdout,
    });
  });

  test.each(['args', 'args-t32'])('%s', async (name) => {
    const env = { ONE: '1', EMPTY: '' };
    const outcome = await runTsemu([fixture(name), 'a', '', 'b c'], { tier, env });
    const lines = outcome.stdout.toString().split('\n');
    expect(outcome.status, outcome.stderr.toString()).toBe(4);
    expect(lines[0]).toBe('argc 00000004');
    expect(lines[1]).toMatch(new RegExp(`^arg .*${name}$`));
    expect(lines.slice(2, 5)).toEqual(['arg a', 'arg ', 'arg b c']);
    expect(lines.filter((line) => line.startsWith('env ')).sort()).toEqual(
      expect.arrayContaining(['env EMPTY=', 'env ONE=1']),
    );
    expect(lines).toContain('page size 00001000');
  });
});
