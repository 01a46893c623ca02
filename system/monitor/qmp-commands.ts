import { runCommand } from './commands.ts';
import type { MachineControl } from './control.ts';

/* QMP's commands (QEMU QMP Reference Manual): names, arguments and results as there. */

/** An error that a client is told of, by one of QMP's classes. */
export class QmpError extends Error {
  readonly errorClass: 'GenericError' | 'CommandNotFound' | 'DeviceNotFound';

  constructor(errorClass: QmpError['errorClass'], message: string) {
    super(message);
    this.errorClass = errorClass;
  }
}

type Type = 'string' | 'array';
type Arguments = Readonly<Record<string, unknown>>;

interface QmpCommand {
  /** Arguments; those with `?` may be left out. */
  readonly args?: Readonly<Record<string, Type | `${Type}?`>>;
  run(control: MachineControl, args: Arguments): unknown;
}

/** A command that returns nothing. */
const plain = (act: (control: MachineControl) => void): QmpCommand => ({
  run(control) {
    act(control);
    return {};
  },
});

/** The version of ours where clients look for QEMU's. */
export function versionInfo(version: string): unknown {
  const [major = 0, minor = 0, micro = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  return { qemu: { major, minor, micro }, package: `tsemu ${version}` };
}

export const qmpCommands: Readonly<Record<string, QmpCommand>> = {
  cont: plain((control) => control.cont()),
  'human-monitor-command': {
    args: { 'command-line': 'string' },
    run: async (control, args) => (await runCommand(control, args['command-line'] as string)).replaceAll('\n', '\r\n'),
  },
  qmp_capabilities: {
    args: { enable: 'array?' },
    run() {
      throw new QmpError('CommandNotFound', 'Capabilities negotiation is already complete, command ignored');
    },
  },
  'query-block': {
    run: ({ parts }) =>
      parts.blocks().map(({ device, file, format, readOnly }) => ({
        device,
        qdev: '',
        type: 'unknown',
        locked: false,
        removable: false,
        ...(file !== null && { inserted: inserted(file, format, readOnly) }),
      })),
  },
  'query-chardev': {
    run: ({ parts }) =>
      parts.chardevs().map(({ label, filename, open }) => ({ label, filename, 'frontend-open': open })),
  },
  'query-commands': { run: () => Object.keys(qmpCommands).map((name) => ({ name })) },
  'query-status': {
    run: ({ state, running }) => ({ status: state, singlestep: false, running }),
  },
  'query-version': { run: ({ parts }) => versionInfo(parts.version) },
  quit: plain((control) => control.quit('host-qmp-quit')),
  stop: plain((control) => control.stop()),
  system_powerdown: plain((control) => control.powerdown()),
  system_reset: plain((control) => control.reset()),
};

const inserted = (file: string, format: string, ro: boolean): unknown => ({
  file,
  ro,
  drv: format,
  encrypted: false,
  detect_zeroes: 'off',
  backing_file_depth: 0,
  ...Object.fromEntries(['bps', 'bps_rd', 'bps_wr', 'iops', 'iops_rd', 'iops_wr'].map((limit) => [limit, 0])),
  cache: { writeback: true, direct: false, 'no-flush': false },
  write_threshold: 0,
});

/** Throws QmpError unless `args` are those of `command`. */
export function checkArguments({ args: expected = {} }: QmpCommand, args: Arguments): void {
  for (const name of Object.keys(args)) {
    if (!Object.hasOwn(expected, name)) throw new QmpError('GenericError', `Parameter '${name}' is unexpected`);
  }
  for (const [name, kind] of Object.entries(expected)) {
    const value = args[name];
    const type = kind.replace('?', '');
    if (value === undefined && kind.endsWith('?')) continue;
    if (value === undefined) throw new QmpError('GenericError', `Parameter '${name}' is missing`);
    const fits = type === 'array' ? Array.isArray(value) : typeof value === type;
    if (!fits) throw new QmpError('GenericError', `Invalid parameter type for '${name}', expected: ${type}`);
  }
}
