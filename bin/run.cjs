// The part of the launcher that only a new Node reads.
'use strict';

const { readFileSync } = require('node:fs');
const vm = require('node:vm');

// Functions of node:path and node:url take a millisecond each when they are cold.
const root = __dirname.slice(0, -'/bin'.length);
const dist = `${root}/dist`;
const bundle = `${dist}/main.js`;

/** Loads the bundle and runs `command` with this process's arguments. */
function run(command) {
  const source = read(bundle);
  if (source === null) {
    console.error(`${command}: not built yet; run \`npm run build\` in ${root}`);
    process.exitCode = 1;
    return;
  }
  evaluate(compile(source), idOf(source)).then((exports) => exports.main(command));
}

/** The bundle's text as a script, out of the code cache if there is one that fits. */
function compile(source) {
  const file = cacheFile(source);
  return new vm.Script(source, { filename: bundle, cachedData: (file && readFile(file)) ?? undefined });
}

/** Promise of the bundle's exports. */
function evaluate(script, build) {
  const meta = {
    build,
    dirname: dist,
    get url() {
      return require('node:url').pathToFileURL(bundle).href;
    },
    main: false,
    import: (id) => import(id),
  };
  return script.runInThisContext()(require, meta);
}

/**
 * Where the code cache of this bundle for this V8 is. V8 refuses what another version or other flags have made, but
 * knows a bundle by its length only: the bundle says in its first words who it is.
 */
function cacheFile(source) {
  const id = idOf(source);
  return id && `${dist}/main.${id}.${process.versions.v8}-${process.arch}.cache`;
}

function idOf(source) {
  const [, id] = /^\/\*(\w+)\*\//.exec(source) ?? [];
  return id;
}

/** A file of the bundle, which is all ASCII; null if there is none. */
function read(file) {
  const bytes = readFile(file);
  return bytes && bytes.latin1Slice();
}

function readFile(file) {
  try {
    return readFileSync(file);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    return null;
  }
}

module.exports = { bundle, cacheFile, compile, evaluate, idOf, read, run };
