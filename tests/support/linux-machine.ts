import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { cachePath, contentKey, makeOnce, repoRoot, Unavailable } from './cache.ts';
import { debianDependency, debianFile, debianPackage, onPath } from './debian.ts';
import { run } from './run.ts';

/** One entry of a cpio archive. */
export interface CpioEntry {
  readonly name: string;
  readonly mode: number;
  readonly data?: Uint8Array;
  /** Device numbers. */
  readonly device?: readonly [number, number];
}

const directory = 0o40755;
const file = 0o100644;
const program = 0o100755;
const link = 0o120777;
const characterDevice = 0o20600;

/** A cpio archive in the form of an initramfs (newc), always the same for the same entries. */
export function cpio(entries: readonly CpioEntry[]): Uint8Array {
  const chunks: Buffer[] = [];
  const pad = (length: number): Buffer => Buffer.alloc(-length & 3);
  const put = ({ name, mode, data = new Uint8Array(0), device = [0, 0] }: CpioEntry, number: number): void => {
    const path = Buffer.from(`${name}\0`);
    const fields = [number, mode, 0, 0, 1, 0, data.length, 0, 0, device[0], device[1], path.length, 0];
    const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`);
    chunks.push(header, path, pad(header.length + path.length), Buffer.from(data), pad(data.length));
  };
  [...entries, { name: 'TRAILER!!!', mode: 0 }].forEach((entry, i) => put(entry, i + 1));
  return Buffer.concat(chunks);
}

const textOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** What a kernel needs to start from an ext4 file system on a virtio disk. */
export const diskModules: readonly string[] = ['virtio_mmio', 'virtio_blk', 'crc32c_generic', 'ext4'];

/** The initramfs of the tests: busybox, `fixtures/system/init`, and kernel modules that it loads at the word `ts.mods`. */
export async function testInitramfs(modules: readonly string[] = []): Promise<string> {
  const busybox = await debianFile('busybox-static', 'armhf', 'bin/busybox');
  const init = readFileSync(join(repoRoot, 'fixtures', 'system', 'init'));
  const folders = ['bin', 'sbin', 'dev', 'proc', 'sys', 'tmp', 'root', 'mnt'];
  const archive = cpio([
    ...folders.map((name) => ({ name, mode: directory })),
    { name: 'dev/console', mode: characterDevice, device: [5, 1] },
    { name: 'bin/busybox', mode: program, data: readFileSync(busybox) },
    { name: 'bin/sh', mode: link, data: textOf('busybox') },
    { name: 'init', mode: program, data: init },
    ...(modules.length === 0 ? [] : await moduleEntries(modules)),
  ]);
  const path = cachePath('machine', `initramfs${modules.length === 0 ? '' : `-${contentKey(...modules)}`}.cpio`);
  return makeFile(path, archive);
}

/** Modules of Debian's kernel with all that they need, in `lib/modules`, and the order to load them in. */
async function moduleEntries(wanted: readonly string[]): Promise<CpioEntry[]> {
  const folder = join(await debianPackage(await kernelPackage(), 'armhf'), 'lib', 'modules');
  const name = (path: string): string => basename(path, '.ko').replaceAll('-', '_');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ko'));
  const paths = new Map(files.map((path) => [name(path), join(folder, path)]));
  const order = new Map<string, Uint8Array>();
  const add = (module: string): void => {
    const path = paths.get(module);
    // What is no module is built in.
    if (path === undefined || order.has(module)) return;
    const data = readFileSync(path);
    const [, depends = ''] = /\0depends=([^\0]*)\0/.exec(data.toString('latin1')) ?? [];
    for (const other of depends.split(',')) add(other.replaceAll('-', '_'));
    order.set(module, data);
  };
  for (const module of wanted) add(module);
  return [
    { name: 'lib', mode: directory },
    { name: 'lib/modules', mode: directory },
    { name: 'lib/modules/list', mode: file, data: textOf(`${[...order.keys()].join('\n')}\n`) },
    ...Array.from(order, ([module, data]) => ({ name: `lib/modules/${module}.ko`, mode: file, data })),
  ];
}

async function makeFile(path: string, bytes: Uint8Array): Promise<string> {
  if (existsSync(path) && Buffer.compare(readFileSync(path), bytes) === 0) return path;
  writeFileSync(`${path}.${process.pid}`, bytes);
  renameSync(`${path}.${process.pid}`, path);
  return path;
}

const xzMagic = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]);

type Flavour = 'armmp' | 'armmp-lpae';

/** The package of Debian's kernel for 32-bit ARM. */
const kernelPackage = (flavour: Flavour = 'armmp'): Promise<string> =>
  debianDependency(`linux-image-${flavour}`, 'armhf', new RegExp(String.raw`\blinux-image-[\d.-]+-${flavour}\b(?!-)`));

/** Debian's kernel for 32-bit ARM: the compressed file, and the uncompressed one. */
export async function debianKernel(flavour?: Flavour): Promise<{ readonly zImage: string; readonly image: string }> {
  const name = await kernelPackage(flavour);
  const boot = join(await debianPackage(name, 'armhf'), 'boot');
  const compressed = readdirSync(boot).find((entry) => entry.startsWith('vmlinuz'));
  if (compressed === undefined) throw new Error(`package ${name} has no kernel`);
  const zImage = join(boot, compressed);
  const image = cachePath('machine', `Image-${name}`);
  await makeOnce(image, async () => {
    if (onPath('xz') === undefined) throw new Unavailable('no xz on this machine to unpack a kernel with');
    const bytes = readFileSync(zImage);
    // The decompressor knows the magic too.
    for (let at = bytes.indexOf(xzMagic); at >= 0; at = bytes.indexOf(xzMagic, at + 1)) {
      const { stdout } = await run('xz', ['-dc', '--single-stream'], { stdin: bytes.subarray(at) });
      if (stdout.length < bytes.length) continue;
      writeFileSync(`${image}.new`, stdout);
      renameSync(`${image}.new`, image);
      return;
    }
    throw new Error(`${zImage}: no xz stream in it`);
  });
  return { zImage, image };
}

/** What a machine printed, and how it ended. */
export interface MachineRun {
  readonly output: string;
  readonly errors: string;
  readonly status: number | null;
}

/**
 * Runs `tsemu-arm --system` with `args`. Each of `dialogue` is text to type once the text before it has been printed.
 */
export function runMachine(
  args: readonly string[],
  dialogue: readonly (readonly [waitFor: string, type: string])[] = [],
  timeout = 600_000,
): Promise<MachineRun> {
  return new Promise((resolve, reject) => {
    const command = join(repoRoot, 'bin', 'tsemu-arm.cjs');
    const child = spawn(process.execPath, [command, '--system', ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
    let output = '';
    let errors = '';
    let seen = 0;
    const left = [...dialogue];
    const timer = setTimeout(() => child.kill('SIGKILL'), timeout);
    child.stdout.on('data', (bytes: Buffer) => {
      output += bytes.toString('latin1');
      const [next] = left;
      const at = next ? output.indexOf(next[0], seen) : -1;
      if (at < 0) return;
      seen = at + next[0].length;
      left.shift();
      child.stdin.write(next[1]);
    });
    child.stderr.on('data', (bytes: Buffer) => {
      errors += bytes.toString();
    });
    child.stdin.on('error', () => {});
    child.on('error', reject);
    child.on('close', (status) => {
      clearTimeout(timer);
      resolve({ output, errors, status });
    });
  });
}
