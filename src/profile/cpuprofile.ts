import type { Profile } from './call-tree.ts';

/**
 * A profile as Chrome's DevTools, VS Code and speedscope read it: JSON of `Profiler.Profile`
 * (https://chromedevtools.github.io/devtools-protocol/tot/Profiler/). Guest functions have no source lines.
 */
export function cpuprofileText({ tree, samples, times, start, end }: Profile): string {
  const hits = new Int32Array(tree.nodes.length);
  for (const id of samples) hits[id - 1]++;
  const nodes = tree.nodes.map(({ id, frame, children }) => ({
    id,
    callFrame: { functionName: frame.name, scriptId: '0', url: frame.url, lineNumber: -1, columnNumber: -1 },
    hitCount: hits[id - 1],
    children: [...children.values()].map((child) => child.id),
  }));
  const timeDeltas = times.map((time, i) => time - (i === 0 ? start : times[i - 1]));
  return JSON.stringify({ nodes, startTime: start, endTime: end, samples, timeDeltas });
}
