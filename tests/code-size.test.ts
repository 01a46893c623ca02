// What the translation of each function of fixtures/arm/code-size weighs, against tests/code-size/arm.txt: a change of
// the generated code shows without a clock. `npm run -s update-code-size` accepts it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PageProtectedMemory, PlaneCheckedMemory } from '#accel/checked-memory.ts';
import { cpuBase, memoryPages } from '#accel/guest-memory.ts';
import { compileRegions } from '#accel/region/compiler.ts';
import type { BlockOutline } from '#accel/region/discovery.ts';
import type { Region } from '#accel/region/emitter.ts';
import { outlineOf } from '#accel/region/outline.ts';
import { interpreterBlockInstructions } from '#accel/tunables.ts';
import { armTarget } from '#target/arm/target.ts';
import { Builder } from '#tcg/builder.ts';
import { engineMemory } from '#tcg/interpreter-ops.ts';
import type { MemoryModel } from '#tcg/memory-model.ts';
import { type Effect, opDefs } from '#tcg/ops.ts';
import { Optimizer } from '#tcg/optimize.ts';
import { Predecoder } from '#tcg/predecode.ts';
import type { Target } from '#tcg/target.ts';
import { translateBlock } from '#tcg/translator.ts';
import { repoRoot } from './support/cache.ts';
import { elfFunctions } from './support/elf-functions.ts';
import { wasmBodies } from './support/wasm-bodies.ts';

/** How guest memory is protected: each has columns of its own. */
const models: Readonly<Record<string, MemoryModel>> = {
  checked: new PlaneCheckedMemory(),
  pages: new PageProtectedMemory(),
};

const target = armTarget as Target;
const { functions, code } = elfFunctions(readFileSync(join(repoRoot, 'fixtures/arm/code-size')));
const builder = new Builder();
const optimizer = new Optimizer(target);
const predecoder = new Predecoder(cpuBase, new Int32Array(1 << 19));

/** Columns of one function; of the region's IR, all after the passes but `ops`. */
type Columns = Record<string, number>;

function translatePlain(pc: number): void {
  translateBlock(target, builder, code, pc, 0, { maxInstructions: interpreterBlockInstructions });
}

/** Compiles the function at `pc` as a region of its own. */
function compile(pc: number, memory: MemoryModel): { region: Region; ops: number; pcs: number[]; module: Uint8Array } {
  let ops = 0;
  let region: Region | undefined;
  let slots = 0;
  const outlines = new Map<number, BlockOutline>();
  const { bytes } = compileRegions([pc], {
    target,
    builder,
    optimizer,
    code,
    memory,
    layout: { cpuBase, memoryPages },
    mode: 0,
    exactState: false,
    moduleName: '',
    maxBlockInstructions: Infinity,
    countInstructions: false,
    outline: (at) => {
      translatePlain(at);
      const outline = { ...outlineOf(builder.block, target, []), executed: true };
      outlines.set(at, outline);
      return outline;
    },
    knownOutline: (at) => {
      translatePlain(at);
      return outlineOf(builder.block, target, []);
    },
    isFunction: (at) => functions.some((known) => known.pc === at),
    without: new Set(),
    isHot: () => true,
    lastTargets: () => [],
    slotOf: (_, call) => (call ? ++slots : -1),
    addSite: () => -1,
    onBlock: (block) => {
      ops += block.length;
    },
    onRegion: (made) => {
      region = made;
    },
  });
  return { region: region!, ops, pcs: [...outlines.keys()], module: bytes };
}

/** Words of interpreter code for the blocks at `pcs`. */
function interpreterWords(pcs: readonly number[]): number {
  let bytes = 0;
  for (const pc of pcs) {
    translatePlain(pc);
    optimizer.run(builder.block, { exactState: false });
    bytes += predecoder.encode(builder.block, engineMemory.code, 1).bytes;
  }
  return bytes / 4;
}

function weigh(pc: number): Columns {
  const columns: Columns = {};
  for (const [name, model] of Object.entries(models)) {
    const { region, ops, pcs, module } = compile(pc, model);
    const { blocks } = region;
    const count = (...effects: Effect[]): number =>
      blocks.reduce((sum, { op, length }) => {
        for (let i = 0; i < length; i++) if (effects.includes(opDefs[op[i]]!.effect)) sum++;
        return sum;
      }, 0);
    columns.insns = count('marker');
    columns.t0words = interpreterWords(pcs);
    columns.blocks = blocks.length;
    columns.ops = ops;
    columns.opt = blocks.reduce((sum, { length }) => sum + length, 0);
    columns.get = count('get');
    columns.set = count('set');
    columns.load = count('load');
    columns.store = count('store');
    columns.probe = count('probe');
    columns.leave = count('terminal');
    const [body] = wasmBodies(module);
    columns[`${name}:locals`] = body.locals;
    columns[`${name}:bytes`] = body.bytes;
  }
  return columns;
}

test('translations weigh what they did', async () => {
  const rows = functions.map(({ name, pc }): [string, Columns] => [name, weigh(pc)]);
  const total: Columns = {};
  for (const [, columns] of rows) {
    for (const [name, value] of Object.entries(columns)) total[name] = (total[name] ?? 0) + value;
  }
  const names = Object.keys(total);
  const line = (first: string, cells: readonly (string | number)[]): string =>
    first.padEnd(24) + cells.map((cell, i) => String(cell).padStart(Math.max(6, names[i].length + 2))).join('');
  const text = [
    '# Written by `npm run -s update-code-size`; docs/debugging.md tells what the columns are.',
    line('function', names),
    ...rows.map(([name, columns]) => line(name, Object.values(columns))),
    line('all', Object.values(total)),
    '',
  ].join('\n');
  await expect(text).toMatchFileSnapshot('code-size/arm.txt');
});
