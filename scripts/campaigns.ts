/** The largest comparisons by random sequences so far: entered by hand from the last line that `main.ts` prints. */
export interface Campaign {
  /** Of `--class`. */
  readonly insnClass: string;
  /** `--tier` and what else decides how code runs. */
  readonly options: string;
  /** `--seed`, `--count`, `--states`, `--length`. */
  readonly seed: number;
  readonly count: number;
  readonly states: number;
  readonly length: number;
  /** Run and compared: each sequence from each state. */
  readonly instructions: number;
  readonly faults: number;
  /** Differences that are left, and how they are explained. */
  readonly differ: string;
}

const thousands = (n: number): string => n.toLocaleString('en-US').replaceAll(',', ' ');

/** Lines of a document: how to repeat each campaign, and what came of it. */
export function campaignLines(command: string, campaigns: readonly Campaign[]): string[] {
  return [
    '## Random comparisons',
    '',
    `Repeated by \`node ${command} --class … --seed … --count … --states … --length …\` and the options named here.`,
    'Instructions are those run and compared, each sequence from each of its states. With `--hot N` a sequence is',
    'interpreted from the first N − 1 of them, and compiled after that.',
    '',
    '| class | options | seed | count | states | length | instructions | faults | differ |',
    '|---|---|---:|---:|---:|---:|---:|---:|---|',
    ...campaigns.map(
      ({ insnClass, options, seed, count, states, length, instructions, faults, differ }) =>
        `| ${insnClass} | ${options} | ${seed} | ${count} | ${states} | ${length} | ${thousands(instructions)} | ${thousands(faults)} | ${differ} |`,
    ),
    '',
  ];
}
