// From a command line and an environment to one typed configuration.

import type { TraceForm } from '#syscalls/tracer.ts';
import { userCacheFolder } from './cache-folder.ts';
import {
  type AddressRange,
  CPU_MODELS,
  findOption,
  LOG_ITEMS,
  type LogItem,
  OPTION_ROWS,
  type OptionName,
  type OptionValues,
  type Protection,
  type Tier,
  takesValue,
  UsageError,
} from './option-table.ts';

export { type AddressRange, type LogItem, type Tier, UsageError } from './option-table.ts';

/** Everything that `runUser` needs to know about one run. */
export interface UserConfig {
  /** The name that tsemu was called by, for messages. */
  readonly command: string;
  /** The guest architecture that the command stands for, or null to take it from the ELF header. */
  readonly arch: string | null;
  /** The program as the user wrote it: a path, never searched in PATH. */
  readonly program: string;
  /** The guest's argv, argv[0] included. */
  readonly argv: readonly string[];
  /** The guest's environment, as `NAME=value` lines. */
  readonly env: readonly string[];
  /** Folder to look in first for the guest's files (-L), or null. */
  readonly ldPrefix: string | null;
  /** --root: the guest's "/", or null. */
  readonly root: string | null;
  readonly sandbox: boolean;
  /** --ro and --rw, in order. */
  readonly shares: readonly { readonly text: string; readonly readOnly: boolean }[];
  /** --allow-net and --deny-net; null for neither. */
  readonly network: boolean | null;
  /** Most memory of all guest processes, in bytes, or null. */
  readonly memory: number | null;
  /** Seconds of CPU time after which the guest is killed, or null. */
  readonly cpuTime: number | null;
  /** Main stack, in bytes. */
  readonly stackSize: number;
  /** A model of at least one architecture. */
  readonly cpu: string;
  /** Kernel release for uname, or null for ours. */
  readonly uname: string | null;
  /** End of the guest's address space in bytes, or null for the whole of it. */
  readonly reservedVa: number | null;
  /** Seed of all randomness the guest sees, or null for real randomness. */
  readonly seed: bigint | null;
  readonly oneInsnPerTb: boolean;
  readonly tier: Tier;
  /** Runs of a block before its region is compiled, with tier `region`. */
  readonly hot: number;
  readonly protection: Protection;
  /** Folder to keep translations in, or null. */
  readonly cache: string | null;
  /** What to log; `strace` is here too, whichever option asked for it. */
  readonly log: ReadonlySet<LogItem>;
  /** How system calls are logged. */
  readonly strace: TraceForm;
  /** File for the log, or null for stderr. */
  readonly logFile: string | null;
  /** Code addresses that the log is limited to; empty for all. */
  readonly logFilter: readonly AddressRange[];
  /** Print counters at the end. */
  readonly stats: boolean;
  /** File for the counters as JSON, or null. */
  readonly statsFile: string | null;
  /** File for a profile, its ending the format: .svg or .cpuprofile; or null. */
  readonly profile: string | null;
}

/** What to do: run a program, or print a text and end. */
export type Invocation =
  | { readonly kind: 'run'; readonly config: UserConfig }
  | { readonly kind: 'print'; readonly text: string };

export type Environment = Readonly<Record<string, string | undefined>>;

/** One option as it was given, in the environment or on the command line. */
export interface Given {
  readonly name: OptionName;
  /** Its text; empty for a switch. */
  readonly text: string;
}

/**
 * Reads the arguments of a user-mode command (those after its own name).
 * Options end at the first word that is none: that is the program, and all after it is the guest's.
 * Throws UsageError.
 */
export async function readCommandLine(command: string, args: readonly string[], env: Environment): Promise<Invocation> {
  const given = fromEnvironment(env);
  const programAt = takeOptions(args, given);
  const values = valuesOf(given);

  // Loading yargs costs more than running a small program.
  if (values.help) return { kind: 'print', text: await (await import('./options-help.ts')).helpText(command) };
  if (values.version) return { kind: 'print', text: await versionText(command) };
  if (values.cpu === 'help') return { kind: 'print', text: modelList(command) };
  if (values.d === 'help') return { kind: 'print', text: list('Log items (several with commas, or all)', LOG_ITEMS) };
  if (programAt === args.length) throw new UsageError(`no program to run; see ${command} --help`);

  const program = args[programAt];
  const form = values['strace-count'] ? 'count' : values['strace-json'] ? 'json' : 'lines';
  const traced = values.strace || form !== 'lines';
  return {
    kind: 'run',
    config: {
      command,
      arch: command.startsWith('tsemu-') ? command.slice('tsemu-'.length) : null,
      program,
      argv: [values.argv0 ?? program, ...args.slice(programAt + 1)],
      env: guestEnvironment(env, given),
      ldPrefix: values.L ?? null,
      root: values.root ?? null,
      sandbox: values.sandbox ?? false,
      shares: given.flatMap(({ name, text }) =>
        name === 'ro' || name === 'rw' ? [{ text, readOnly: name === 'ro' }] : [],
      ),
      network: networkOf(given),
      memory: values.memory ?? null,
      cpuTime: values['cpu-time'] ?? null,
      stackSize: values.s ?? 8 * 2 ** 20,
      cpu: values.cpu ?? 'max',
      uname: values.r ?? null,
      reservedVa: values.R ?? null,
      seed: values.seed ?? null,
      oneInsnPerTb: values['one-insn-per-tb'] ?? false,
      tier: values.tier ?? 'auto',
      hot: values.hot ?? 1,
      protection: values.protection ?? 'auto',
      cache: values.cache === 'off' ? null : (values.cache ?? userCacheFolder(env)),
      log: new Set<LogItem>([...(values.d ?? []), ...(traced ? (['strace'] as const) : [])]),
      strace: form,
      logFile: values.D ?? null,
      logFilter: values.dfilter ?? [],
      stats: values.stats ?? false,
      statsFile: values['stats-json'] ?? null,
      profile: values.profile ?? null,
    },
  };
}

/** Of --allow-net and --deny-net the last counts. */
function networkOf(given: readonly Given[]): boolean | null {
  const last = given.findLast(({ name }) => name === 'allow-net' || name === 'deny-net');
  return last === undefined ? null : last.name === 'allow-net';
}

function fromEnvironment(env: Environment): Given[] {
  const given: Given[] = [];
  for (const [name, row] of OPTION_ROWS) {
    const text = row.env === undefined ? undefined : env[row.env];
    if (text !== undefined) given.push({ name, text: takesValue(name) ? text : '' });
  }
  return given;
}

/** Appends the options that `args` starts with to `given`; returns the index of the first word after them. */
function takeOptions(args: readonly string[], given: Given[]): number {
  let at = 0;
  while (at < args.length && args[at].startsWith('-')) {
    const word = args[at++];
    if (word === '--') break;
    const [, spelling, text] = /^--?([^=]*)(?:=(.*))?$/s.exec(word) as RegExpExecArray;
    const name = findOption(spelling);
    if (name === undefined) throw new UsageError(`unknown option '${word}'; see --help`);
    if (!takesValue(name)) {
      if (text !== undefined) throw new UsageError(`option '-${spelling}' takes no value`);
      given.push({ name, text: '' });
      continue;
    }
    if (text === undefined && at === args.length) throw new UsageError(`option '${word}' needs a value`);
    given.push({ name, text: text ?? args[at++] });
  }
  return at;
}

/** The typed values of the options given; of one given twice, the last. Throws UsageError. */
function valuesOf(given: readonly Given[]): OptionValues {
  const texts = new Map(given.map(({ name, text }) => [name, text]));
  const values: Record<string, unknown> = {};
  for (const [name, row] of OPTION_ROWS) {
    const text = texts.get(name);
    if (text !== undefined) values[name] = row.read === undefined ? true : row.read(text);
  }
  return values as OptionValues;
}

/** The host's environment with the -E and -U given applied in their order, so that the last one wins. */
function guestEnvironment(env: Environment, given: readonly Given[]): string[] {
  const guest = new Map(Object.entries(env).filter(([, value]) => value !== undefined));
  for (const { name, text } of given) {
    if (name !== 'E' && name !== 'U') continue;
    for (const item of text.split(',')) {
      const equals = item.indexOf('=');
      if (name === 'U') guest.delete(item);
      else guest.set(item.slice(0, equals), item.slice(equals + 1));
    }
  }
  return [...guest].map(([name, value]) => `${name}=${value}`);
}

async function versionText(command: string): Promise<string> {
  const { default: manifest } = await import('#package', { with: { type: 'json' } });
  return `${command} ${manifest.version} (Node.js ${process.version})\n`;
}

/** The models that the command can run; of all architectures, if it looks into the file for its own. */
function modelList(command: string): string {
  return Object.entries(CPU_MODELS)
    .filter(([arch]) => command === 'tsemu' || command === `tsemu-${arch}`)
    .map(([arch, models]) => list(`CPU models of ${arch}`, models))
    .join('\n');
}

function list(title: string, items: Readonly<Record<string, string>>): string {
  const lines = Object.entries(items).map(([name, help]) => `  ${name.padEnd(14)}${help}\n`);
  return `${title}:\n${lines.join('')}`;
}
