import { deserialize, serialize } from 'node:v8';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { Machine } from './machine.ts';
import { map } from './machines/virt.ts';

/*
 * A machine's state as bytes: magic, the length of the head (u32, little-endian), the head, then the RAM pages that are
 * not zero, compressed. The head is what `node:v8` makes of plain data.
 */

/** A state that is none, or of another machine. */
export class StateError extends Error {}

const magic = new TextEncoder().encode('tsemuvm1');
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
  /** RAM pages that follow, as [first, count]. */
  readonly pages: readonly (readonly [number, number])[];
}

function shapeOf({ memory, board, cpus, cpuModel }: Machine): Shape {
  const devices = board.devices.map(({ name }) => name);
  return { ramSize: memory.ramBytes, cpuModel, cpus: cpus.length, devices };
}

/** The state of a machine that stands between two instructions. */
export function saveState(machine: Machine): Uint8Array {
  const ram = machine.memory.ram(map.ram, machine.memory.ramBytes)!;
  const pages = usedPages(ram);
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
    content.set(ram.subarray(first * pageBytes, (first + count) * pageBytes), at);
    at += count * pageBytes;
  }
  const compressed = zstdCompressSync(content);
  const whole = new Uint8Array(magic.length + 4 + headBytes.length + compressed.length);
  whole.set(magic);
  new DataView(whole.buffer).setUint32(magic.length, headBytes.length, true);
  whole.set(headBytes, magic.length + 4);
  whole.set(compressed, magic.length + 4 + headBytes.length);
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
  const ram = memory.ram(map.ram, memory.ramBytes)!;
  memory.aboutToWrite(map.ram, memory.ramBytes);
  let free = 0;
  let at = 0;
  for (const [first, count] of head.pages) {
    ram.fill(0, free * pageBytes, first * pageBytes);
    free = first + count;
    ram.set(content.subarray(at, at + count * pageBytes), first * pageBytes);
    at += count * pageBytes;
  }
  ram.fill(0, free * pageBytes);
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
  const start = magic.length + 4;
  if (bytes.length < start || magic.some((byte, i) => bytes[i] !== byte)) throw new StateError('no state of a machine');
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(magic.length, true);
  try {
    const head = deserialize(bytes.slice(start, start + length)) as Head;
    const content = zstdDecompressSync(bytes.subarray(start + length));
    const pages = head.pages.reduce((sum, [, count]) => sum + count, 0);
    if (content.length !== pages * pageBytes) throw new Error('its memory is cut off');
    return { head, content };
  } catch (error) {
    throw new StateError(`a damaged state: ${(error as Error).message}`);
  }
}

/** Pages that are not zero, as runs [first, count]. */
function usedPages(ram: Uint8Array): [number, number][] {
  const words = new Int32Array(ram.buffer, ram.byteOffset, ram.length / 4);
  const perPage = pageBytes / 4;
  const runs: [number, number][] = [];
  for (let page = 0; page < words.length / perPage; page++) {
    if (isZero(words, page * perPage, perPage)) continue;
    const last = runs.at(-1);
    if (last && last[0] + last[1] === page) last[1]++;
    else runs.push([page, 1]);
  }
  return runs;
}

function isZero(words: Int32Array, from: number, count: number): boolean {
  for (let i = from; i < from + count; i++) if (words[i] !== 0) return false;
  return true;
}
