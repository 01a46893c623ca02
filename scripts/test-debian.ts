// Runs programs of Debian armhf (tests/programs/) and tells how each went. `npm run test:debian -- --jobs 2 PATTERN` runs
// those whose names match, two at a time; without a pattern all are run, and docs/supported/programs.md is written.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { programCases } from '../tests/programs/all.ts';
import type { ProgramCase } from '../tests/programs/case.ts';
import { complaint, runProgram } from '../tests/programs/run.ts';
import { debianSysroot, packageVersions } from '../tests/support/debian-sysroot.ts';

const document = join(import.meta.dirname, '../docs/supported/programs.md');

const { values, positionals } = parseArgs({
  options: { jobs: { type: 'string', default: '1' } },
  allowPositionals: true,
});
const pattern = positionals[0] === undefined ? null : new RegExp(positionals[0]);

const all = Object.values(programCases).flat();
const chosen = all.filter(({ name }) => pattern?.test(name) ?? true);
const sysroot = await debianSysroot('all', ['dash', ...all.flatMap(({ packages }) => packages)]);

const results = new Map<ProgramCase, string>();
const left = [...chosen];

async function work(): Promise<void> {
  for (let item = left.shift(); item !== undefined; item = left.shift()) {
    const start = performance.now();
    const wrong = complaint(item, await runProgram(item, sysroot));
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    results.set(item, wrong === null ? 'works' : wrong.startsWith('does not end') ? 'does not end' : 'fails');
    const count = `${results.size}/${chosen.length}`;
    process.stdout.write(`${count} ${wrong === null ? 'ok' : 'FAIL'} ${item.name} (${seconds} s)\n${wrong ?? ''}`);
  }
}
await Promise.all(Array.from({ length: Number(values.jobs) }, work));

const good = [...results.values()].filter((result) => result === 'works').length;
process.stdout.write(`${good} of ${chosen.length} work\n`);
process.exitCode = good === chosen.length ? 0 : 1;

if (pattern === null) {
  const versions = await packageVersions([...new Set(all.map(({ packages }) => packages[0]))]);
  const lines = Object.entries(programCases).flatMap(([subject, cases]) => [
    ...['', `## ${subject}`, '', '| program | version | result |', '|---|---|---|'],
    ...cases.map((item) => `| ${item.name} | ${versions.get(item.packages[0]) ?? ''} | ${results.get(item) ?? ''} |`),
  ]);
  const head = [
    '# Debian programs that are known to run',
    '',
    'Written by `npm run test:debian`, which fetches the programs (some 400 MB), runs each as an armhf guest with `-L` and',
    'compares what it prints. What each is asked to do is in `tests/programs/`.',
    '',
    `${good} of ${chosen.length} work.`,
  ];
  writeFileSync(document, `${[...head, ...lines].join('\n')}\n`);
}
