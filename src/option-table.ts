// The command line of the user-mode commands: one row per option. Help, environment names and parsing all read it.
import type { CpuModelName as ArmModelName } from '#target/arm/cpu-models.ts';
import type { CpuModelName as I386ModelName } from '#target/i386/cpu-models.ts';

/** A mistake on the command line. Its message is one line for the user, without the program's name. */
export class UsageError extends Error {}

/** What may run the guest's code: the interpreter, compiled regions, or the first and then the second. */
export const TIERS = ['auto', 'interp', 'region'] as const;
export type Tier = (typeof TIERS)[number];

/** What refuses the guest's bad accesses: the host's page tables, code before each access, or the first where it can. */
export const PROTECTIONS = ['auto', 'pages', 'checks'] as const;
export type Protection = (typeof PROTECTIONS)[number];

/** What `-d` can show, with its line in `-d help`. */
export const LOG_ITEMS = {
  in_asm: 'guest assembly of each block when it is first translated',
  op: 'intermediate code before optimization',
  op_opt: 'intermediate code after optimization',
  out_asm: 'WebAssembly text of each compiled region',
  exec: 'one line before each block that runs (long)',
  cpu: 'CPU registers before each block that runs (long)',
  fpu: "floating-point registers too, in what 'cpu' shows",
  nochain: "leave generated code after every block, so that 'exec' and 'cpu' miss none",
  nosimplify: 'do without folding and forwarding (these nine change no result, only the speed)',
  nodeadcode: 'do without removing dead code',
  noinline: 'do without calls inside compiled regions',
  nosplit: 'do without splitting blocks of loops with several entries',
  nosink: 'do without putting flags off to where they are needed',
  noentry: 'store all flags before calls, also those the callee sets anew',
  nogroup: 'test permissions for each access by itself',
  noforward: 'load from memory what was stored there just before',
  noreturn: 'compare where inlined functions return, also where it is known',
  novector: 'do not access parts of vector registers as lanes of the whole',
  nonest: 'make one loop of those with one header',
  nointerrupt: 'store dead registers, too, where a loop is interrupted',
  int: 'exceptions: system calls, faults, undefined instructions',
  unimp: 'what the guest asked for and tsemu does not have',
  guest_errors: 'invalid things the guest does',
  page: 'the memory map, at the start and when it changes',
  strace: 'each system call with its arguments and result',
} as const;
export type LogItem = keyof typeof LOG_ITEMS;

/** The models of `-cpu` by architecture, with their line in `-cpu help`. */
export const CPU_MODELS = {
  arm: {
    max: 'everything tsemu has: ARMv7-A and what ARMv8 adds to AArch32 (the default)',
    any: 'the same as max',
    'cortex-a7': 'ARMv7-A with VFPv4, NEON and divide',
    'cortex-a8': 'ARMv7-A with VFPv3 and NEON',
    'cortex-a9': 'ARMv7-A with VFPv3, half precision and NEON',
    'cortex-a15': 'ARMv7-A with VFPv4, NEON and divide',
    'cortex-a53': 'ARMv8-A in AArch32, with CRC32, AES, SHA-1 and SHA-256',
    arm1176: 'ARMv6K with VFPv2',
    arm926: 'ARMv5TEJ with VFPv2; words at unaligned addresses are rotated',
  },
  i386: {
    max: 'everything tsemu has: SSE4.2, AES, SHA, BMI, but no AVX (the default)',
    qemu32: 'SSE3',
    n270: 'Atom: SSSE3 and MOVBE',
    core2duo: 'SSSE3',
    coreduo: 'SSE3',
    pentium3: 'SSE',
    pentium2: 'MMX and CMOV',
    pentium: 'MMX; no CMOV, no long NOP',
    '486': 'x87; no RDTSC, no CMPXCHG8B',
  },
} as const satisfies { arm: Record<ArmModelName, string>; i386: Record<I386ModelName, string> };

/** Guest addresses, both ends included. */
export interface AddressRange {
  readonly first: number;
  readonly last: number;
}

interface Row {
  /** The name after the dash or dashes. A one-letter name is an option of its own, never part of a group. */
  readonly also?: readonly string[];
  readonly env?: string;
  /** What the help calls the value; an option without one is a switch. */
  readonly value?: string;
  readonly help: string;
  readonly group: 'program' | 'confinement' | 'machine' | 'debug' | 'other';
  /** The typed value of the text. Throws UsageError. */
  readonly read?: (text: string) => unknown;
}

const asText = (text: string): string => text;

export const OPTIONS = {
  L: {
    env: 'QEMU_LD_PREFIX',
    value: 'path',
    help: 'Look here first for the guest’s files',
    group: 'program',
    read: asText,
  },
  root: {
    env: 'TSEMU_ROOT',
    value: 'path',
    help: 'The guest sees this folder as "/", cannot leave it, and is root there',
    group: 'confinement',
    read: asText,
  },
  sandbox: {
    env: 'TSEMU_SANDBOX',
    help: 'Keep everything from the guest but what is named: no files, no network, no programs of the host',
    group: 'confinement',
  },
  ro: {
    value: 'path[:guest]',
    help: 'Let the guest read this file or folder of the host (also elsewhere in its tree); may be repeated',
    group: 'confinement',
    read: asText,
  },
  rw: {
    value: 'path[:guest]',
    help: 'Let the guest read and write it; may be repeated',
    group: 'confinement',
    read: asText,
  },
  'allow-net': { help: 'Let the guest use the network, in a sandbox too', group: 'confinement' },
  'deny-net': { help: 'Keep the network from the guest, outside a sandbox too', group: 'confinement' },
  memory: {
    env: 'TSEMU_MEMORY',
    value: 'size',
    help: 'Most memory of all guest processes together, in bytes or with k, M or G',
    group: 'confinement',
    read: (text: string) => readSize(text, 'memory size', 2 ** 46),
  },
  'cpu-time': {
    env: 'TSEMU_CPU_TIME',
    value: 'seconds',
    help: 'Kill the guest when it has used so much CPU time',
    group: 'confinement',
    read: readSeconds,
  },
  E: {
    env: 'QEMU_SET_ENV',
    value: 'var=value[,…]',
    help: 'Set variables in the guest’s environment',
    group: 'program',
    read: readAssignments,
  },
  U: {
    env: 'QEMU_UNSET_ENV',
    value: 'var[,…]',
    help: 'Remove variables from the guest’s environment',
    group: 'program',
    read: readNames,
  },
  argv0: {
    also: ['0'],
    env: 'QEMU_ARGV0',
    value: 'argv0',
    help: 'Give the program this argv[0]',
    group: 'program',
    read: asText,
  },
  r: { env: 'QEMU_UNAME', value: 'release', help: 'Kernel release that uname reports', group: 'program', read: asText },
  s: {
    env: 'QEMU_STACK_SIZE',
    value: 'size',
    help: 'Size of the main stack, in bytes or with k or M (default: 8M)',
    group: 'machine',
    read: readStackSize,
  },
  cpu: {
    env: 'QEMU_CPU',
    value: 'model',
    help: 'CPU model (-cpu help lists them)',
    group: 'machine',
    read: readCpu,
  },
  R: {
    env: 'QEMU_RESERVED_VA',
    value: 'size',
    help: 'Size of the guest’s address space, in bytes or with k, M or G',
    group: 'machine',
    read: readReservedVa,
  },
  B: {
    env: 'QEMU_GUEST_BASE',
    value: 'address',
    help: 'Accepted and without effect: guest memory is a WebAssembly memory, whose base is fixed',
    group: 'machine',
    read: (text: string) => readNumber(text, 'guest base'),
  },
  p: {
    env: 'QEMU_PAGESIZE',
    value: 'size',
    help: 'Page size; ARM Linux has 4096 only',
    group: 'machine',
    read: readPageSize,
  },
  seed: {
    env: 'QEMU_RAND_SEED',
    value: 'number',
    help: 'Seed for every random number the guest gets',
    group: 'machine',
    read: readSeed,
  },
  'one-insn-per-tb': {
    also: ['singlestep'],
    env: 'QEMU_ONE_INSN_PER_TB',
    help: 'Translate one instruction at a time',
    group: 'machine',
  },
  tier: {
    env: 'TSEMU_TIER',
    value: 'name',
    help: `What runs guest code: ${TIERS.join(', ')}`,
    group: 'machine',
    read: readTier,
  },
  hot: {
    env: 'TSEMU_HOT',
    value: 'number',
    help: 'With -tier region: compile what has run so often (default: 1)',
    group: 'machine',
    read: readHot,
  },
  protection: {
    env: 'TSEMU_PROTECTION',
    value: 'name',
    help: `What refuses bad accesses to memory: ${PROTECTIONS.join(', ')}`,
    group: 'machine',
    read: readProtection,
  },
  cache: {
    env: 'TSEMU_CACHE_DIR',
    value: 'folder',
    help: 'Keep translations there for the next run, or nowhere: off (default: tsemu in the user’s cache folder)',
    group: 'machine',
    read: readCacheFolder,
  },
  strace: { env: 'QEMU_STRACE', help: 'Log system calls and signals of all processes', group: 'debug' },
  'strace-count': {
    also: ['c'],
    env: 'TSEMU_STRACE_COUNT',
    help: 'Count system calls, their errors and times, and print a table at the end',
    group: 'debug',
  },
  'strace-json': {
    env: 'TSEMU_STRACE_JSON',
    help: 'Log system calls and signals as one JSON object a line',
    group: 'debug',
  },
  f: { help: 'Accepted and without effect: -strace follows all processes', group: 'debug' },
  d: {
    env: 'QEMU_LOG',
    value: 'item[,…]',
    help: 'Log these items (-d help lists them)',
    group: 'debug',
    read: readLogItems,
  },
  D: {
    env: 'QEMU_LOG_FILENAME',
    value: 'file',
    help: 'Write the log here (default: stderr)',
    group: 'debug',
    read: asText,
  },
  dfilter: {
    env: 'QEMU_DFILTER',
    value: 'range[,…]',
    help: 'Log only code in these addresses: first..last, start+size or end-size',
    group: 'debug',
    read: readRanges,
  },
  g: { env: 'QEMU_GDB', value: 'port', help: 'Wait for GDB: not there yet', group: 'debug', read: refuseGdb },
  stats: {
    env: 'TSEMU_STATS',
    help: 'Print counters and times at the end; counting makes the program slower',
    group: 'debug',
  },
  'stats-json': {
    env: 'TSEMU_STATS_JSON',
    value: 'file',
    help: 'Write the same there as JSON',
    group: 'debug',
    read: asText,
  },
  profile: {
    env: 'TSEMU_PROFILE',
    value: 'file',
    help: 'Write where the time went: FILE.svg is a flame graph, FILE.cpuprofile is for Chrome’s DevTools',
    group: 'debug',
    read: readProfileName,
  },
  help: { also: ['h'], help: 'Show this help', group: 'other' },
  version: { env: 'QEMU_VERSION', help: 'Show the version', group: 'other' },
} as const satisfies Record<string, Row>;

export type OptionName = keyof typeof OPTIONS;

/** The typed value of each option that takes one; a switch is `true`. */
export type OptionValues = {
  -readonly [N in OptionName]?: (typeof OPTIONS)[N] extends { read: (text: string) => infer V } ? V : true;
};

/** The rows in order, as the general shape. */
export const OPTION_ROWS = Object.entries(OPTIONS) as [OptionName, Row][];

const BY_SPELLING = new Map<string, OptionName>(
  OPTION_ROWS.flatMap(([name, row]) =>
    [name, ...(row.also ?? [])].map((spelling): [string, OptionName] => [spelling, name]),
  ),
);

/** The option that is written `spelling` after its dashes, or undefined. */
export function findOption(spelling: string): OptionName | undefined {
  return BY_SPELLING.get(spelling);
}

/** Whether the option needs a value. */
export function takesValue(name: OptionName): boolean {
  return 'value' in OPTIONS[name];
}

const NUMBER = /^(0[xX][0-9a-fA-F]+|[0-9]+)$/;

function readNumber(text: string, what: string): number {
  const value = NUMBER.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw new UsageError(`invalid ${what} '${text}'`);
  return value;
}

function readSeconds(text: string): number {
  const seconds = /^\d+(\.\d+)?$/.test(text) ? Number(text) : 0;
  if (seconds <= 0) throw new UsageError(`invalid CPU time '${text}'`);
  return seconds;
}

const UNITS = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 } as const;

function readSize(text: string, what: string, largest: number): number {
  const [, digits, unit] = /^(\w+?)([kKmMgG]?)$/.exec(text) ?? [];
  if (digits === undefined || !NUMBER.test(digits)) throw new UsageError(`invalid ${what} '${text}'`);
  const size = Number(digits) * UNITS[unit.toLowerCase() as keyof typeof UNITS];
  if (size === 0 || size > largest) throw new UsageError(`${what} '${text}' is out of range`);
  return size;
}

function readStackSize(text: string): number {
  return readSize(text, 'stack size', 2 ** 30);
}

function readReservedVa(text: string): number {
  const size = readSize(text, 'reserved address space', 2 ** 32);
  if (size % 4096 !== 0) throw new UsageError(`reserved address space '${text}' is not a multiple of the page size`);
  return size;
}

function readPageSize(text: string): 4096 {
  if (readNumber(text, 'page size') !== 4096) throw new UsageError(`page size '${text}': only 4096 is possible`);
  return 4096;
}

function readSeed(text: string): bigint {
  if (!NUMBER.test(text) || BigInt(text) >= 1n << 64n) {
    throw new UsageError(`invalid seed '${text}'`);
  }
  return BigInt(text);
}

function readAssignments(text: string): string[] {
  const assignments = text.split(',');
  for (const one of assignments) {
    if (one.indexOf('=') < 1) throw new UsageError(`'${one}' is not var=value`);
  }
  return assignments;
}

function readNames(text: string): string[] {
  const names = text.split(',');
  for (const name of names) {
    if (name === '' || name.includes('=')) throw new UsageError(`'${name}' is not the name of a variable`);
  }
  return names;
}

function readCpu(text: string): string {
  if (text === '?') return 'help';
  const isKnown = text === 'help' || Object.values(CPU_MODELS).some((models) => Object.hasOwn(models, text));
  if (!isKnown) throw new UsageError(`unknown CPU model '${text}'; -cpu help lists them`);
  return text;
}

function readTier(text: string): Tier {
  const tier = TIERS.find((name) => name === text);
  if (tier === undefined) throw new UsageError(`unknown tier '${text}'; there are ${TIERS.join(', ')}`);
  return tier;
}

function readHot(text: string): number {
  const runs = readNumber(text, 'number of runs');
  if (runs < 1 || runs > 1e6) throw new UsageError(`invalid number of runs '${text}'`);
  return runs;
}

function readProtection(text: string): Protection {
  const protection = PROTECTIONS.find((name) => name === text);
  if (protection === undefined) {
    throw new UsageError(`unknown protection '${text}'; there are ${PROTECTIONS.join(', ')}`);
  }
  return protection;
}

function readLogItems(text: string): LogItem[] | 'help' {
  if (text === 'help' || text === '?') return 'help';
  const all = Object.keys(LOG_ITEMS) as LogItem[];
  return text.split(',').flatMap((word) => {
    if (word === 'all') return all;
    if (!Object.hasOwn(LOG_ITEMS, word)) throw new UsageError(`unknown log item '${word}'; -d help lists them`);
    return [word as LogItem];
  });
}

function readRanges(text: string): AddressRange[] {
  return text.split(',').map((range) => {
    const [, left, kind, right] = /^([^.+-]+)(\.\.|\+|-)(.+)$/.exec(range) ?? [];
    if (kind === undefined) throw new UsageError(`'${range}' is not an address range`);
    const a = readNumber(left, 'address');
    const b = readNumber(right, 'address');
    const [first, last] = kind === '..' ? [a, b] : kind === '+' ? [a, a + b - 1] : [a - b + 1, a];
    if (first < 0 || last > 0xffff_ffff || first > last)
      throw new UsageError(`address range '${range}' is empty or too large`);
    return { first, last };
  });
}

function readProfileName(text: string): string {
  if (!/\.(svg|cpuprofile)$/.test(text)) throw new UsageError(`profile '${text}' is neither .svg nor .cpuprofile`);
  return text;
}

function readCacheFolder(text: string): string {
  if (text === '') throw new UsageError("the folder for translations has no name; 'off' keeps none");
  return text;
}

function refuseGdb(): never {
  throw new UsageError('-g: there is no GDB server yet');
}
