// Makes the code cache of the bundle: runs small programs in it, so that the functions they need are compiled, and
// writes what V8 has compiled to the file named by the argument.
'use strict';

const { renameSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { compile, evaluate } = require('../bin/run.cjs');

const fixtures = join(__dirname, '..', 'fixtures', 'arm');

async function train() {
  const script = compile();
  const { runCommand } = await evaluate(script);
  for (const args of (process.env.TRAIN ?? 'hello;arith;arith-t32;args').split(';')) {
    await runCommand('tsemu-arm', args.split(' ').map(a => a.startsWith('-')||a.startsWith('/') ? a : join(fixtures, a)));
  }
  const [, , file] = process.argv;
  writeFileSync(`${file}.new`, script.createCachedData());
  renameSync(`${file}.new`, file);
}

train();
