import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Script } from 'node:vm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Environment, readCommandLine, UsageError, type UserConfig } from '#src/options.ts';

const root = join(import.meta.dirname, '..');

async function configOf(args: string[], env: Environment = {}, command = 'tsemu-arm'): Promise<UserConfig> {
  const invocation = await readCommandLine(command, args, env);
  if (invocation.kind !== 'run') throw new Error(`printed instead: ${invocation.text}`);
  return invocation.config;
}

async function printed(...args: string[]): Promise<string> {
  const invocation = await readCommandLine('tsemu-arm', args, {});
  return invocation.kind === 'print' ? invocation.text : '';
}

describe('options', () => {
  test('without options all is the default', async () => {
    expect(await configOf(['./hello', 'a', '-b'], { HOME: '/h' })).toEqual({
      command: 'tsemu-arm',
      arch: 'arm',
      program: './hello',
      argv: ['./hello', 'a', '-b'],
      env: ['HOME=/h'],
      ldPrefix: null,
      root: null,
      sandbox: false,
      shares: [],
      network: null,
      memory: null,
      cpuTime: null,
      stackSize: 8 * 1024 * 1024,
      cpu: 'max',
      uname: null,
      reservedVa: null,
      seed: null,
      oneInsnPerTb: false,
      tier: 'auto',
      hot: 1,
      protection: 'auto',
      cache: '/h/.cache/tsemu',
      log: new Set(),
      strace: 'lines',
      logFile: null,
      logFilter: [],
      stats: false,
      statsFile: null,
      profile: null,
    });
    expect((await configOf(['x'], {}, 'tsemu')).arch).toBe(null);
  });

  test('translations are kept in a folder of the user’s, where said, or nowhere', async () => {
    const folder = async (args: string[], env: Environment) => (await configOf([...args, 'x'], env)).cache;
    expect(await folder([], {})).toBe(null);
    expect(await folder([], { HOME: '/h', XDG_CACHE_HOME: '/c' })).toBe('/c/tsemu');
    expect(await folder([], { HOME: '/h', XDG_CACHE_HOME: 'relative' })).toBe('/h/.cache/tsemu');
    expect(await folder([], { HOME: '/h', TSEMU_CACHE_DIR: '/e' })).toBe('/e');
    expect(await folder(['--cache=/d'], { TSEMU_CACHE_DIR: '/e' })).toBe('/d');
    expect(await folder(['--cache', 'off'], { HOME: '/h' })).toBe(null);
  });

  test('each option has its meaning', async () => {
    const args = '-L /sys -0 zero -r 6.1.0 -s 1M -cpu cortex-a15 -R 2G -B 0x1000 -p 4096 -seed 0xffffffffffffffff';
    const more =
      '-one-insn-per-tb -tier interp --protection=pages -strace -d op,exec -D out.log -dfilter 0x10..0x20,16+16,0x20-1 --stats --stats-json s -profile p.svg p';
    expect(await configOf(`${args} ${more}`.split(' '))).toMatchObject({
      ldPrefix: '/sys',
      program: 'p',
      argv: ['zero'],
      uname: '6.1.0',
      stackSize: 1024 * 1024,
      cpu: 'cortex-a15',
      reservedVa: 2 ** 31,
      seed: 0xffff_ffff_ffff_ffffn,
      oneInsnPerTb: true,
      tier: 'interp',
      protection: 'pages',
      log: new Set(['op', 'exec', 'strace']),
      logFile: 'out.log',
      logFilter: [
        { first: 16, last: 32 },
        { first: 16, last: 31 },
        { first: 32, last: 32 },
      ],
      stats: true,
      statsFile: 's',
      profile: 'p.svg',
    });
  });

  test('each environment variable does what its option does, and the option goes first', async () => {
    const env = {
      QEMU_LD_PREFIX: '/env',
      QEMU_ARGV0: 'env0',
      QEMU_STACK_SIZE: '64k',
      QEMU_CPU: 'any',
      QEMU_UNAME: '5.0',
      QEMU_RESERVED_VA: '1G',
      QEMU_GUEST_BASE: '0',
      QEMU_LOG: 'page',
      QEMU_LOG_FILENAME: 'env.log',
      QEMU_DFILTER: '1..2',
      QEMU_STRACE: '',
      QEMU_RAND_SEED: '7',
      QEMU_PAGESIZE: '4096',
      QEMU_ONE_INSN_PER_TB: '1',
      TSEMU_TIER: 'region',
      TSEMU_PROTECTION: 'checks',
      TSEMU_STATS: '1',
      TSEMU_STATS_JSON: 'env.json',
      TSEMU_PROFILE: 'env.cpuprofile',
    };
    expect(await configOf(['-L', '/opt', '--singlestep', '-seed=8', 'p'], env)).toMatchObject({
      ldPrefix: '/opt',
      argv: ['env0'],
      stackSize: 65536,
      cpu: 'any',
      uname: '5.0',
      reservedVa: 2 ** 30,
      log: new Set(['page', 'strace']),
      logFile: 'env.log',
      logFilter: [{ first: 1, last: 2 }],
      seed: 8n,
      oneInsnPerTb: true,
      tier: 'region',
      protection: 'checks',
      stats: true,
      statsFile: 'env.json',
      profile: 'env.cpuprofile',
    });
  });

  test('-E and -U change the guest’s environment in their order', async () => {
    const env = { A: '1', B: '2', QEMU_SET_ENV: 'C=3,D=4', QEMU_UNSET_ENV: 'A' };
    const config = await configOf(['-U', 'B,C', '-E', 'B=x=y', '-E', 'E=,F=6', '-U', 'F', 'p'], env);
    expect(config.env.filter((line) => !line.startsWith('QEMU_'))).toEqual(['D=4', 'B=x=y', 'E=']);
  });

  test('options end at the program', async () => {
    expect((await configOf(['p', '-L', '--help', '--', '-d', 'x'])).argv).toEqual([
      'p',
      '-L',
      '--help',
      '--',
      '-d',
      'x',
    ]);
    expect((await configOf(['--', '-odd', 'a'])).argv).toEqual(['-odd', 'a']);
    expect((await configOf(['-strace', 'strace', '-strace'])).argv).toEqual(['strace', '-strace']);
    expect((await configOf(['-L', '-cpu', 'p'])).ldPrefix).toBe('-cpu');
    expect((await configOf(['-0', '', 'p'])).argv).toEqual(['']);
  });

  test('help, version and lists are printed', async () => {
    const help = await printed('-h');
    for (const word of ['-L ', '-0 ', '--one-insn-per-tb', 'QEMU_LD_PREFIX', 'TSEMU_TIER', 'var=value']) {
      expect(help).toContain(word);
    }
    expect(await printed('--help')).toBe(help);
    expect(await printed('-version')).toMatch(/^tsemu-arm \d+\.\d+\.\d+ /);
    expect(await printed('-cpu', 'help')).toContain('cortex-a15');
    expect(await printed('-d', 'help')).toContain('in_asm');
  });

  test.each([
    [[], 'no program'],
    [['-nonsense', 'p'], "unknown option '-nonsense'"],
    [['-'], "unknown option '-'"],
    [['-L'], 'needs a value'],
    [['-strace=1', 'p'], 'takes no value'],
    [['-cpu', '6502', 'p'], "unknown CPU model '6502'"],
    [['-d', 'op,nothing', 'p'], "unknown log item 'nothing'"],
    [['-profile', 'x.txt', 'p'], 'neither .svg nor .cpuprofile'],
    [['-tier', 'warp', 'p'], "unknown tier 'warp'"],
    [['--protection=moat', 'p'], "unknown protection 'moat'"],
    [['-s', 'big', 'p'], "invalid stack size 'big'"],
    [['-s', '0', 'p'], 'out of range'],
    [['-s', '5G', 'p'], 'out of range'],
    [['-R', '8G', 'p'], 'out of range'],
    [['-R', '5', 'p'], 'not a multiple'],
    [['-B', 'here', 'p'], 'invalid guest base'],
    [['-p', '65536', 'p'], 'only 4096'],
    [['-seed', '-1', 'p'], 'invalid seed'],
    [['-seed', '18446744073709551616', 'p'], 'invalid seed'],
    [['-E', 'novalue', 'p'], 'is not var=value'],
    [['-U', 'A=1', 'p'], 'is not the name'],
    [['-dfilter', '9', 'p'], 'not an address range'],
    [['-dfilter', '9..8', 'p'], 'empty or too large'],
    [['-g', '1234', 'p'], 'no GDB server yet'],
  ])('%j is refused in one line', async (args: string[], message: string) => {
    const error = await readCommandLine('tsemu-arm', args, {}).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UsageError);
    expect((error as UsageError).message).toContain(message);
    expect((error as UsageError).message).not.toContain('\n');
  });

  test('a wrong environment variable is refused as well', async () => {
    await expect(configOf(['p'], { QEMU_CPU: '6502' })).rejects.toThrow('unknown CPU model');
  });

  test('the command prints its error on stderr and ends with 1', () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, ['src/main.ts', '-oops'], {
      cwd: root,
      encoding: 'utf8',
    });
    expect({ status, stdout, stderr }).toEqual({
      status: 1,
      stdout: '',
      stderr: "tsemu: unknown option '-oops'; see --help\n",
    });
  });
});

/** bin/run.cjs. */
interface Runner {
  open(): {
    readonly load: (chunk: string) => unknown;
    readonly scripts: ReadonlyMap<string, { readonly compiled: Script }>;
  };
}

describe('launcher', () => {
  let home: string;
  let launcher: string;
  /** The command line of a Node that is too old: a real one in PATH, or this one in disguise. */
  let oldNode: string[];

  beforeAll(() => {
    home = mkdtempSync(join(tmpdir(), 'tsemu-launcher-'));
    cpSync(join(root, 'bin'), join(home, 'bin'), { recursive: true });
    launcher = join(home, 'bin', 'tsemu-arm.cjs');
    writeFileSync(join(home, 'package.json'), '{ "type": "module" }');
    writeFileSync(
      join(home, 'disguise.cjs'),
      "Object.defineProperty(process, 'versions', { value: { node: '8.17.0' } });",
    );
    oldNode = [findOldNode() ?? process.execPath, '-r', join(home, 'disguise.cjs')];
  });
  afterAll(() => rmSync(home, { recursive: true }));

  function bringBundle(body: string): void {
    mkdirSync(join(home, 'dist'), { recursive: true });
    const text = `/*cafe other:rest*/({ main: () => ({ async main(command) { ${body} } }) })`;
    writeFileSync(join(home, 'dist', 'main.js'), text);
  }

  function bringNode(): void {
    const modules = join(home, 'node_modules');
    mkdirSync(modules, { recursive: true });
    if (!existsSync(join(modules, 'node')))
      symlinkSync(join(root, 'node_modules', 'node'), join(modules, 'node'), 'junction');
  }

  const launch = (node: string[], ...args: string[]) =>
    spawnSync(node[0], [...node.slice(1), launcher, ...args], { encoding: 'utf8' });

  test('says in one line that the bundle is missing', () => {
    const { status, stderr } = launch([process.execPath]);
    expect(stderr).toMatch(/^tsemu-arm: not built yet; .*npm run build.*\n$/);
    expect(status).toBe(1);
  });

  test('says in one line that Node is too old', () => {
    const { status, stdout, stderr } = launch(oldNode, 'p');
    expect(stderr).toMatch(/^tsemu-arm: needs Node.js 24 or newer and this is v\d+.*\n$/);
    expect(stdout).toBe('');
    expect(status).toBe(1);
  });

  test('runs in the Node that it is given when that is new enough', () => {
    bringBundle('console.log(command, ...process.argv.slice(2)); process.exit(3)');
    const { status, stdout } = launch([process.execPath], 'p', '-x', 'a b');
    expect({ status, stdout }).toEqual({ status: 3, stdout: 'tsemu-arm p -x a b\n' });
  });

  test('ignores a code cache that V8 refuses', () => {
    bringBundle("console.log('ran')");
    writeFileSync(join(home, 'dist', `main.cafe.${process.versions.v8}-${process.arch}.cache`), 'no cache at all');
    const { status, stdout, stderr } = launch([process.execPath], 'p');
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: 'ran\n', stderr: '' });
  });

  test('the build leaves code caches that V8 takes', () => {
    const { load, scripts } = (createRequire(import.meta.url)('../bin/run.cjs') as Runner).open();
    load('accel-translator');
    load('region-compiler');
    load('syscalls-sockets');
    load('late-calls');
    load('late-processes');
    load('late-i386');
    const rejected = [...scripts].filter(([, { compiled }]) => compiled.cachedDataRejected !== false);
    expect(rejected.map(([name]) => name)).toEqual([]);
    expect([...scripts.keys()]).toEqual(
      expect.arrayContaining(['main', 'translate', 'compile', 'sockets', 'common', 'calls', 'processes', 'i386']),
    );
  });

  test('hands over to the Node beside it, which gets arguments and gives the exit code', () => {
    bringNode();
    bringBundle(
      'console.log(parseInt(process.versions.node) >= 24, command, ...process.argv.slice(2)); process.exit(42)',
    );
    const { status, stdout, stderr } = launch(oldNode, 'p', '-x', 'a b', '');
    expect({ status, stdout, stderr }).toEqual({ status: 42, stdout: 'true tsemu-arm p -x a b \n', stderr: '' });
  });

  test.skipIf(process.platform === 'win32').each(['SIGTERM', 'SIGSEGV', 'SIGINT', 'SIGKILL'])(
    'ends with %s as the child did',
    (name) => {
      bringNode();
      bringBundle(`process.kill(process.pid, '${name}')`);
      expect(launch(oldNode, 'p').signal).toBe(name);
    },
  );

  test.skipIf(process.platform === 'win32')('the command is an executable file', () => {
    chmodSync(launcher, 0o755);
    bringBundle("console.log('ran')");
    expect(spawnSync(launcher, ['p'], { encoding: 'utf8' }).stdout).toBe('ran\n');
  });
});

/** A Node in PATH that is too old for tsemu. */
function findOldNode(): string | undefined {
  const candidates = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'node'));
  return candidates.find((file) => {
    if (!existsSync(file) || file.includes('node_modules')) return false;
    const { stdout } = spawnSync(file, ['-p', 'process.versions.node'], { encoding: 'utf8' });
    return Number.parseInt(stdout, 10) < 24;
  });
}
