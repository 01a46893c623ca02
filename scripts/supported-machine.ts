// Writes docs/supported/machine.md from the tables of machine mode; with --check only compares.
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { cpus, machines, options } from '#src/system-options.ts';
import { driveProperties } from '#system/block/drives.ts';
import { chardevKinds } from '#system/char/chardevs.ts';
import { deviceTypes, portTypes } from '#system/devices/table.ts';
import { map } from '#system/machines/virt.ts';
import { commands } from '#system/monitor/commands.ts';
import { subjects } from '#system/monitor/info.ts';
import { qmpCommands } from '#system/monitor/qmp-commands.ts';
import { netdevProperties } from '#system/net/options.ts';
import type { Properties } from '#system/option-properties.ts';

/** Where the document stands. */
export const machineDocument: string = resolve(import.meta.dirname, '../docs/supported/machine.md');

const leftOut: readonly (readonly [what: string, why: string])[] = [
  ['PCI and what is plugged into it (`virtio-…-pci`, e1000, USB)', 'devices are behind virtio-mmio'],
  [
    'Security and virtualization extensions, GICv3',
    '`-M virt,secure=on`, `virtualization=on` and `gic-version=3` are refused',
  ],
  ['Graphics, sound, keyboard and mouse', 'the console is the serial line or virtio-console'],
  [
    'Hotplug (`device_add`, `netdev_add`), migration',
    'what a machine has, it has from the start; `savevm` keeps its state',
  ],
  ['Performance counters, hardware breakpoints and watchpoints', 'their registers are there, and do nothing'],
  ['Other kinds of `-netdev`', 'they take privileges; user-mode networking does not'],
];

const cell = (text: string): string => text.replaceAll('|', '\\|');
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string[] => [
  '',
  `| ${head.join(' | ')} |`,
  `|${'---|'.repeat(head.length)}`,
  ...rows.map((row) => `| ${row.map(cell).join(' | ')} |`),
  '',
];
const helps = (entries: Readonly<Record<string, { readonly help: string }>>): string[][] =>
  Object.entries(entries).map(([name, { help }]) => [`\`${name}\``, help]);
const properties = (known: Properties): string[][] =>
  Object.entries(known).map(([name, { type, help }]) => [`\`${name}\``, type, help]);

const hex = (value: number): string => `0x${value.toString(16).padStart(8, '0')}`;

/** The document's text. */
export function supportedMachine(): string {
  const places = Object.entries(map).map(([name, place]) =>
    typeof place === 'number' ? [name, hex(place), ''] : [name, hex(place[0]), hex(place[1])],
  );
  const devices = Object.entries({ ...deviceTypes, ...portTypes }).map(([name, { help, properties: own }]) => [
    `\`${name}\``,
    help,
    Object.keys(own)
      .map((property) => `\`${property}\``)
      .join(', '),
  ]);
  return [
    '# Machine mode: options, devices, commands',
    '',
    'Written by `node scripts/supported-machine.ts` from the tables that machine mode itself reads; do not edit. Names and',
    'meanings are QEMU’s. `-device TYPE,help` tells what a property is.',
    '',
    '## Options',
    ...table(
      ['option', 'value', 'what it does'],
      Object.entries(options).map(([name, { value = '', help }]) => [`\`-${name}\``, value, help]),
    ),
    '## Machines and CPUs',
    ...table(
      ['name', 'what it is'],
      [...Object.entries(machines), ...Object.entries(cpus)].map(([name, help]) => [name, help]),
    ),
    'Its physical memory: where each thing begins, and how large it is (one of each, where there are several).',
    ...table(['what', 'address', 'bytes'], places),
    '## Devices',
    ...table(['device', 'what it is', 'properties beside `id` and `bus`'], devices),
    '## `-drive`',
    ...table(['property', 'value', 'meaning'], properties(driveProperties)),
    '## `-netdev user`',
    ...table(['property', 'value', 'meaning'], properties(netdevProperties)),
    '## `-chardev`',
    ...table(
      ['kind', 'leads to'],
      Object.entries(chardevKinds).map(([name, help]) => [`\`${name}\``, help]),
    ),
    '## Commands of the human monitor',
    ...table(
      ['command', 'what it does'],
      [...helps(commands), ...Object.entries(subjects).map(([name, { help }]) => [`\`info ${name}\``, help])],
    ),
    '## Commands of QMP',
    '',
    Object.keys(qmpCommands)
      .map((name) => `\`${name}\``)
      .join(', '),
    '',
    '## Left out',
    ...table(['what', 'why'], leftOut),
  ]
    .join('\n')
    .trimEnd()
    .concat('\n');
}

if (import.meta.main) {
  const text = supportedMachine();
  if (!process.argv.includes('--check')) writeFileSync(machineDocument, text);
  else process.exitCode = readFileSync(machineDocument, 'utf8') === text ? 0 : 1;
}
