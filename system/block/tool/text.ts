import { noInstructions, type Snapshot } from '../qcow2/snapshots.ts';

/* Numbers and tables as qemu-img prints them. */

const units = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

/** Bytes with three digits and a unit: `1.5 MiB`. */
export function sizeText(bytes: number): string {
  let unit = 0;
  while (bytes / 1024 ** unit >= 1000 && unit < units.length - 1) unit++;
  return `${Number((bytes / 1024 ** unit).toPrecision(3))} ${units[unit]}B`;
}

const two = (value: number): string => String(value).padStart(2, '0');

function dateText(seconds: number): string {
  const date = new Date(seconds * 1000);
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-');
  return `${day} ${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')}`;
}

function clockText(nanoseconds: bigint): string {
  const milliseconds = Number(nanoseconds / 1_000_000n);
  const seconds = Math.floor(milliseconds / 1000);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60].map(two);
  return `${parts.join(':')}.${String(milliseconds % 1000).padStart(3, '0')}`;
}

/** The table of an image's snapshots, or of a machine's. */
export function snapshotTable(snapshots: readonly Snapshot[]): string {
  const row = (id: string, tag: string, size: string, date: string, clock: string, count: string): string =>
    `${id.padEnd(9)} ${tag.padEnd(16)}${size.padStart(9)}${date.padStart(20)}${clock.padStart(13)}${count.padStart(11)}\n`;
  const rows = snapshots.map(({ id, name, stateBytes, date, clock, instructions }) => {
    const count = instructions === noInstructions ? '' : String(instructions);
    return row(id, name, sizeText(stateBytes), dateText(date[0]), clockText(clock), count);
  });
  return row('ID', 'TAG', 'VM SIZE', 'DATE', 'VM CLOCK', 'ICOUNT') + rows.join('');
}
