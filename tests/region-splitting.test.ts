import { describe, expect, test } from 'vitest';
import { buildGraph } from '#accel/region/graph.ts';
import { splitIrreducible } from '#accel/region/splitting.ts';
import { Random } from './support/ir-random.ts';

/** Splits the graph and returns its edges and, by node, the original node it is a copy of. */
function split(edges: readonly (readonly number[])[], size = 1): { successors: number[][]; originals: number[] } {
  const successors = edges.map((targets) => [...targets]);
  const originals = edges.map((_, node) => node);
  splitIrreducible({
    successors,
    size: () => size,
    copy(node) {
      originals.push(originals[node]);
      return successors.push([...successors[node]]) - 1;
    },
    redirect: () => {},
  });
  return { successors, originals };
}

const isReducible = (successors: readonly number[][]): boolean =>
  !buildGraph(
    successors,
    successors.map(() => []),
  ).hasIrreducible;

/** All walks of `steps` nodes from the entry, as strings of original nodes. */
function walks(successors: readonly (readonly number[])[], originals: readonly number[], steps: number): Set<string> {
  let paths = [{ at: 0, text: '0' }];
  const all = new Set<string>();
  for (let step = 0; step < steps; step++) {
    paths = paths.flatMap(({ at, text }) => successors[at].map((to) => ({ at: to, text: `${text} ${originals[to]}` })));
    for (const { text } of paths) all.add(text);
  }
  return all;
}

describe('node splitting', () => {
  test.each<[string, number[][]]>([
    ['a loop that is also entered in its middle', [[1, 2], [2], [1, 3], []]],
    ['three entries', [[1, 2, 3], [2], [3], [1, 4], []]],
    ['a loop with two entries inside another loop', [[1], [2, 3], [3, 4], [2, 4], [1, 5], []]],
    ['two of them, one within the other', [[1, 4], [2, 3], [3], [2, 4], [1, 5], []]],
    ['the region entry inside it', [[1, 2], [2], [1, 0], []]],
  ])('%s', (_, edges) => {
    const { successors, originals } = split(edges);
    expect(isReducible(edges)).toBe(false);
    expect(isReducible(successors)).toBe(true);
    const before = edges.map((_targets, node) => node);
    expect(walks(successors, originals, 7)).toEqual(walks(edges, before, 7));
  });

  test('what is reducible stays as it is', () => {
    const edges = [[1], [2, 4], [3], [1, 2], []];
    expect(split(edges).successors).toEqual(edges);
  });

  test('what would cost too much stays as it is', () => {
    const edges = [[1, 2], [2], [1, 3], []];
    expect(split(edges, 1000).successors).toEqual(edges);
  });

  test('random graphs', () => {
    const random = new Random(1);
    let irreducible = 0;
    for (let round = 0; round < 300; round++) {
      const count = 3 + random.below(7);
      const edges = Array.from({ length: count }, () =>
        Array.from({ length: 1 + random.below(2) }, () => random.below(count)),
      );
      if (!isReducible(edges)) irreducible++;
      const { successors, originals } = split(edges);
      expect(isReducible(successors), JSON.stringify(edges)).toBe(true);
      const before = edges.map((_targets, node) => node);
      expect(walks(successors, originals, 5), JSON.stringify(edges)).toEqual(walks(edges, before, 5));
    }
    expect(irreducible).toBeGreaterThan(20);
  });
});
