/**
 * Prints how often each decode row is met, as a table in Markdown: `node tests/random/coverage-table.ts 5000 20000`
 * (random sequences of each class, random encodings of each space; both from seed 1).
 */
import { programsOf, rowCoverage } from './coverage.ts';

const [sequences = 2000, encodings = 5000] = process.argv.slice(2).map(Number);
const rows = await rowCoverage(sequences, encodings);
const lines = rows.map(({ row, thumb, fuzz, drawn }) => {
  const tests = fuzz + drawn === 0 ? (programsOf(row.name) ?? '') : '';
  return `| ${thumb ? 'T32' : 'A32'} | ${row.name} | ${row.pattern} | ${fuzz} | ${drawn} | ${tests} |`;
});
process.stdout.write(
  [
    `# Decode rows met by ${sequences} random sequences of each class and ${encodings} encodings of each space`,
    '',
    `${rows.length} rows; ${rows.filter(({ fuzz }) => fuzz > 0).length} in sequences, ` +
      `${rows.filter(({ fuzz, drawn }) => fuzz === 0 && drawn > 0).length} as encodings only.`,
    '',
    '| set | row | pattern | in sequences | as encodings | tests |',
    '|---|---|---|---:|---:|---|',
    ...lines,
    '',
  ].join('\n'),
);
