// The command line of machine mode, with QEMU's names.
import { chardevKinds } from '#system/char/chardevs.ts';
import { deviceHelp } from '#system/devices/table.ts';
import { netdevHelp } from '#system/net/options.ts';
import { OptionString } from '#system/option-string.ts';
import { userCacheFolder } from './cache-folder.ts';
import { UsageError } from './option-table.ts';

/** Everything about one machine. */
export interface SystemConfig {
  readonly command: string;
  readonly machine: 'virt';
  readonly cpu: SystemCpu;
  /** Number of CPUs. */
  readonly cpus: number;
  /** Bytes of RAM. */
  readonly ramSize: number;
  readonly kernel: string | null;
  /** Firmware, for the first flash bank. */
  readonly bios: string | null;
  readonly initrd: string | null;
  readonly append: string;
  readonly dtb: string | null;
  /** Write the device tree there and end. */
  readonly dumpdtb: string | null;
  /** Values of `-chardev`. */
  readonly chardevs: readonly string[];
  /** Values of `-netdev` and `-nic`. */
  readonly netdevs: readonly string[];
  readonly nics: readonly string[];
  readonly fwCfg: readonly string[];
  readonly serial: string;
  /** `none`, or where the human monitor is. */
  readonly monitor: string;
  /** Where gdb may connect to, or null. */
  readonly gdb: string | null;
  readonly qmp: readonly string[];
  readonly mon: readonly string[];
  /** The texts of `-device` options, in order. */
  readonly devices: readonly string[];
  /** The texts of `-drive` options, in order; `-hda FILE` is one of them. */
  readonly drives: readonly string[];
  /** Disks are not written to: all changes go to temporary files. */
  readonly snapshot: boolean;
  /** The texts of `-fsdev` and of `-virtfs`. */
  readonly fsdevs: readonly string[];
  readonly virtfs: readonly string[];
  readonly reboot: boolean;
  /** Switched off, the machine stands still. */
  readonly stay: boolean;
  /** 2^icount nanoseconds an instruction, or null for real time. */
  readonly icount: number | null;
  /** Seconds since 1970 when the machine is switched on. */
  readonly startTime: number;
  /** The real-time clock goes by the host's time. */
  readonly hostTime: boolean;
  readonly tier: 'auto' | 'interp';
  /** Where translations are kept from run to run; null: nowhere. */
  readonly cache: string | null;
  /** The guest does not begin to run by itself. */
  readonly startStopped: boolean;
  /** Name of the state to go on from. */
  readonly loadvm: string | null;
  /** Folder of saved states. */
  readonly vmstate: string | null;
  readonly log: ReadonlySet<SystemLogItem>;
  readonly logFile: string | null;
  readonly stats: boolean;
}

export type SystemInvocation =
  | { readonly kind: 'run'; readonly config: SystemConfig }
  | { readonly kind: 'print'; readonly text: string };

export const machines = {
  virt: 'a machine for virtual hardware, like QEMU’s: GICv2, generic timer, PL011, virtio-mmio',
};
export const cpus = { 'cortex-a15': 'ARMv7-A', 'cortex-a7': 'ARMv7-A' };
export type SystemCpu = keyof typeof cpus;
const logItems = {
  int: 'exceptions and interrupts',
  unimp: 'registers and addresses the guest uses that are not there',
};
export type SystemLogItem = keyof typeof logItems;

export interface Option {
  /** Name of the value, if it takes one. */
  readonly value?: string;
  readonly help: string;
}

/** By name. */
export const options: Readonly<Record<string, Option>> = {
  M: { value: 'MACHINE', help: 'the machine; help lists them' },
  machine: { value: 'MACHINE', help: 'the same' },
  cpu: { value: 'MODEL', help: 'the CPU; help lists them (default cortex-a15)' },
  m: { value: 'SIZE', help: 'memory in MiB, or with K, M or G (default 128)' },
  smp: { value: 'N', help: 'number of CPUs, 1 to 8: they take turns' },
  kernel: { value: 'FILE', help: 'kernel to boot: zImage, Image or ELF' },
  bios: { value: 'FILE', help: 'firmware to boot: it begins at address 0, in flash' },
  initrd: { value: 'FILE', help: 'initial RAM disk' },
  append: { value: 'WORDS', help: 'the kernel’s command line' },
  dtb: { value: 'FILE', help: 'device tree instead of the machine’s own' },
  fw_cfg: { value: 'NAME,…', help: 'an item the guest finds in fw_cfg: file=F or string=TEXT' },
  serial: {
    value: 'DEV',
    help: 'the serial line: stdio, pty, null, file:F, tcp:HOST:PORT[,server][,nowait], unix:F[,…], mon:DEV',
  },
  monitor: { value: 'DEV', help: 'a monitor to control the machine with, on such a device' },
  qmp: { value: 'DEV', help: 'a monitor for programs (QMP), on such a device' },
  mon: { value: 'ID[,…]', help: 'a monitor on a -chardev: mode=readline|control, pretty=on|off' },
  chardev: { value: 'KIND,id=ID[,…]', help: 'a character device, for chardev:ID; help lists the kinds' },
  netdev: {
    value: 'user,id=ID[,…]',
    help: 'a network, for -device virtio-net-device,netdev=ID; help lists its options',
  },
  nic: { value: 'user[,…]', help: 'a network with its card: the options of both, or none' },
  nographic: { help: 'serial line and monitor on the terminal: C-a c switches, C-a x ends, C-a h helps' },
  device: { value: 'TYPE,…', help: 'a device; help lists them, TYPE,help its properties' },
  drive: {
    value: 'file=FILE,…',
    help: 'a disk: format=raw|qcow2, if=virtio|none|pflash, id=, readonly=on, snapshot=on, cache=, discard=',
  },
  hda: { value: 'FILE', help: 'the first disk; also -hdb, -hdc, -hdd' },
  hdb: { value: 'FILE', help: 'the second disk' },
  hdc: { value: 'FILE', help: 'the third disk' },
  hdd: { value: 'FILE', help: 'the fourth disk' },
  fsdev: {
    value: 'local,id=ID,…',
    help: 'a folder of the host, for virtio-9p-device: path=, security_model=none, readonly=on',
  },
  virtfs: { value: 'local,…', help: 'the same with its device: path=, mount_tag=, security_model=none, readonly=on' },
  snapshot: { help: 'write to temporary files instead of disk images' },
  'no-reboot': { help: 'end where the guest resets' },
  'no-shutdown': { help: 'stand still where the guest switches off' },
  gdb: { value: 'DEV', help: 'wait for gdb on such a device: tcp::1234, unix:F' },
  s: { help: 'the same as -gdb tcp::1234' },
  S: { help: 'the guest waits for cont of a monitor' },
  loadvm: { value: 'TAG', help: 'go on from a saved state of the machine' },
  vmstate: { value: 'FOLDER', help: 'where savevm keeps states, if no disk takes them' },
  icount: { value: 'shift=N', help: 'guest time by instructions, 2^N nanoseconds each: the same run every time' },
  rtc: {
    value: 'base=TIME,clock=host|rt|vm',
    help: 'utc, localtime, or a time such as 2026-11-21T12:00:00 (with -icount: 1970, clock=vm)',
  },
  tier: { value: 'TIER', help: 'auto, or interp: nothing is compiled' },
  cache: { value: 'FOLDER', help: 'keep translations there for the next run, or nowhere: off' },
  d: { value: 'ITEMS', help: 'log: help lists the items' },
  D: { value: 'FILE', help: 'log to a file instead of stderr' },
  stats: { help: 'print counters at the end' },
  help: { help: 'this text' },
};

/** The options of a command line. */
class Given {
  private readonly values = new Map<string, string[]>();

  add(name: string, value: string): void {
    const values = this.values.get(name);
    if (values) values.push(value);
    else this.values.set(name, [value]);
  }

  has(name: string): boolean {
    return this.values.has(name);
  }

  /** The last value wins. */
  get(name: string): string | undefined {
    return this.values.get(name)?.at(-1);
  }

  /** All values of an option that may be given several times. */
  all(name: string): readonly string[] {
    return this.values.get(name) ?? [];
  }
}

const list = (title: string, items: Readonly<Record<string, string>>): string =>
  `${title}:\n${Object.entries(items)
    .map(([name, help]) => `  ${name.padEnd(14)}${help}\n`)
    .join('')}`;

/** Reads the arguments after `--system`. Throws UsageError. */
export function readSystemCommandLine(command: string, args: readonly string[]): SystemInvocation {
  const given = new Given();
  for (let at = 0; at < args.length; at++) {
    const word = args[at];
    const [, name, text] = /^--?([^=]+)(?:=(.*))?$/s.exec(word) ?? [];
    if (name === undefined) throw new UsageError(`unexpected '${word}': a machine takes options only`);
    const option = Object.hasOwn(options, name) ? options[name] : undefined;
    if (option === undefined) throw new UsageError(`unknown option '${word}'; see --system --help`);
    if (option.value === undefined) {
      if (text !== undefined) throw new UsageError(`option '-${name}' takes no value`);
      given.add(name, '');
      continue;
    }
    if (text === undefined && at + 1 === args.length) throw new UsageError(`option '${word}' needs a value`);
    given.add(name, text ?? args[++at]);
  }
  if (given.has('help')) return { kind: 'print', text: help(command) };
  const machineText = given.get('M') ?? given.get('machine');
  if (machineText === 'help' || machineText === '?') return { kind: 'print', text: list('Machines', machines) };
  if (given.get('cpu') === 'help') return { kind: 'print', text: list('CPU models', cpus) };
  if (given.get('netdev') === 'help' || given.get('netdev') === 'user,help')
    return { kind: 'print', text: netdevHelp() };
  if (given.get('chardev') === 'help') return { kind: 'print', text: list('Character devices', chardevKinds) };
  if (given.get('d') === 'help') return { kind: 'print', text: list('Log items (several with commas)', logItems) };
  const devices = given.all('device');
  const deviceText = devices.map(deviceHelp).find((text) => text !== null);
  if (deviceText !== undefined) return { kind: 'print', text: deviceText };
  if (machineText === undefined) throw new UsageError('no machine (-M); -M help lists them');
  const [machine, ...properties] = machineText.split(',');
  oneOf(machine, machines, 'machine');
  let dumpdtb: string | null = null;
  for (const property of properties) {
    const [, path] = /^dumpdtb=(.+)$/.exec(property) ?? [];
    if (path === undefined) throw new UsageError(`-M ${machine}: unknown property '${property}'`);
    dumpdtb = path;
  }
  return {
    kind: 'run',
    config: {
      command,
      machine: 'virt',
      cpu: oneOf(given.get('cpu') ?? 'cortex-a15', cpus, 'CPU'),
      cpus: cpuCount(given.get('smp') ?? '1'),
      ramSize: memorySize(given.get('m') ?? '128', given.get('smp')),
      kernel: given.get('kernel') ?? null,
      bios: given.get('bios') ?? null,
      initrd: given.get('initrd') ?? null,
      append: given.get('append') ?? '',
      dtb: given.get('dtb') ?? null,
      dumpdtb,
      chardevs: given.all('chardev'),
      fwCfg: given.all('fw_cfg'),
      netdevs: given.all('netdev'),
      nics: given.all('nic'),
      ...terminalUsers(given),
      gdb: given.get('gdb') ?? (given.has('s') ? 'tcp::1234' : null),
      qmp: given.all('qmp'),
      mon: given.all('mon'),
      devices,
      drives: [
        ...hardDisks.flatMap((name) => given.all(name).map((file) => `file=${file.replaceAll(',', ',,')}`)),
        ...given.all('drive'),
      ],
      snapshot: given.has('snapshot'),
      fsdevs: given.all('fsdev'),
      virtfs: given.all('virtfs'),
      reboot: !given.has('no-reboot'),
      stay: given.has('no-shutdown'),
      icount: instructionShift(given.get('icount')),
      ...realTimeClock(given.get('rtc') ?? '', given.has('icount')),
      tier: oneOf(given.get('tier') ?? 'auto', { auto: '', interp: '' }, 'tier'),
      cache: cacheFolder(given.get('cache')),
      startStopped: given.has('S'),
      loadvm: given.get('loadvm') ?? null,
      vmstate: given.get('vmstate') ?? null,
      log: new Set(
        (given.get('d') ?? '')
          .split(',')
          .filter(Boolean)
          .map((item) => oneOf(item, logItems, 'log item')),
      ),
      logFile: given.get('D') ?? null,
      stats: given.has('stats'),
    },
  };
}

const hardDisks = ['hda', 'hdb', 'hdc', 'hdd'];
/** Who has the terminal if the command line does not say: the serial line, with `-nographic` and a monitor. */
function terminalUsers(given: Given): Pick<SystemConfig, 'serial' | 'monitor'> {
  if (given.all('serial').length > 1) throw new UsageError('-serial: this machine has one serial line');
  const [serial, monitor] = [given.get('serial'), given.get('monitor')];
  const nographic = given.has('nographic');
  if (nographic && serial === undefined && monitor === undefined) return { serial: 'mon:stdio', monitor: 'none' };
  const shared = serial?.startsWith('mon:') === true;
  return {
    serial: serial ?? (monitor === 'stdio' && !nographic ? 'null' : 'stdio'),
    monitor: monitor ?? (nographic && !shared ? 'stdio' : 'none'),
  };
}

function oneOf<T extends Readonly<Record<string, string>>>(text: string, known: T, what: string): keyof T & string {
  if (Object.hasOwn(known, text)) return text;
  throw new UsageError(`unknown ${what} '${text}': ${Object.keys(known).join(', ')}`);
}

const units: Readonly<Record<string, number>> = { '': 2 ** 20, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };
const smallestRam = 16 * 2 ** 20;

/** Memory below the engine's own (`accel/translation-tables.ts`). */
const largestRam = 3000;
/** MiB that each further CPU takes of that for its translations. */
const ramPerCpu = 64;

function memorySize(text: string, smp = '1'): number {
  const [, digits, unit] = /^(?:size=)?(\d+)([KMG]?)B?$/i.exec(text) ?? [];
  if (digits === undefined) throw new UsageError(`invalid memory size '${text}'`);
  const bytes = Number(digits) * units[unit.toUpperCase()];
  const largest = largestRam - ramPerCpu * (cpuCount(smp) - 1);
  if (bytes < smallestRam || bytes > largest * 2 ** 20 || bytes % 65536 !== 0) {
    throw new UsageError(`-m ${text}: from 16M to ${largest}M`);
  }
  return bytes;
}

/**
 * `-rtc [base=utc|localtime|TIME][,clock=host|rt|vm]`. Without it it is now, by the host's time; a run that is to be
 * repeated begins with the epoch and goes by the machine's.
 */
function realTimeClock(text: string, repeatable: boolean): Pick<SystemConfig, 'startTime' | 'hostTime'> {
  const options = new OptionString('-rtc', text, false);
  const base = options.get('base') ?? (repeatable ? '1970-01-01' : 'utc');
  const clock = options.get('clock') ?? (repeatable ? 'vm' : 'host');
  if (text !== '') options.finish();
  if (clock !== 'host' && clock !== 'rt' && clock !== 'vm') throw options.wrong('clock: expected host|rt|vm');
  const start = base === 'utc' ? Date.now() : base === 'localtime' ? localTime() : readTime(base);
  if (Number.isNaN(start)) throw options.wrong('base: expected utc|localtime|YYYY-MM-DD|YYYY-MM-DDTHH:MM:SS');
  return { startTime: Math.floor(start / 1000), hostTime: clock !== 'vm' };
}

/** What clocks on the wall show, as if that were UTC; milliseconds. */
const localTime = (): number => Date.now() - new Date().getTimezoneOffset() * 60_000;

/** A date or a time of day in UTC, milliseconds; NaN if it is none. */
const readTime = (text: string): number =>
  /^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d)?$/.test(text) ? Date.parse(text.includes('T') ? `${text}Z` : text) : Number.NaN;

const mostCpus = 8;

/** `-smp N` or `-smp cpus=N`. */
function cpuCount(text: string): number {
  const [, digits] = /^(?:cpus=)?(\d+)$/.exec(text) ?? [];
  const count = Number(digits);
  if (digits === undefined || count < 1 || count > mostCpus) throw new UsageError(`-smp ${text}: 1 to ${mostCpus}`);
  return count;
}

/** `--cache`, as for programs. */
function cacheFolder(text = process.env.TSEMU_CACHE_DIR): string | null {
  return text === 'off' ? null : (text ?? userCacheFolder(process.env));
}

function instructionShift(text: string | undefined): number | null {
  if (text === undefined) return null;
  const [, digits] = /^(?:shift=)?(\d+)$/.exec(text) ?? [];
  if (digits === undefined || Number(digits) > 10) throw new UsageError(`-icount ${text}: shift=0 to shift=10`);
  return Number(digits);
}

function help(command: string): string {
  const rows = Object.entries(options).map(([name, { value, help: text }]) => {
    const left = `  -${name}${value === undefined ? '' : ` ${value}`}`;
    return `${left.padEnd(22)} ${text}\n`;
  });
  return `Usage: ${command} --system -M virt -kernel FILE [options]\n\nRuns a whole machine.\n\n${rows.join('')}`;
}
