/**
 * Modules that the bundle loads when a function of theirs is first called, in scripts by occasion. What imports them says
 * so like any other import; in the bundle it gets functions that load the script, and classes that are made there.
 */
import { readFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Plugin } from 'esbuild';

/**
 * By script, from common to rare, modules that a program can do without. What only they import comes with them; what two
 * scripts need is in the first.
 */
export const lateModules: Readonly<Record<string, readonly string[]>> = {
  common: [
    'linux-user/vfs/host-operations.ts',
    'linux-user/vfs/inherited-descriptors.ts',
    'linux-user/vfs/mounts.ts',
    'linux-user/vfs/open-place.ts',
    'linux-user/vfs/ptys.ts',
    'syscalls/common-calls.ts',
  ],
  processes: [
    'linux-user/clone.ts',
    'linux-user/exec.ts',
    'linux-user/host-fork.ts',
    'linux-user/host-guard.ts',
    'linux-user/host-program.ts',
    'linux-user/orphans.ts',
    'linux-user/vfs/pipe.ts',
    'linux-user/wait.ts',
    'syscalls/process-calls.ts',
  ],
  files: [
    'linux-user/vfs/fifo.ts',
    'linux-user/vfs/file-backing.ts',
    'linux-user/vfs/host-record-locks.ts',
    'linux-user/vfs/make-node.ts',
    'linux-user/vfs/memory-data.ts',
    'linux-user/vfs/ownership.ts',
    'linux-user/vfs/proc/descriptors.ts',
    'linux-user/vfs/proc/mounts-text.ts',
    'linux-user/vfs/proc/process-texts.ts',
    'linux-user/vfs/proc/sys.ts',
    'linux-user/vfs/statfs.ts',
    'linux-user/vfs/tmpfs.ts',
  ],
  calls: [
    'linux-user/classic-bpf.ts',
    'linux-user/ipc/ipc-space.ts',
    'linux-user/mm/advice.ts',
    'linux-user/mm/remap.ts',
    'linux-user/seccomp.ts',
    'linux-user/signal/async-io.ts',
    'linux-user/signal/signal-file.ts',
    'linux-user/vfs/event-counter.ts',
    'syscalls/pty-ioctl.ts',
    'syscalls/rare-calls.ts',
    'syscalls/seccomp.ts',
  ],
  i386: ['linux-user/abi/i386.ts', 'src/i386.ts', 'syscalls/i386.ts'],
  warm: ['accel/stored/stored-regions.ts'],
  pages: ['linux-user/mm/host-pages.ts'],
  // A bundle of its own has machines.
  machine: ['accel/stored/stored-pages.ts', 'accel/virtual-code.ts'],
  reports: [
    'linux-user/abi/arm-unwind.ts',
    'linux-user/exceptions.ts',
    'linux-user/report.ts',
    'syscalls/count-tracer.ts',
    'syscalls/json-tracer.ts',
    'syscalls/tracer.ts',
    'target/arm/describe-state.ts',
  ],
};

/** The chunk that has the modules of a script. */
export const lateChunkOf = (script: string): string => `late-${script}`;

const scriptOf = new Map(
  Object.entries(lateModules).flatMap(([script, modules]) => modules.map((module) => [module, script] as const)),
);

/** What a chunk of late modules calls the exports of one. */
const nameOf = (module: string): string => module.replace(/\W/g, '_');

/** `root` is the folder that modules are named from. */
export function lateModulesPlugin(root: string): Plugin {
  const nameIn = (path: string): string => relative(root, path).replaceAll('\\', '/');
  return {
    name: 'late-modules',
    setup(setup) {
      setup.onResolve({ filter: /^late:/ }, ({ path }) => ({
        path: path.slice('late:'.length),
        namespace: 'late-script',
      }));
      setup.onLoad({ filter: /.*/, namespace: 'late-script' }, ({ path }) => ({
        contents: lateModules[path]!.map((module) => `export * as ${nameOf(module)} from './${module}';`).join('\n'),
        resolveDir: root,
      }));
      setup.onResolve({ filter: /^[#.].*\.ts$/ }, async ({ path, importer, namespace, kind }) => {
        if (namespace !== 'file' || kind !== 'import-statement') return undefined;
        const module = path.startsWith('#') ? path.slice(1) : nameIn(join(dirname(importer), path));
        const script = scriptOf.get(module);
        if (script === undefined || script === scriptOf.get(nameIn(importer))) return undefined;
        await refuseSubclasses(importer, path);
        return { path: module, namespace: 'late' };
      });
      setup.onLoad({ filter: /.*/, namespace: 'late' }, async ({ path }) => ({ contents: await standIn(root, path) }));
    },
  };
}

/** A class cannot be made before what it extends is there. */
async function refuseSubclasses(importer: string, module: string): Promise<void> {
  const source = await readFile(importer, 'utf8');
  for (const [, names, from] of source.matchAll(/^import \{([^}]*)\} from '([^']*)'/gm)) {
    if (from !== module) continue;
    const extended = names!.split(',').find((name) => new RegExp(`\\bextends ${name.trim()}\\b`).test(source));
    if (extended !== undefined) throw new Error(`${importer} extends ${extended.trim()}, which is loaded late`);
  }
}

/** The module that stands for a late one: its functions and classes, and constants that can be written down. */
async function standIn(root: string, module: string): Promise<string> {
  const exports: Readonly<Record<string, unknown>> = await import(pathToFileURL(join(root, module)).href);
  const load = `import.meta.load('${lateChunkOf(scriptOf.get(module)!)}').${nameOf(module)}`;
  const lines = Object.entries(exports).map(([name, value]) => {
    if (typeof value === 'function') return isClass(value) ? classFor(name, value) : functionFor(name);
    return isPlain(value) ? `export const ${name} = ${JSON.stringify(value)};` : '';
  });
  return [`let late_; const late = () => late_ ??= ${load};`, ...lines].join('\n');
}

/** Numbers, texts, and records of them. */
const isPlain = (value: unknown): boolean =>
  typeof value !== 'object'
    ? typeof value === 'number' || typeof value === 'string'
    : value !== null && Object.getPrototypeOf(value) === Object.prototype && Object.values(value).every(isPlain);

const isClass = (value: object): boolean => Function.prototype.toString.call(value).startsWith('class');

const functionFor = (name: string): string => `export const ${name} = (...values) => late().${name}(...values);`;

function classFor(name: string, real: object): string {
  const statics = Object.entries(Object.getOwnPropertyDescriptors(real)).filter(
    ([key]) => !['length', 'name', 'prototype'].includes(key),
  );
  const members = statics.map(([key, { value }]) =>
    typeof value === 'function'
      ? `static ${key}(...values) { return late().${name}.${key}(...values); }`
      : `static get ${key}() { return late().${name}.${key}; }`,
  );
  return `export class ${name} {
    constructor(...values) { return new (late().${name})(...values); }
    static [Symbol.hasInstance](value) { return typeof value === 'object' && value !== null && value instanceof late().${name}; }
    ${members.join('\n')}
  }`;
}
