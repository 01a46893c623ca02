// Runs programs of Debian (tests/programs/) and tells how each went. `npm run test:debian -- --jobs 2 PATTERN` runs those
// whose names match, two at a time; `--left` leaves out those that worked; `--arch i386` takes those of i386 instead of
// armhf; `--patience 5` gives each five times as long, for a busy machine. The last result of each is kept in docs/supported/programs.md, those of i386 in
// docs/supported/programs-i386.md.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { programCases } from '../tests/programs/all.ts';
import { type Guest, guests, has } from '../tests/programs/guest.ts';
import { complaint, runProgram } from '../tests/programs/run.ts';
import { debianSysroot, packageVersions } from '../tests/support/debian-sysroot.ts';

const { values, positionals } = parseArgs({
  options: {
    arch: { type: 'string', default: 'armhf' },
    left: { type: 'boolean', default: false },
    jobs: { type: 'string', default: '1' },
    patience: { type: 'string', default: '1' },
  },
  allowPositionals: true,
});
const pattern = positionals[0] === undefined ? null : new RegExp(positionals[0]);
const guest: Guest | undefined = Object.values(guests).find(({ arch }) => arch === values.arch);
if (guest === undefined) throw new Error(`no --arch ${values.arch}: ${Object.keys(guests).join(', ')}`);

const suffix = guest.arch === 'armhf' ? '' : `-${guest.arch}`;
const document = join(import.meta.dirname, `../docs/supported/programs${suffix}.md`);

const all = Object.values(programCases)
  .flat()
  .filter((item) => has(item, guest));
const earlier = existsSync(document) ? readFileSync(document, 'utf8') : '';
const results: Record<string, string> = Object.fromEntries(
  Array.from(earlier.matchAll(/^\| (.+) \| .* \| (.+) \|$/gm), ([, name, result]) => [name, result]),
);
const chosen = all.filter(({ name }) => (pattern?.test(name) ?? true) && !(values.left && results[name] === 'works'));
// Where nothing is to be run the document alone is written.
const sysroot =
  chosen.length === 0
    ? ''
    : await debianSysroot('all', ['dash', ...all.flatMap(({ packages }) => packages)], guest.arch);

const versions = await packageVersions([...new Set(all.map(({ packages }) => packages[0]))], guest.arch);

/** Tells the results that are known by now in the document. */
function writeDocument(): void {
  const lines = Object.entries(programCases).flatMap(([subject, cases]) => [
    ...['', `## ${subject}`, '', '| program | version | result |', '|---|---|---|'],
    ...cases
      .filter((item) => has(item, guest!))
      .map(
        ({ name, packages }) => `| ${name} | ${versions.get(packages[0]) ?? ''} | ${results[name] ?? 'not run yet'} |`,
      ),
  ]);
  const working = all.filter(({ name }) => results[name] === 'works').length;
  const option = suffix === '' ? '' : ` -- --arch ${guest!.arch}`;
  const head = [
    `# Debian programs that are known to run${suffix === '' ? '' : `: ${guest!.arch}`}`,
    '',
    `Written by \`npm run test:debian${option}\`, which fetches the programs (some 400 MB), runs each as an ${guest!.arch}`,
    'guest with `-L` and compares what it prints. What each is asked to do is in `tests/programs/`.',
    '',
    `${working} of ${all.length} work.`,
  ];
  writeFileSync(document, `${[...head, ...lines].join('\n')}\n`);
}

const left = [...chosen];
let done = 0;
let good = 0;

async function work(): Promise<void> {
  for (let item = left.shift(); item !== undefined; item = left.shift()) {
    const start = performance.now();
    const patient = { ...item, timeout: (item.timeout ?? 60) * Number(values.patience) };
    const wrong = complaint(item, await runProgram(patient, sysroot, guest));
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    if (wrong === null) good++;
    results[item.name] = wrong === null ? 'works' : wrong.startsWith('does not end') ? 'does not end' : 'fails';
    writeDocument();
    const count = `${++done}/${chosen.length}`;
    process.stdout.write(
      `${count} ${wrong === null ? 'ok' : 'FAIL'} ${item.name} (${seconds} s)\n${wrong === null ? '' : `${wrong}\n`}`,
    );
  }
}
writeDocument();
await Promise.all(Array.from({ length: Number(values.jobs) }, work));

process.stdout.write(`${good} of ${chosen.length} work\n`);
process.exitCode = good === chosen.length ? 0 : 1;
