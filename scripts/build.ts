// Bundles the command line program into dist/: plain JavaScript, since stripping types costs 250–700 ms at start.
import { mkdir, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { buildInterpreter } from '#accel/interpreter.ts';
import { interpreterFile } from '#src/interpreter.ts';
import manifest from '../package.json' with { type: 'json' };

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
const main = join(dist, 'main.js');

/** yargs measures columns with Intl.Segmenter, whose data takes 60 ms to load; our help is plain text. */
const plainStringWidth: Plugin = {
  name: 'plain-string-width',
  setup(setup) {
    setup.onResolve({ filter: /^string-width$/ }, () => ({ path: 'string-width', namespace: 'plain' }));
    setup.onLoad({ filter: /.*/, namespace: 'plain' }, () => ({ contents: 'export default (text) => text.length' }));
  },
};

/**
 * Replaces imports of Node's own modules. Importing one reads all its exports, and so loads the parts that Node
 * would load lazily: 8 ms of CPU for node:fs alone.
 */
function withoutBuiltinImports(code: string): string {
  return code.replace(/import([^;"'()]*?)from"([\w:/]+)";/g, (statement, clause: string, id: string) => {
    if (!isBuiltin(id)) return statement;
    const [, whole, names] = /^\s*(?:(?:\*\s*as\s+)?([\w$]+))?\s*,?\s*(\{[^]*\})?\s*$/.exec(clause.replace(/\s*from$/, '')) ?? [];
    if ((whole === undefined && names === undefined) || /\bdefault\b/.test(clause)) {
      throw new Error(`import in a form that the build does not know: ${statement}`);
    }
    const source = `process.getBuiltinModule("${id}")`;
    const targets = [whole, names?.replace(/ as /g, ':')].filter((target) => target !== undefined);
    return targets.map((target) => `const ${target}=${source};`).join('');
  });
}

const { outputFiles } = await build({
  absWorkingDir: root,
  entryPoints: ['src/main.ts'],
  outdir: 'dist',
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  // What is imported lazily becomes a file of its own, read only when needed.
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  write: false,
  // Only for the asm dumps of -d: large, so they stay in node_modules.
  external: ['capstone-wasm', 'wabt'],
  // CommonJS dependencies call require() for Node's own modules only.
  banner: { js: 'const require=process.getBuiltinModule;' },
  plugins: [plainStringWidth],
  logLevel: 'warning',
});
await mkdir(join(dist, 'chunks'), { recursive: true });
await writeFile(join(dist, 'chunks', interpreterFile), buildInterpreter());
// The old bundle stays runnable until the new main.js replaces its own: others may be using it.
const files = outputFiles.toSorted((a, b) => Number(a.path === main) - Number(b.path === main));
for (const { path, text } of files) {
  await writeFile(`${path}.new`, withoutBuiltinImports(text));
  await rename(`${path}.new`, path);
}
const wanted = new Set(files.map(({ path }) => path));
for (const name of await readdir(dist, { recursive: true })) {
  if (name.endsWith('.js') && !wanted.has(join(dist, name))) await rm(join(dist, name));
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
