import { deserialize, serialize } from 'node:v8';
import { crc32, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { Machine } from './machine.ts';
import { map } from './machines/virt.ts';

/*
 * A machine's state as bytes: magic, the length of the head, the CRC-32 of what follows (u32, little-endian), the head, then the pages of RAM
 * and flash that are not zero, compressed. The head is what `node:v8` makes of plain data.
 */

/** A state that is none, or of another machine. */
export class StateError extends Error {}

const magic = new TextEncoder().encode('tsemuvm2');
const headStart = magic.length + 8;
const pageBytes = 4096;

/** What the state of a machine must fit. */
interface Shape {
  readonly ramSize: number;
  readonly cpuModel: string;
  readonly cpus: number;
  readonly devices: readonly string[];
}

interface Head {
  readonly shape: Shape;
  readonly clock: number;
  readonly current: number;
  readonly cpus: ReturnType<Machine['cpus'][number]['save']>[];
  readonly timers: ReturnType<Machine['board']['timers'][number]['save']>[];
  readonly devices: unknown[];
  /** Pages of RAM and flash that follow, by physical number, as [first, count]. */
  readonly pages: readonly (readonly [number, number])[];
}

/** Memory that has to be kept, from a physical address on. */
interface Span {
  readonly start: number;
  readonly bytes: Uint8Array;
}

const ramOf = ({ memory }: Machine): Span => ({ start: map.ram, bytes: memory.ram(map.ram, memory.ramBytes)! });
/** Flash that holds something, and RAM. */
const spansOf = (machine: Machine): Span[] => [
  ...machine.board.flash.filter(({ used }) => used).map(({ memory }) => memory),
  ramOf(machine),
];

function shapeOf({ memory, board, cpus, cpuModel }: Machine): Shape {
  const devices = board.devices.map(({ name }) => name);
  return { ramSize: memory.ramBytes, cpuModel, cpus: cpus.length, devices };
}

/** The state of a machine that stands between two instructions. */
export function saveState(machine: Machine): Uint8Array {
  const spans = spansOf(machine);
  const pages = spans.flatMap(usedPages);
  const head: Head = {
    shape: shapeOf(machine),
    clock: machine.clock.now(),
    current: machine.current.index,
    cpus: machine.cpus.map((cpu) => cpu.save()),
    timers: machine.board.timers.map((timer) => timer.save()),
    devices: machine.board.devices.map((device) => device.save()),
    pages,
  };
  const headBytes = serialize(head);
  // Compression takes no shared memory.
  const content = new Uint8Array(pages.reduce((sum, [, count]) => sum + count, 0) * pageBytes);
  let at = 0;
  for (const [first, count] of pages) {
    const { start, bytes } = spans.findLast((span) => span.start <= first * pageBytes)!;
    content.set(bytes.subarray(first * pageBytes - start, (first + count) * pageBytes - start), at);
    at += count * pageBytes;
  }
  const compressed = zstdCompressSync(content);
  const whole = new Uint8Array(headStart + headBytes.length + compressed.length);
  whole.set(magic);
  whole.set(headBytes, headStart);
  whole.set(compressed, headStart + headBytes.length);
  const view = new DataView(whole.buffer);
  view.setUint32(magic.length, headBytes.length, true);
  view.setUint32(magic.length + 4, crc32(whole.subarray(headStart)), true);
  return whole;
}

/** Puts a machine into a state. Throws StateError, with the machine as it was. */
export function loadState(machine: Machine, bytes: Uint8Array): void {
  const { head, content } = decode(bytes);
  const shape = shapeOf(machine);
  for (const name of ['ramSize', 'cpuModel', 'cpus', 'devices'] as const) {
    const [had, has] = [String(head.shape[name]), String(shape[name])];
    if (had !== has) throw new StateError(`the state is of a machine with ${name} ${had}, not ${has}`);
  }
  const { memory, board, cpus, clock } = machine;
  for (const flash of board.flash) {
    const [start, end] = [flash.memory.start, flash.memory.start + flash.memory.bytes.length];
    flash.used ||= head.pages.some(([first]) => first * pageBytes >= start && first * pageBytes < end);
  }
  let at = 0;
  for (const { start, bytes } of spansOf(machine)) {
    memory.aboutToWrite(start, bytes.length);
    let free = 0;
    for (const [first, count] of head.pages) {
      const from = first * pageBytes - start;
      if (from < 0 || from >= bytes.length) continue;
      bytes.fill(0, free, from);
      free = from + count * pageBytes;
      bytes.set(content.subarray(at, at + count * pageBytes), from);
      at += count * pageBytes;
    }
    bytes.fill(0, free);
  }
  clock.moveTo(head.clock);
  for (const cpu of cpus) {
    machine.switchTo(cpu);
    cpu.load(head.cpus[cpu.index]!);
  }
  machine.switchTo(cpus[head.current]!);
  for (const [i, device] of board.devices.entries()) device.load(head.devices[i]);
  // Loading a device may have moved its lines before the interrupt controller's state came.
  for (const cpu of cpus) cpu.restoreLines(head.cpus[cpu.index]!);
  // What has become due meanwhile raises its line now, with the interrupt controller as it was.
  for (const [i, timer] of board.timers.entries()) timer.load(head.timers[i]!);
  memory.flush();
}

function decode(bytes: Uint8Array): { head: Head; content: Uint8Array } {
  if (bytes.length < headStart || magic.some((byte, i) => bytes[i] !== byte))
    throw new StateError('no state of a machine');
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const length = view.getUint32(magic.length, true);
  if (crc32(bytes.subarray(headStart)) !== view.getUint32(magic.length + 4, true)) {
    throw new StateError('a damaged state: its checksum is wrong');
  }
  try {
    const head = deserialize(bytes.slice(headStart, headStart + length)) as Head;
    const content = zstdDecompressSync(bytes.subarray(headStart + length));
    const pages = head.pages.reduce((sum, [, count]) => sum + count, 0);
    if (content.length !== pages * pageBytes) throw new Error('its memory is cut off');
    return { head, content };
  } catch (error) {
    throw new StateError(`a damaged state: ${(error as Error).message}`);
  }
}

/** Pages that are not zero, as runs [first, count] by physical number. */
function usedPages({ start, bytes }: Span): [number, number][] {
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const perPage = pageBytes / 4;
  const firstPage = start / pageBytes;
  const runs: [number, number][] = [];
  for (let page = 0; page < words.length / perPage; page++) {
    if (isZero(words, page * perPage, perPage)) continue;
    const last = runs.at(-1);
    if (last && last[0] + last[1] === firstPage + page) last[1]++;
    else runs.push([firstPage + page, 1]);
  }
  return runs;
}

function isZero(words: Int32Array, from: number, count: number): boolean {
  for (let i = from; i < from + count; i++) if (words[i] !== 0) return false;
  return true;
}
