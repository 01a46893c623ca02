/** All codec cases, or those named, under qemu-arm and tsemu: `node tests/codecs/main.ts lame sox`. TIER chooses a tier. */
import type { Tier } from '../support/run.ts';
import { codecCases } from './cases.ts';
import { bothOutcomes } from './run.ts';

const names = process.argv.slice(2);
const tier = (process.env['TIER'] ?? 'auto') as Tier;
for (const item of codecCases) {
  if (names.length > 0 && !names.includes(item.name)) continue;
  const { oracle, ours } = await bothOutcomes(item, tier);
  const differing = oracle.flatMap((line, i) => (line === ours[i] ? [] : [[line, ours[i] ?? '']]));
  for (const failed of oracle.filter((line) => /: ([1-9]\d*|does not end)$/.test(line)))
    process.stdout.write(`  under qemu-arm: ${failed}\n`);
  process.stdout.write(`${item.name}: ${oracle.length} outputs, ${differing.length} differ\n`);
  for (const [expected, got] of differing.slice(0, 6))
    process.stdout.write(`  qemu-arm: ${expected!.slice(0, 600)}\n  tsemu:    ${got!.slice(0, 600)}\n`);
  if (differing.length > 0) process.exitCode = 1;
}
