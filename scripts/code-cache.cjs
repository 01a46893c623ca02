// Makes the code caches of the bundle's scripts: runs small programs in it, so that the functions a program needs are
// compiled, and writes what V8 has compiled. The programs' output goes to stdout.
'use strict';

const { mkdtempSync, renameSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { open } = require('../bin/run.cjs');

const fixtures = join(__dirname, '..', 'fixtures', 'arm');
/** What those do not need. Its caches have what is there once a script is loaded. */
const late = process.argv.slice(2);
/** Run without options, which would bring in yargs. */
const programs = ['hello', 'warmup'];

async function train() {
  const { cacheFile, load, loadAll, scripts } = open();
  const { runCommand } = load('main');
  // The first run of each keeps its translations, the second one takes them.
  const folder = mkdtempSync(join(tmpdir(), 'tsemu-training-'));
  process.env.TSEMU_CACHE_DIR = folder;
  for (const program of [...programs, ...programs]) await runCommand('tsemu-arm', [join(fixtures, program)]);
  rmSync(folder, { recursive: true });
  save('main');
  save('translate');
  for (const script of late) {
    loadAll(script);
    save(script);
  }
  // What hot programs need comes after, so that it is in no other cache.
  await runCommand('tsemu-arm', ['--tier', 'region', join(fixtures, 'warmup')]);
  save('compile');

  function save(name) {
    const file = cacheFile(name);
    writeFileSync(`${file}.new`, scripts.get(name).compiled.createCachedData());
    renameSync(`${file}.new`, file);
  }
}

void train();
