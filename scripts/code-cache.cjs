// Makes the code cache of the bundle: runs small programs in it, so that the functions a program needs are compiled,
// and writes what V8 has compiled. The programs' output goes to stdout.
'use strict';

const { renameSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { bundle, cacheFile, compile, evaluate, read } = require('../bin/run.cjs');

const fixtures = join(__dirname, '..', 'fixtures', 'arm');
const runs = process.env.TRAIN?.split(';') ?? ['hello', 'arith', 'arith-t32', 'args'];

async function train() {
  const source = read(bundle);
  const script = compile(source);
  const { runCommand } = await evaluate(script);
  for (const run of runs) {
    const words = run.split(' ').map((word) => (/^[-/]/.test(word) ? word : join(fixtures, word)));
    await runCommand('tsemu-arm', words);
  }
  const file = cacheFile(source);
  writeFileSync(`${file}.new`, script.createCachedData());
  renameSync(`${file}.new`, file);
}

train();
