// Bundles the command line program into dist/: plain JavaScript, since stripping types costs 250–700 ms at start.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '..');

await rm(join(root, 'dist'), { recursive: true, force: true });
await build({
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
  sourcemap: process.argv.includes('--sourcemap') ? 'linked' : false,
  legalComments: 'none',
  // Only for the asm dumps of -d: large, so they stay in node_modules.
  external: ['capstone-wasm', 'wabt'],
  // CommonJS dependencies call require() for Node's own modules only.
  banner: { js: 'const require=process.getBuiltinModule;' },
  logLevel: 'warning',
});
