import type { Measurement } from './measure.ts';

/** Every measurement of one program under one runner. */
export interface Series {
  program: string;
  runner: string;
  runs: Measurement[];
}

/** The figures of a series: CPU seconds (least and median) and the largest peak RSS, MiB. */
export interface Summary {
  program: string;
  runner: string;
  cpu: number;
  cpuMedian: number;
  wall: number;
  rss: number;
  reps: number;
}

const sorted = (values: number[]): number[] => [...values].sort((a, b) => a - b);

export function summarise({ program, runner, runs }: Series): Summary {
  const cpu = sorted(runs.map((run) => run.cpu));
  return {
    program,
    runner,
    cpu: cpu[0],
    cpuMedian: cpu[cpu.length >> 1],
    wall: Math.min(...runs.map((run) => run.wall)),
    rss: Math.max(...runs.map((run) => run.rss)),
    reps: runs.length,
  };
}

export const geometricMean = (values: number[]): number =>
  values.length === 0 ? Number.NaN : Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);

/** A table in Markdown, columns aligned. */
export function table(head: string[], rows: string[][]): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i].length)));
  const line = (cells: string[]): string =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join(' | ')} |`;
  return [
    line(head),
    `|${widths.map((width, i) => (i === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`,
    ...rows.map(line),
  ].join('\n');
}

export const fixed = (value: number | undefined, digits = 2): string =>
  value === undefined || Number.isNaN(value) ? '–' : value.toFixed(digits);
