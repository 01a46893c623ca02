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

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
const main = join(dist, 'main.js');
const system = join(dist, 'system.js');

/** yargs imports node:assert, which takes 3 ms to load, for checks that it makes only when it is used. */
const lazyAssert: Plugin = {
  name: 'lazy-assert',
  setup(setup) {
    setup.onResolve({ filter: /^assert$/ }, () => ({ path: 'assert', namespace: 'lazy' }));
    const contents = ['strictEqual', 'notStrictEqual']
      .map((name) => `export const ${name} = (...values) => process.getBuiltinModule('assert').${name}(...values);`)
      .join('\n');
    setup.onLoad({ filter: /.*/, namespace: 'lazy' }, () => ({ contents }));
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
  'target/arm/context.ts': ['ModeBits'],
  'target/i386/flags.ts': ['Cond'],
  'target/i386/operand.ts': ['Method'],
  'target/i386/state.ts': ['Reg', 'Seg', 'Eflags', 'Vector'],
};
/** Tables that are made from others by a module without functions: the bundle has what it exports. */
const evaluated: readonly string[] = [
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
  if (ArrayBuffer.isView(value)) return `new ${value.constructor.name}([${(value as Int32Array).join()}])`;
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
 * Makes one function expression of the bundle: a script can be compiled with a code cache, a module cannot. It keeps
 * ES module semantics of the bundler (no wrappers that would be evaluated lazily), and may use await.
 */
function asFunction(code: string): string {
  const [statement, clause] = /export\{([^}]*)\};?\s*$/.exec(code) ?? [];
  if (statement === undefined) throw new Error('the bundle does not end with its exports');
  const names = clause.split(',').map((name) => name.split(' as '));
  const exports = names.map(([local, exported = local]) => `${exported}:${local}`).join();
  const body = withoutImports(code.slice(0, -statement.length)).replace(/\bimport\("/g, '__meta.import("');
  return `(async(require,__meta)=>{${body}\nreturn{${exports}}})`;
}

/** Replaces static imports, all of which must be of Node's own modules. */
function withoutImports(code: string): string {
  return code.replace(/import([^;"'()]*?)from"([\w:/]+)";/g, (statement, clause: string, id: string) => {
    const [, whole, names] = /^\s*(?:(?:\*\s*as\s+)?([\w$]+))?\s*,?\s*(\{[^]*\})?\s*$/.exec(clause) ?? [];
    if (!isBuiltin(id) || (whole === undefined && names === undefined) || /\bdefault\b/.test(clause)) {
      throw new Error(`import in a form that the build does not know: ${statement}`);
    }
    const targets = [whole, names?.replace(/ as /g, ':')].filter((target) => target !== undefined);
    return targets.map((target) => `const ${target}=require("${id}");`).join('');
  });
}

/** Machine mode is a bundle of its own: the launcher resolves its name from bin/. */
const systemBundle: Plugin = {
  name: 'system-bundle',
  setup(setup) {
    setup.onResolve({ filter: /^\.\/system\.ts$/ }, ({ kind }) =>
      kind === 'dynamic-import' ? { path: `../dist/${basename(system)}`, external: true } : undefined,
    );
  },
};

const { outputFiles } = await build({
  absWorkingDir: root,
  entryPoints: ['src/main.ts'],
  outdir: 'dist',
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  write: false,
  // Only for the asm dumps of -d: large, so they stay in node_modules.
  external: ['capstone-wasm', 'wabt'],
  define: { 'import.meta': '__meta' },
  plugins: [constants, prebuiltInterpreter, plainStringWidth, lazyAssert, systemBundle],
  logLevel: 'warning',
});
const systemOutput = await build({
  absWorkingDir: root,
  entryPoints: ['src/system.ts'],
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
  plugins: [constants],
  logLevel: 'warning',
});
const code = asFunction(outputFiles[0].text);
// The launcher finds the code cache by it.
const id = createHash('sha256').update(code).digest('hex').slice(0, 16);

await mkdir(dist, { recursive: true });
await replaceFile(join(dist, interpreterFile), buildInterpreter());
await replaceFile(main, `/*${id}*/${code}`);
await replaceFile(system, systemOutput.outputFiles[0].text);
train();
const kept = [basename(main), basename(system), interpreterFile];
for (const name of await readdir(dist)) {
  if (!kept.includes(name) && !name.includes(id)) await rm(join(dist, name), { recursive: true });
}

/** Makes the code cache. Without it all works, only slower. */
function train(): void {
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'scripts', 'code-cache.cjs')], {
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
  });
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
