// Runs programs of Debian armhf (tests/programs/) and tells how each went. `npm run test:debian -- PATTERN` runs those
// whose names match; without a pattern all are run, and docs/supported/programs.md is written.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { programCases } from '../tests/programs/all.ts';
import type { ProgramCase } from '../tests/programs/case.ts';
import { complaint, runProgram } from '../tests/programs/run.ts';
import { debianSysroot, packageVersions } from '../tests/support/debian-sysroot.ts';

const document = join(import.meta.dirname, '../docs/supported/programs.md');

const [pattern] = process.argv.slice(2);
const chosen = (item: ProgramCase): boolean => pattern === undefined || new RegExp(pattern).test(item.name);

const all = Object.values(programCases).flat();
const sysroot = await debianSysroot('all', ['dash', ...all.flatMap(({ packages }) => packages)]);
const versions = await packageVersions([...new Set(all.map(({ packages }) => packages[0]))]);

const lines: string[] = [];
let count = 0;
let good = 0;
for (const [subject, cases] of Object.entries(programCases)) {
  lines.push('', `## ${subject}`, '', '| program | version | result |', '|---|---|---|');
  for (const item of cases.filter(chosen)) {
    const start = performance.now();
    const wrong = complaint(item, await runProgram(item, sysroot));
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    count++;
    if (wrong === null) good++;
    process.stdout.write(`${wrong === null ? 'ok  ' : 'FAIL'} ${item.name} (${seconds} s)\n`);
    if (wrong !== null) process.stdout.write(`${wrong}\n`);
    const result =
      wrong === null ? 'works' : `fails: ${wrong.split('\n')[0].replace(/[:,]? ?output:$/, 'other output')}`;
    lines.push(`| ${item.name} | ${versions.get(item.packages[0]) ?? ''} | ${result} |`);
  }
}
process.stdout.write(`${good} of ${count} work\n`);
process.exitCode = good === count ? 0 : 1;

if (pattern === undefined) {
  const head = [
    '# Debian programs that are known to run',
    '',
    'Written by `npm run test:debian`, which fetches the programs (some 600 MB), runs each as an armhf guest with `-L` and',
    'compares what it prints; what each is asked to do is in `tests/programs/`.',
    '',
    `${good} of ${count} work.`,
  ];
  writeFileSync(document, `${[...head, ...lines].join('\n')}\n`);
}
