import { type MachineControl, MonitorError } from './control.ts';
import { subjects } from './info.ts';
import { dumpMemory } from './memory-dump.ts';

/* The human monitor's commands, with QEMU's names. */

interface Command {
  /** What comes after the name. */
  readonly args: string;
  readonly help: string;
  /** Returns what to print; throws MonitorError. */
  run(control: MachineControl, words: readonly string[]): string | Promise<string>;
}

/** A command that takes nothing and prints nothing. */
const plain = (help: string, act: (control: MachineControl) => void): Command => ({
  args: '',
  help,
  run(control, words) {
    if (words.length > 0) throw new MonitorError('extraneous characters at the end of line');
    act(control);
    return '';
  },
});

const snapshot = (help: string, act: 'save' | 'load' | 'delete'): Command => ({
  args: 'TAG',
  help,
  async run({ parts }, [name, ...more]) {
    if (name === undefined || more.length > 0) throw new MonitorError('a tag is needed');
    if (!parts.snapshots) throw new MonitorError('No block device can accept snapshots');
    await parts.snapshots[act](name);
    return '';
  },
});

export const commands: Readonly<Record<string, Command>> = {
  cont: plain('go on', (control) => control.cont()),
  delvm: snapshot('delete a saved state of the machine', 'delete'),
  help: {
    args: '[COMMAND]',
    help: 'this list',
    run: (_, [name]) => (name === undefined ? list(commands) : list({ [name]: find(name) })),
  },
  info: {
    args: '[SUBJECT]',
    help: 'show the state of something; alone: what there is',
    run(control, [name]) {
      if (name === undefined) return infoList();
      const subject = Object.hasOwn(subjects, name) ? subjects[name] : undefined;
      if (!subject) throw new MonitorError(`unknown command: 'info ${name}'`);
      return subject.print(control);
    },
  },
  loadvm: snapshot('go on from a saved state of the machine', 'load'),
  quit: plain('end the machine', (control) => control.quit('host-qmp-quit')),
  savevm: snapshot('save the state of the machine', 'save'),
  stop: plain('let the guest stand still', (control) => control.stop()),
  system_powerdown: plain('press the power key', (control) => control.powerdown()),
  system_reset: plain('reset the machine', (control) => control.reset()),
  x: {
    args: '/FMT ADDRESS',
    help: 'dump memory at a virtual address; FMT is count, format (x d u o c) and size (b h w g)',
    run: ({ machine }, words) => dumpMemory(machine, words, false),
  },
  xp: {
    args: '/FMT ADDRESS',
    help: 'dump memory at a physical address',
    run: ({ machine }, words) => dumpMemory(machine, words, true),
  },
};

const aliases: Readonly<Record<string, string>> = { c: 'cont', q: 'quit', s: 'stop', '?': 'help' };

function find(name: string): Command {
  const full = aliases[name] ?? name;
  if (!Object.hasOwn(commands, full)) throw new MonitorError(`unknown command: '${name}'`);
  return commands[full]!;
}

const list = (table: Readonly<Record<string, Pick<Command, 'args' | 'help'>>>): string =>
  Object.entries(table)
    .map(([name, { args, help }]) => `${args === '' ? name : `${name} ${args}`} -- ${help}\n`)
    .join('');

const infoList = (): string =>
  list(Object.fromEntries(Object.entries(subjects).map(([name, { help }]) => [`info ${name}`, { args: '', help }])));

/** Names that a line may begin with, for completion. */
export const commandNames = (): readonly string[] => [
  ...Object.keys(commands),
  ...Object.keys(subjects).map((name) => `info ${name}`),
];

/** Runs a line; returns what it prints, failures too. */
export async function runCommand(control: MachineControl, line: string): Promise<string> {
  // `x/8xw` is written in one word, too.
  const [name, ...words] = line
    .trim()
    .replace(/^(xp?)\//, '$1 /')
    .split(/\s+/);
  if (name === undefined || name === '') return '';
  try {
    return await find(name).run(control, words);
  } catch (error) {
    if (error instanceof MonitorError) return `${error.message}\n`;
    throw error;
  }
}
