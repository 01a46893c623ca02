import { describe, expect, test } from 'vitest';
import { programCases } from './programs/all.ts';
import type { ProgramCase } from './programs/case.ts';
import { complaint, runProgram } from './programs/run.ts';
import { Unavailable } from './support/cache.ts';
import { debianSysroot } from './support/debian-sysroot.ts';

/*
 * Dynamically linked programs of Debian armhf, with processes, threads and sockets: the quick ones. All of them are run
 * by `npm run test:debian`.
 */

const cases: ProgramCase[] = Object.values(programCases).flatMap((list) => list.filter(({ ci }) => ci));

async function prepare(): Promise<{ sysroot: string } | { reason: string }> {
  try {
    const packages = cases.flatMap((item) => item.packages);
    return { sysroot: await debianSysroot('quick', ['dash', ...packages]) };
  } catch (error) {
    if (error instanceof Unavailable) return { reason: error.message };
    throw error;
  }
}

const found = await prepare();
const reason = 'reason' in found ? found.reason : undefined;

describe.skipIf(reason !== undefined)(`dynamically linked programs${reason ? ` (skipped: ${reason})` : ''}`, () => {
  test.each(cases)(
    '$name',
    async (item) => {
      const outcome = await runProgram({ ...item, timeout: 150 }, (found as { sysroot: string }).sysroot);
      expect(complaint(item, outcome)).toBeNull();
    },
    160_000,
  );
});
