// Bundles the command line program into dist/: plain JavaScript, since stripping types costs 250–700 ms at start,
// and beside it V8's code cache, which saves parsing and compiling it (docs/start-up.md).
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { basename, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, type Plugin } from 'esbuild';
import { buildInterpreter } from '#accel/interpreter.ts';
import { interpreterFile } from '#src/interpreter.ts';
import manifest from '../package.json' with { type: 'json' };
import { lateChunkOf, lateModules, lateModulesPlugin } from './late-modules.ts';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
/** Modules of src that are bundles of their own, which programs never load: machine mode and the tool for disk images. */
const ownBundles = ['system', 'img'];

/**
 * Modules of Node that take milliseconds to load and are hardly ever used: loaded by the first call of a function of
 * theirs. Of elfy, which checks its arguments with node:assert, and ours.
 */
const lazyModules: Readonly<Record<string, string>> = {
  assert: functionsOf('assert', ['strictEqual', 'notStrictEqual']),
  'node:os': `${functionsOf('node:os', ['cpus', 'freemem', 'hostname', 'loadavg', 'totalmem', 'uptime'])}
    export const constants = { get signals() { return process.getBuiltinModule('node:os').constants.signals; } };`,
};

function functionsOf(id: string, names: readonly string[]): string {
  const functions = names.map(
    (name) => `export const ${name} = (...values) => process.getBuiltinModule('${id}').${name}(...values);`,
  );
  return functions.join('\n');
}

const lazyBuiltins: Plugin = {
  name: 'lazy-builtins',
  setup(setup) {
    setup.onResolve({ filter: /^(assert|node:os)$/ }, ({ path, importer }) =>
      importer.includes('/yargs/') ? null : { path, namespace: 'lazy' },
    );
    setup.onLoad({ filter: /.*/, namespace: 'lazy' }, ({ path }) => ({ contents: lazyModules[path] }));
  },
};

/** yargs measures columns with Intl.Segmenter, whose data takes 60 ms to load; our help is plain text. */
const plainStringWidth: Plugin = {
  name: 'plain-string-width',
  setup(setup) {
    setup.onResolve({ filter: /^string-width$/ }, () => ({ path: 'string-width', namespace: 'plain' }));
    setup.onLoad({ filter: /.*/, namespace: 'plain' }, () => ({ contents: 'export default (text) => text.length' }));
  },
};

/**
 * Constant objects whose members the bundle has as numbers: cold code pays for each look-up, and a `switch` over
 * numbers is a jump table. The bundler does that for enums, so each is rewritten as one. None may be enumerated at run
 * time, since an enum has its values for keys too.
 */
const numbers: Readonly<Record<string, readonly string[]>> = {
  'tcg/ops.ts': ['Op', 'MemoryFlag'],
  'target/arm/flags.ts': ['Cond'],
  'target/arm/mode-bits.ts': ['ModeBits'],
  'target/i386/flags.ts': ['Cond'],
  'target/i386/operand.ts': ['Method'],
  'target/i386/state.ts': ['Reg', 'Seg', 'Eflags', 'Vector'],
};
/** Tables that are made from others by a module without functions: the bundle has what it exports. */
const evaluated: readonly string[] = [
  'accel/region/nan-ops.ts',
  'tcg/interpreter-ops.ts',
  'tcg/op-tables.ts',
  'tcg/predecode-tables.ts',
  'target/arm/decode-index.ts',
  'target/i386/decode-index.ts',
];

type Exports = Readonly<Record<string, unknown>>;

/** What cannot be done with an object that is an enum in the bundle. */
const enumeration = new RegExp(`Object\\.(keys|values|entries)\\((${Object.values(numbers).flat().join('|')})\\)`);

const constants: Plugin = {
  name: 'constants',
  setup(setup) {
    setup.onLoad({ filter: /\.ts$/, namespace: 'file' }, async ({ path }) => {
      const file = relative(root, path).replaceAll('\\', '/');
      if (evaluated.includes(file)) {
        return { contents: declarations(await import(pathToFileURL(path).href)), loader: 'ts' };
      }
      let contents = await readFile(path, 'utf8');
      const [enumerated] = enumeration.exec(contents) ?? [];
      if (enumerated !== undefined) throw new Error(`${file}: ${enumerated} is not what it was in the bundle`);
      if (numbers[file] === undefined) return undefined;
      const module: Exports = await import(pathToFileURL(path).href);
      for (const name of numbers[file]) contents = withEnum(contents, name, module);
      return { contents, loader: 'ts' };
    });
  },
};

function withEnum(source: string, name: string, module: Exports): string {
  const declaration = new RegExp(`^export const ${name}\\b[^]*?;$`, 'm');
  if (!declaration.test(source)) throw new Error(`no declaration of ${name} where it was`);
  return source.replace(declaration, asEnum(name, module[name] as Record<string, number>));
}

function asEnum(name: string, members: Readonly<Record<string, number>>): string {
  const text = Object.entries(members).map(([key, value]) => `'${key}' = ${value},`);
  return `export enum ${name} {${text.join('')}}`;
}

const declarations = (module: Exports): string =>
  Object.entries(module)
    .map(([name, value]) => (isNumbers(value) ? asEnum(name, value) : `export const ${name} = ${literal(value)};`))
    .join('\n');

const isNumbers = (value: unknown): value is Record<string, number> =>
  Object.getPrototypeOf(value) === Object.prototype &&
  Object.values(value as object).every((member) => Number.isInteger(member));

/** A typed array, an object with typed arrays in it, or JSON. */
function literal(value: unknown): string {
  if (ArrayBuffer.isView(value))
    return `/* @__PURE__ */ new ${value.constructor.name}([${(value as Int32Array).join()}])`;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return JSON.stringify(value);
  const members = Object.entries(value).map(([key, member]) => `${key}:${literal(member)}`);
  return `{${members.join()}}`;
}

/** The bundle has the interpreter beside it and need not be able to make it. */
const prebuiltInterpreter: Plugin = {
  name: 'prebuilt-interpreter',
  setup(setup) {
    setup.onResolve({ filter: /^#accel\/interpreter\.ts$/ }, ({ path }) => ({ path, namespace: 'prebuilt' }));
    const contents = `export function buildInterpreter() { throw new Error('${interpreterFile} is gone: build again') }`;
    setup.onLoad({ filter: /.*/, namespace: 'prebuilt' }, () => ({ contents }));
  },
};

/**
 * Modules whose functions load a script of the bundle when they are first called: by function, the module that it
 * returns. Scripts can be loaded at once, other than modules, and have code caches of their own.
 */
const lazy: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'accel/lazy.ts': {
    loadTranslator: 'accel/translator.ts',
    loadMemoryModels: 'accel/checked-memory.ts',
    loadCompiler: 'accel/region/compiler.ts',
  },
  'linux-user/lazy.ts': { loadHostAlias: 'linux-user/mm/host-alias.ts' },
  'syscalls/lazy.ts': { loadSockets: 'syscalls/sockets.ts', loadPtrace: 'syscalls/ptrace-requests.ts' },
  'target/arm/lazy.ts': { loadTranslation: 'target/arm/translation.ts' },
  'target/i386/lazy.ts': { loadTranslation: 'target/i386/translation.ts' },
};

const chunkName = (path: string): string => basename(path).replace(/\.[jt]s$/, '');

/** The name of the chunk that begins with a module that is loaded late: `arm-translation` of `target/arm`. */
const lateChunk = (module: string): string => module.replace(/\.ts$/, '').split('/').slice(-2).join('-');

const lazyScripts: Plugin = {
  name: 'lazy-scripts',
  setup(setup) {
    setup.onLoad({ filter: /lazy\.ts$/, namespace: 'file' }, ({ path }) => {
      const functions = Object.entries(lazy[relative(root, path).replaceAll('\\', '/')] ?? {});
      if (functions.length === 0) throw new Error(`${path}: what it loads is not known`);
      const contents = functions.map(
        ([name, module]) =>
          `let ${name}_; export const ${name} = () => ${name}_ ??= import.meta.load('${lateChunk(module)}');`,
      );
      return { contents: contents.join('\n') };
    });
  },
};

/**
 * Makes a function expression of a chunk: a script can be compiled with a code cache, a module cannot. Imports of other
 * chunks, and exports, become what `load` of bin/run.cjs returns.
 */
function asFunction(code: string): string {
  const [statement = '', clause = ''] = /export\{([^}]*)\};?\s*$/.exec(code) ?? [];
  const names = clause === '' ? [] : clause.split(',').map((name) => name.split(' as '));
  const exports = names.map(([local, exported = local]) => `${exported}:${local}`).join();
  const end = code.length - statement.length;
  const body = withoutImports(code.slice(0, end).trimEnd()).replace(/\bimport\("/g, '__meta.import("');
  return `(require,__meta)=>{${body}\nreturn{${exports}}}`;
}

/** Replaces static imports, all of which must be of chunks or of Node's own modules. */
function withoutImports(code: string): string {
  return code.replace(/import([^;"'()]*?)(?:from)?"([\w:/.-]+)";/g, (statement, clause: string, id: string) => {
    const [, whole, names] = /^\s*(?:(?:\*\s*as\s+)?([\w$]+))?\s*,?\s*(\{[^]*\})?\s*$/.exec(clause) ?? [];
    const source = id.startsWith('./') ? `__meta.load("${chunkName(id)}")` : `require("${id}")`;
    if ((!id.startsWith('./') && !isBuiltin(id)) || /\bdefault\b/.test(clause)) {
      throw new Error(`import in a form that the build does not know: ${statement}`);
    }
    const targets = [whole, names?.replace(/ as /g, ':')].filter((target) => target !== undefined);
    return targets.length === 0 ? `${source};` : targets.map((target) => `const ${target}=${source};`).join('');
  });
}

/** The launcher resolves their names from bin/. */
const separateBundles: Plugin = {
  name: 'separate-bundles',
  setup(setup) {
    setup.onResolve({ filter: new RegExp(`^\\./(${ownBundles.join('|')})\\.ts$`) }, ({ kind, path }) =>
      kind === 'dynamic-import' ? { path: `../dist/${chunkName(path)}.js`, external: true } : undefined,
    );
  },
};

const { outputFiles, metafile } = await build({
  absWorkingDir: root,
  entryPoints: [
    { in: 'src/main.ts', out: 'main' },
    ...Object.values(lazy)
      .flatMap((functions) => Object.values(functions))
      .map((module) => ({ in: module, out: lateChunk(module) })),
    ...Object.keys(lateModules).map((script) => ({ in: `late:${script}`, out: lateChunkOf(script) })),
  ],
  outdir: 'dist',
  entryNames: '[name]',
  chunkNames: '[name]-[hash]',
  splitting: true,
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  write: false,
  metafile: true,
  // Only for the asm dumps of -d: large, so they stay in node_modules.
  external: ['capstone-wasm', 'wabt'],
  define: { 'import.meta': '__meta' },
  plugins: [
    lateModulesPlugin(root),
    constants,
    lazyScripts,
    prebuiltInterpreter,
    plainStringWidth,
    lazyBuiltins,
    separateBundles,
  ],
  logLevel: 'warning',
});
/** Stands in these bundles for their own hash. */
const ownBuild = '@build@';
const ownOutput = await build({
  absWorkingDir: root,
  entryPoints: ownBundles.map((name) => `src/${name}.ts`),
  outdir: 'dist',
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  write: false,
  external: ['debug'],
  define: { 'import.meta.build': `'${ownBuild}'` },
  plugins: [constants],
  logLevel: 'warning',
});

/**
 * The chunks of each script, what two of them need in the first: what `main` needs at once, what translating a block needs, what compiling a region needs,
 * and the rest.
 */
function scripts(): Map<string, string[]> {
  const groups: Readonly<Record<string, readonly string[]>> = {
    main: ['main'],
    translate: ['accel-translator', 'arm-translation'],
    ...Object.fromEntries(Object.keys(lateModules).map((script) => [script, [lateChunkOf(script)]])),
    i386: [lateChunkOf('i386'), 'i386-translation'],
    compile: ['region-compiler', 'accel-checked-memory'],
    sockets: ['syscalls-sockets'],
    ptrace: ['syscalls-ptrace-requests'],
    rest: outputFiles.map(({ path }) => chunkName(path)),
  };
  const taken = new Set<string>();
  const take = (chunk: string): string[] => {
    if (taken.has(chunk)) return [];
    taken.add(chunk);
    const { imports } = metafile.outputs[`dist/${chunk}.js`];
    const needed = imports.filter(({ kind, external }) => kind === 'import-statement' && external !== true);
    return [chunk, ...needed.flatMap(({ path }) => take(chunkName(path)))];
  };
  return new Map(Object.entries(groups).map(([script, chunks]) => [script, chunks.flatMap(take)]));
}

const functions = new Map(outputFiles.map(({ path, text }) => [chunkName(path), asFunction(text)]));
const texts = new Map(
  [...scripts()].map(([script, chunks]) => [
    script,
    `({${chunks.map((chunk) => `${JSON.stringify(chunk)}:${functions.get(chunk)}`).join(',\n')}})`,
  ]),
);
/** Which script has a chunk, except for those of `main`. */
const places = [...scripts()].flatMap(([script, chunks]) =>
  script === 'main' ? [] : chunks.map((chunk) => [chunk, script] as const),
);
// The launcher finds the code caches by it, and the scripts.
const hash = createHash('sha256');
for (const text of texts.values()) hash.update(text);
const id = hash.digest('hex').slice(0, 16);
const header = `/*${id} ${places.map((place) => place.join(':')).join()}*/`;

await mkdir(dist, { recursive: true });
await replaceFile(join(dist, interpreterFile), buildInterpreter());
for (const [script, text] of texts) await replaceFile(join(dist, `${script}.js`), `${header}${text}`);
for (const { path, text } of ownOutput.outputFiles) {
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 16);
  await replaceFile(path, text.replace(ownBuild, hash));
}
train();
const kept = [
  ...[...texts.keys()].map((script) => `${script}.js`),
  ...ownBundles.map((name) => `${name}.js`),
  interpreterFile,
];
for (const name of await readdir(dist)) {
  if (!kept.includes(name) && !name.includes(id)) await rm(join(dist, name), { recursive: true });
}

/** Makes the code cache. Without it all works, only slower. */
function train(): void {
  const { status, stderr } = spawnSync(
    process.execPath,
    [join(root, 'scripts', 'code-cache.cjs'), 'sockets', ...Object.keys(lateModules)],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
      encoding: 'utf8',
    },
  );
  if (status !== 0) console.error(`no code cache: ${stderr}`);
}

/** Writes a file that others may be reading: they see the old or the new one. */
async function replaceFile(path: string, contents: string | Uint8Array): Promise<void> {
  await writeFile(`${path}.new`, contents);
  await rename(`${path}.new`, path);
}

// npx finds a project's own commands only here; npm links those of dependencies alone.
const commands = join(root, 'node_modules', '.bin');
for (const [command, file] of Object.entries(manifest.bin)) {
  const link = join(commands, command);
  const target = join('..', '..', file);
  await rm(link, { force: true });
  await (process.platform === 'win32'
    ? writeFile(`${link}.cmd`, `@node "%~dp0${target}" %*\r\n`)
    : symlink(target, link));
}
