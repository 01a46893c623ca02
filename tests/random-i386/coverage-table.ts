/**
 * Prints how often each row of the opcode map is met, as a table in Markdown: `node tests/random-i386/coverage-table.ts
 * 20000` (random sequences of each class, from seed 1).
 */
import { programsOf, rowCoverage } from './coverage.ts';

const [sequences = 5000] = process.argv.slice(2).map(Number);
const rows = [...rowCoverage(sequences)];
const lines = rows.map(([{ name, opcode, codes }, count]) => {
  const tests = count === 0 ? (programsOf(name) ?? '') : '';
  return `| ${name} | ${`${opcode} ${codes}`.trim()} | ${count} | ${tests} |`;
});
process.stdout.write(
  [
    `# Rows of the opcode map met by ${sequences} random sequences of each class`,
    '',
    `${rows.length} rows; ${rows.filter(([, count]) => count > 0).length} in sequences.`,
    '',
    '| instruction | encoding | in sequences | tests |',
    '|---|---|---:|---|',
    ...lines,
    '',
  ].join('\n'),
);
