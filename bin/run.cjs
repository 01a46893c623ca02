// The part of the launcher that only a new Node reads.
'use strict';

const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { pathToFileURL } = require('node:url');
const vm = require('node:vm');

const dist = join(__dirname, '..', 'dist');
const bundle = join(dist, 'main.js');

/** Loads the bundle and runs `command` with this process's arguments. */
function run(command) {
  const script = compile();
  if (script === null) {
    console.error(`${command}: not built yet; run \`npm run build\` in ${join(__dirname, '..')}`);
    process.exitCode = 1;
    return;
  }
  evaluate(script).then((main) => main.main(command));
}

/** The bundle as a script, out of the code cache if there is a fitting one; null if it is not built. */
function compile() {
  const source = read(bundle);
  if (source === null) return null;
  return new vm.Script(source.latin1Slice(), {
    filename: bundle,
    cachedData: read(cacheFile()) ?? undefined,
  });
}

/** The exports of the bundle. */
function evaluate(script) {
  const meta = { dirname: dist, url: pathToFileURL(bundle).href, main: false, import: (id) => import(id) };
  return script.runInThisContext()(require, meta);
}

/** The code cache that belongs to this V8: one does not take another's. */
function cacheFile() {
  return join(dist, `main.${process.versions.v8}-${process.arch}.cache`);
}

function read(file) {
  try {
    return readFileSync(file);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    return null;
  }
}

module.exports = { cacheFile, compile, evaluate, run };
