import { PflashCfi01 } from '#hw/block/pflash-cfi01.ts';
import { type MachineControl, MonitorError } from './control.ts';
import { registersText } from './registers.ts';

/* What `info SUBJECT` prints. */

interface Subject {
  readonly help: string;
  print(control: MachineControl): string;
}

const hex = (value: number): string => value.toString(16).padStart(16, '0');

/** Subjects of `info`, by name. */
export const subjects: Readonly<Record<string, Subject>> = {
  block: {
    help: 'drives',
    print: ({ parts }) =>
      parts
        .blocks()
        .map(({ device, file, format, readOnly }) =>
          file === null
            ? `${device}: [not inserted]\n`
            : `${device}: ${file} (${format}${readOnly ? ', read-only' : ''})\n`,
        )
        .join('\n'),
  },
  chardev: {
    help: 'character devices',
    print: ({ parts }) =>
      parts
        .chardevs()
        .map(({ label, filename }) => `${label}: filename=${filename}\n`)
        .join(''),
  },
  mtree: { help: 'physical memory', print: memoryTree },
  network: { help: 'networks and the cards in them', print: ({ parts }) => parts.network() },
  qtree: { help: 'devices with their state', print: deviceTree },
  registers: { help: 'registers of the CPU', print: ({ machine }) => registersText(machine) },
  snapshots: {
    help: 'saved states of the machine',
    print: ({ parts }) => {
      if (!parts.snapshots) throw new MonitorError('No available block device supports snapshots');
      return parts.snapshots.list();
    },
  },
  status: { help: 'whether the machine runs', print: ({ state }) => `VM status: ${stateText(state)}\n` },
  usernet: { help: 'connections of user-mode networks', print: ({ parts }) => parts.connections() },
  version: { help: 'version of tsemu', print: ({ parts }) => `tsemu ${parts.version}\n` },
};

const stateText = (state: string): string =>
  state === 'running' || state === 'shutdown' ? state : `paused${state === 'paused' ? '' : ` (${state})`}`;

function memoryTree({ machine }: MachineControl): string {
  const ram = {
    start: machine.memory.ramStart,
    size: machine.memory.ramEnd - machine.memory.ramStart,
    name: 'mach-virt.ram',
  };
  const regions = machine.bus.regions.map(({ start, size, device }) => ({
    start,
    size,
    name: device.name,
    kind: device instanceof PflashCfi01 ? 'romd' : 'i/o',
  }));
  const rows = [...regions, { ...ram, kind: 'ram' }].sort((a, b) => a.start - b.start);
  const lines = rows.map(
    ({ start, size, name, kind }) => `  ${hex(start)}-${hex(start + size - 1)} (prio 0, ${kind}): ${name}\n`,
  );
  return `address-space: memory\n${lines.join('')}`;
}

function deviceTree({ machine }: MachineControl): string {
  const lines = ['bus: main-system-bus\n'];
  for (const device of machine.board.devices) {
    lines.push(`  dev: ${device.name}\n`);
    const state = device.save();
    if (typeof state !== 'object' || state === null) continue;
    for (const [name, value] of Object.entries(state)) lines.push(`    ${name} = ${valueText(value)}\n`);
  }
  return lines.join('');
}

/** Longest text of a value: arrays of hundreds of registers are cut. */
const longest = 100;

function valueText(value: unknown): string {
  if (typeof value === 'number')
    return Number.isInteger(value) ? `${value} (0x${(value >>> 0).toString(16)})` : String(value);
  const plain: unknown = ArrayBuffer.isView(value) ? Array.from(value as Uint8Array) : value;
  const text = JSON.stringify(plain) ?? String(plain);
  return text.length > longest ? `${text.slice(0, longest)}…` : text;
}
