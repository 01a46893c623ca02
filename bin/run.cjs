// The part of the launcher that only a new Node reads.
'use strict';

const { readFileSync } = require('node:fs');
const vm = require('node:vm');

// Functions of node:path and node:url take a millisecond each when they are cold.
const root = __dirname.slice(0, -'/bin'.length);
const dist = `${root}/dist`;

/** Loads the bundle and runs `command` with this process's arguments. */
function run(command) {
  const bundle = open();
  if (bundle === null) {
    console.error(`${command}: not built yet; run \`npm run build\` in ${root}`);
    process.exitCode = 1;
    return;
  }
  void bundle.load('main').main(command);
}

/**
 * The bundle; null if there is none. `load` returns the exports of one of its chunks. A script is a list of chunks,
 * each of them a function; that of `main` is compiled at once, others when a chunk of theirs is needed.
 */
function open() {
  const text = read('main');
  if (text === null) return null;
  const [, id, places] = /^\/\*(\w+) (.*?)\*\//.exec(text);
  const scriptOf = new Map();
  for (const place of places.split(',')) {
    const colon = place.indexOf(':');
    scriptOf.set(place.slice(0, colon), place.slice(colon + 1));
  }
  const scripts = new Map();
  const loaded = new Map();

  const addScript = (name, source) => {
    const compiled = compile(source, `${dist}/${name}.js`, cacheFile(name));
    const known = { compiled, chunks: compiled.runInThisContext() };
    scripts.set(name, known);
    return known;
  };
  const load = (chunk) => {
    let exports = loaded.get(chunk);
    if (exports === undefined) {
      const name = scriptOf.get(chunk) ?? 'main';
      const { chunks } = scripts.get(name) ?? addScript(name, read(name));
      exports = chunks[chunk](require, meta);
      loaded.set(chunk, exports);
    }
    return exports;
  };
  /** Loads all chunks of a script. */
  const loadAll = (name) => {
    for (const [chunk, script] of scriptOf) if (script === name) load(chunk);
  };
  /**
   * Where the code cache of a script for this V8 is. V8 refuses what another version or other flags have made, but
   * knows a script by its length only: all scripts say in their first words which bundle they are of.
   */
  const cacheFile = (name) => `${dist}/${name}.${id}.${process.versions.v8}-${process.arch}.cache`;
  const meta = {
    build: id,
    dirname: dist,
    get url() {
      return require('node:url').pathToFileURL(`${dist}/main.js`).href;
    },
    main: false,
    /** Compiles a script that may be needed soon: V8 refuses its code cache once flags have been set. */
    prepare: (name) => void (scripts.get(name) ?? addScript(name, read(name))),
    // A chunk's name is that of its file.
    import: (name) => (name.startsWith('./') ? Promise.resolve(name.slice(2, -3)).then(load) : import(name)),
    load,
  };
  addScript('main', text);
  return { load, loadAll, cacheFile, scripts };
}

/** The script, out of the code cache if there is one that fits. */
function compile(source, filename, cache) {
  return new vm.Script(source, { filename, cachedData: readFile(cache) ?? undefined });
}

/** A script of the bundle, which is all ASCII; null if there is none. */
function read(name) {
  const bytes = readFile(`${dist}/${name}.js`);
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

module.exports = { open, run };
