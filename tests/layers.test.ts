import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { expect, test } from 'vitest';

/** What each room may import besides itself, directly or through another room. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  util: [],
  tcg: ['util'],
  target: ['util', 'tcg'],
  accel: ['util', 'tcg'],
  'linux-user': ['util', 'tcg', 'accel'],
  syscalls: ['util', 'tcg', 'accel', 'linux-user'],
  hw: ['util', 'tcg', 'accel', 'target'],
  gdbstub: ['util', 'tcg', 'accel'],
  system: ['util', 'tcg', 'accel', 'target', 'hw', 'gdbstub'],
  src: ['util', 'tcg', 'target', 'accel', 'linux-user', 'syscalls', 'hw', 'system', 'gdbstub'],
};
const MAY_USE_NODE = ['linux-user', 'syscalls', 'src', 'system', 'gdbstub'];
const MAY_USE_PACKAGES: Record<string, readonly string[]> = {
  util: ['debug'],
  'linux-user': ['elfy'],
  src: ['yargs', 'capstone-wasm', 'wabt'],
};

const root = join(import.meta.dirname, '..');
const git = (...args: string[]) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).split('\0');
// Files that are not committed yet count, those that git ignores do not.
const files = git('ls-files', '-z', '--cached', '--others', '--exclude-standard').filter(
  (file) => file !== '' && existsSync(join(root, file)),
);
const read = (file: string): string => readFileSync(join(root, file), 'utf8');

/** Why `file` of `room` may not import `specifier`, or null. */
function objection(room: string, file: string, specifier: string): string | null {
  if (specifier.startsWith('node:')) return MAY_USE_NODE.includes(room) ? null : 'no node: modules here';
  if (specifier === '#package') return room === 'src' ? null : 'only src reads package.json';
  if (specifier.startsWith('#')) {
    const other = specifier.slice(1).split('/')[0];
    return MAY_IMPORT[room].includes(other) ? null : `${room} may not know ${other}`;
  }
  if (!specifier.startsWith('.')) {
    return MAY_USE_PACKAGES[room]?.includes(specifier) ? null : `${room} may not use the package ${specifier}`;
  }
  if (!specifier.endsWith('.ts')) return 'the extension is missing';
  return posix.join(posix.dirname(file), specifier).startsWith(`${room}/`) ? null : 'leaves its room';
}

test.each(Object.keys(MAY_IMPORT))('%s imports only what it may', (room) => {
  const objections: string[] = [];
  for (const file of files.filter((name) => name.startsWith(`${room}/`) && name.endsWith('.ts'))) {
    const imports = read(file).matchAll(
      /^(?:import|export|\})(?:[^'"`;]*?\bfrom)?\s*'([^']+)'|\bimport\(\s*['"`]([^'"`]+)/gm,
    );
    for (const [, fixed, lazy] of imports) {
      const why = objection(room, file, fixed ?? lazy);
      if (why !== null) objections.push(`${file}: '${fixed ?? lazy}': ${why}`);
    }
  }
  expect(objections).toEqual([]);
});

// What one wrong import would bring into the script that every run loads, or make a function to be evaluated late.
test('what few runs need is in scripts of its own, and what every run needs is not wrapped', () => {
  const main = read('dist/main.js');
  const [, places] = /^\/\*\w+ (.*?)\*\//.exec(main) as RegExpExecArray;
  expect(places.split(',')).toEqual(
    expect.arrayContaining([
      'accel-translator:translate',
      'arm-translation:translate',
      'region-compiler:compile',
      'syscalls-sockets:sockets',
      'i386-translation:i386',
    ]),
  );
  const wrapped = [...main.matchAll(/__esm\(\{"([^"]+)"/g)].map(([, file]) => file);
  expect(wrapped.filter((file) => file.split('/')[0] in MAY_IMPORT)).toEqual([]);
});

test('no file names a package registry or a path of one machine', () => {
  const foreign = /"resolved"|registry\.|\/work\/\w/;
  const found = files.filter((file) => {
    if (file === 'tests/layers.test.ts') return false;
    const text = read(file);
    return foreign.test(text) || text.includes(root);
  });
  expect(found).toEqual([]);
});
