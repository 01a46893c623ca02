import { cpuBase, memoryPages } from '#accel/guest-memory.ts';
import { translatedMemory } from '#accel/translation-tables.ts';
import { UsageError } from '#src/option-table.ts';
import { readSystemCommandLine } from '#src/system-options.ts';
import { ImageError, type ImageFile } from '#system/block/host-file.ts';
import { checkImage } from '#system/block/qcow2/check.ts';
import { createQcow2 } from '#system/block/qcow2/create.ts';
import { Qcow2Image } from '#system/block/qcow2/image.ts';
import { BootError } from '#system/boot/linux.ts';
import { buildDeviceTree, loadFiles } from '#system/boot/load.ts';
import { Chardevs } from '#system/char/chardevs.ts';
import { createDevices } from '#system/devices/table.ts';
import { Machine } from '#system/machine.ts';
import { loadState, StateError, saveState } from '#system/machine-state.ts';
import { MonitorError } from '#system/monitor/control.ts';
import { Networks } from '#system/net/networks.ts';
import { OptionError } from '#system/option-string.ts';
import { generateInterpreter } from '#tcg/interpreter-module.ts';
import { serialPort } from './bare-machine.ts';
import { RecordedFile } from './recorded-file.ts';
import { counting, smallKernel } from './small-kernel.ts';

/*
 * Inputs of machine mode that are damaged at random. Each round must end with nothing worse than one of the errors that
 * become a line for the user.
 */

const expected = [UsageError, BootError, OptionError, ImageError, StateError, MonitorError];

type Random = (limit: number) => number;

/** Numbers below `limit`, always the same for a seed. */
function numbers(seed: number): Random {
  let state = Math.imul(seed, 2654435761) + 1;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

/** Values that break what is not looked at. */
const interesting = [
  0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 0x40000000, 0x3ffff000,
];

/** A copy with some bytes changed, most near its start, or cut off. */
function damage(bytes: Uint8Array, next: Random): Uint8Array {
  const copy = next(8) === 0 ? bytes.slice(0, next(bytes.length)) : bytes.slice();
  if (copy.length < 8) return copy;
  const view = new DataView(copy.buffer);
  const reach = next(3) === 0 ? copy.length : Math.min(copy.length, 256);
  for (let count = 1 + next(6); count > 0; count--) {
    const at = next(reach - 3);
    if (next(2) === 0) copy[at] = next(256);
    else view.setUint32(at, interesting[next(interesting.length)]!, next(2) === 0);
  }
  return copy;
}

const interpreter = generateInterpreter(translatedMemory, { cpuBase, memoryPages });
const ramSize = 16 << 20;
const boot = { ramSize, cpus: 1, cpu: 'cortex-a15', append: '' };
let machine: Machine | undefined;

/** The one machine that damaged kernels run in: making one takes long. */
function theMachine(): Machine {
  machine ??= new Machine({
    ramSize,
    serial: serialPort(() => {}),
    icount: 3,
    startTime: 0,
    engine: { interpreter, tier: 'interp' },
    unimplemented() {},
  });
  return machine;
}

/** A zImage, an ELF file and a plain kernel. */
const kernels: readonly Uint8Array[] = [smallKernel(counting), elf(), zImage()];

function zImage(): Uint8Array {
  const words = Array.from({ length: 64 }, (_, i) => counting[i - 16] ?? 0xe1a00000);
  [words[9], words[10], words[11]] = [0x016f2818, 0, 256];
  return new Uint8Array(Uint32Array.from(words).buffer);
}

function elf(): Uint8Array {
  const code = smallKernel(counting);
  const bytes = new Uint8Array(84 + code.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, 40, true);
  const words: Readonly<Record<number, number>> = {
    24: 0x40008000,
    28: 52,
    ...{ 52: 1, 56: 84, 60: 0x40008000, 64: 0x40008000, 68: code.length, 72: code.length },
  };
  for (const [at, value] of Object.entries(words)) view.setUint32(Number(at), value, true);
  view.setUint16(42, 32, true);
  view.setUint16(44, 1, true);
  bytes.set(code, 84);
  return bytes;
}

/** Milliseconds that a kernel runs. */
const runTime = 10;

async function damagedBoot(next: Random): Promise<void> {
  const made = theMachine();
  made.reset();
  const kernel = damage(kernels[next(kernels.length)]!, next);
  const tree = next(2) === 0 ? damage(buildDeviceTree(boot, null), next) : null;
  loadFiles(made, boot, {
    kernel: { name: 'kernel', bytes: kernel },
    bios: null,
    initrd: next(4) === 0 ? new Uint8Array(next(ramSize)) : null,
    deviceTree: tree && { name: 'dtb', bytes: tree },
    named: [],
  });
  const timer = setTimeout(() => made.finish('quit'), runTime);
  await made.run();
  clearTimeout(timer);
  made.end = null;
  if (next(4) === 0) loadState(made, damage(saveState(made), next));
}

/** A file that grows no further than a host's would. */
class SmallFile extends RecordedFile implements ImageFile {
  override write(offset: number, from: Uint8Array): void {
    if (offset + from.length > 1 << 22) throw new ImageError('no room');
    super.write(offset, from);
  }
  override truncate(size: number): void {
    if (size > 1 << 22) throw new ImageError('no room');
    super.truncate(size);
  }
}

let soundImage: Uint8Array | undefined;

function makeImage(): Uint8Array {
  const file = new RecordedFile();
  createQcow2(file, { size: 256 * 1024, clusterBits: 9 });
  const image = new Qcow2Image(file, null);
  for (let at = 0; at < image.size; at += 8192) image.write(at, new Uint8Array(1024).fill(at >> 10));
  image.snapshots.create({ name: 'before', date: 0, clock: 0n });
  for (let at = 4096; at < image.size; at += 16384) image.write(at, new Uint8Array(512).fill(7));
  image.close();
  return file.contents;
}

async function damagedImage(next: Random): Promise<void> {
  soundImage ??= makeImage();
  const file = new SmallFile();
  file.write(0, damage(soundImage, next));
  const checking = next(3) === 0;
  const image = new Qcow2Image(file, null, checking);
  if (checking) checkImage(image, file, next(2) === 0 ? 'none' : 'all');
  const size = Math.min(image.size, 1 << 20);
  const sectors = Math.floor(size / 512);
  if (sectors === 0) return;
  for (let count = 0; count < 20; count++) {
    const at = next(sectors) * 512;
    const bytes = new Uint8Array(Math.min(512 * (1 + next(8)), size - at));
    if (next(3) === 0) image.read(at, bytes);
    else if (next(4) === 0) image.writeZeroes(at, bytes.length, next(2) === 0);
    else image.write(at, bytes.fill(count));
  }
  if (next(2) === 0) image.snapshots.list.forEach((snapshot) => image.snapshots.apply(snapshot));
  image.close();
}

/** Pieces of options that are about right. */
const words = [
  ...[
    '-M',
    'virt',
    '-m',
    '128',
    '3G',
    '0',
    '-smp',
    '2',
    '-kernel',
    'k',
    '-append',
    'x',
    '-serial',
    'stdio',
    'null',
    'pty',
  ],
  ...[
    '-drive',
    'file=/dev/null',
    'if=none',
    'if=pflash',
    'unit=7',
    'id=a',
    'format=qcow2',
    '-device',
    '-netdev',
    'user',
  ],
  ...['id=n', 'virtio-blk-device', 'virtio-net-device', 'drive=a', 'netdev=n', 'bus=virtio-mmio-bus.99', 'mac=1:2'],
  ...['-rtc', 'base=utc', 'clock=vm', 'base=', '-icount', 'shift=99', '-fw_cfg', 'name=opt/x', 'string=y', 'file='],
  ...[
    '-monitor',
    'tcp:1:99999',
    'unix:',
    'file:',
    'mon:mon:stdio',
    'chardev:',
    '-qmp',
    '-chardev',
    'socket',
    'host=',
    'port=-1',
  ],
  ...[
    'hostfwd=tcp::-:',
    'hostfwd=udp:1.2.3.4:1-:99999',
    'net=1/99',
    'dhcpstart=x',
    'dns=::',
    '-virtfs',
    'local',
    'path=/',
  ],
  ...[
    'virtconsole',
    'nr=0',
    'virtio-serial-device',
    'max_ports=0',
    'chardev=c',
    '',
    ',',
    '=',
    ',,',
    '%s',
    '\u0000',
    'help',
  ],
] as const;

async function damagedOptions(next: Random): Promise<void> {
  const text = (): string =>
    Array.from({ length: 1 + next(4) }, () => words[next(words.length)]!).join(next(4) === 0 ? '' : ',');
  const args = Array.from({ length: next(12) }, () => (next(2) === 0 ? words[next(words.length)]! : text()));
  const invocation = readSystemCommandLine('tsemu-arm', next(3) === 0 ? args : ['-M', 'virt', ...args]);
  if (invocation.kind === 'print') return;
  const { config } = invocation;
  const networks = new Networks(config.netdevs, config.nics);
  const chardevs = new Chardevs(() => {});
  createDevices(config.devices, {
    random: { fill() {} },
    networks,
    drive: () => {
      throw new OptionError('no drive');
    },
    folder: () => {
      throw new OptionError('no folder');
    },
    chardev: (id) => chardevs.attach(id, '-device'),
  });
}

/** One boot, and many images and command lines, which take less; throws what no user should see. */
export async function damagedRound(seed: number): Promise<void> {
  const cheap = Array.from({ length: 20 }, () => [damagedImage, damagedOptions]).flat();
  for (const [i, act] of [damagedBoot, ...cheap].entries()) {
    try {
      await act(numbers(seed * 100 + i));
    } catch (error) {
      if (!expected.some((kind) => error instanceof kind)) throw error;
      if ((error as Error).message.includes('\n')) throw new Error(`several lines: ${(error as Error).message}`);
    }
  }
}
