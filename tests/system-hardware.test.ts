import { describe, expect, test } from 'vitest';
import { Pl011 } from '#hw/char/pl011.ts';
import type { Clock } from '#hw/device.ts';
import { Pl061 } from '#hw/gpio/pl061.ts';
import { GicV2 } from '#hw/intc/gicv2.ts';
import { FwCfg } from '#hw/nvram/fw-cfg.ts';
import { Pl031 } from '#hw/rtc/pl031.ts';
import { GenericTimer, timerFrequency } from '#hw/timer/generic-timer.ts';
import { writeFdt } from '#system/boot/fdt.ts';
import { BootError, place, readKernel } from '#system/boot/linux.ts';
import { HostTime, InstructionClock } from '#system/clock.ts';
import { MemoryMap } from '#system/memory-map.ts';
import { FaultStatus, PageTableWalker, type WalkResult } from '#target/arm/page-walk.ts';
import { serialPort } from './support/bare-machine.ts';

/** Pages and permissions by hand: `words` by physical address. */
function walker(words: Readonly<Record<number, number>>, registers: Partial<Record<string, number | boolean>> = {}) {
  const control = { sctlr: 1, ttbcr: 0, ttbr0: 0x4000, ttbr1: 0x8000, dacr: 1, privileged: true, ...registers };
  return new PageTableWalker(control as never, (physical) => words[physical] ?? (physical < 0x100000 ? 0 : undefined));
}

const read = 1;
const write = 2;
const execute = 4;

describe('short-descriptor page tables', () => {
  const into: WalkResult = { physical: 0, allowed: 0, global: false, large: false };

  test('off: everything is where it is', () => {
    expect(walker({}, { sctlr: 0 }).walk(0x12345678, write, into)).toBe(true);
    expect(into).toEqual({ physical: 0x12345000, allowed: 7, global: true, large: false });
  });

  test('a section, its permissions and its domain', () => {
    const section = 0x40000000 | 0xc02;
    const at = (entry: number, registers = {}) => walker({ 0x4004: entry }, registers);
    expect(at(section).walk(0x00123456, write, into)).toBe(true);
    expect(into).toEqual({ physical: 0x40023000, allowed: 7, global: true, large: true });
    // AP = 1: nothing for User mode
    const kernel = at(0x40000000 | 0x402, { privileged: false });
    expect(kernel.walk(0x00123456, read, into)).toBe(false);
    expect(kernel.status(read)).toBe(FaultStatus.permissionSection);
    // Domain 2 without access
    const domain = at(section | (2 << 5));
    expect(domain.walk(0x00123456, write, into)).toBe(false);
    expect(domain.status(write)).toBe(FaultStatus.domainSection | (2 << 4) | 0x800);
    // Managers are not checked
    expect(at(0x40000002, { dacr: 3 }).walk(0x00123456, write, into)).toBe(true);
    expect(at(section | 0x10).walk(0x00123456, execute, into)).toBe(false);
    expect(at(section | (1 << 17)).walk(0x00123456, read, into) && into.global).toBe(false);
  });

  test('small and large pages', () => {
    const words = { 0x4004: 0x9001, [0x9000 + 4 * 0x23]: 0x55555032, [0x9000 + 4 * 0x30]: 0x66660031 };
    expect(walker(words).walk(0x00123456, write, into)).toBe(true);
    expect([into.physical, into.large]).toEqual([0x55555000, false]);
    expect(walker(words).walk(0x00130abc, read, into)).toBe(true);
    expect([into.physical, into.large]).toEqual([0x66660000, true]);
    const none = walker(words);
    expect(none.walk(0x00124000, read, into)).toBe(false);
    expect(none.status(read)).toBe(FaultStatus.translationPage);
  });

  test('read-only pages, access flags, TTBCR', () => {
    const words = { 0x4004: 0x9001, 0x9000: 0x55555232 };
    const readOnly = walker(words);
    expect(readOnly.walk(0x00100000, write, into)).toBe(false);
    expect(readOnly.status(write)).toBe(FaultStatus.permissionPage | 0x800);
    const flags = walker({ 0x4004: 0x40000802 }, { sctlr: 1 | (1 << 29) });
    expect(flags.walk(0x00100000, read, into)).toBe(false);
    expect(flags.fault).toBe(FaultStatus.accessFlagSection);
    // N = 1: the upper half has TTBR1, the lower a table of half the size
    const split = walker({ [0x8000 + 4 * 0x900]: 0x40000c02, 0x4004: 0x41000c02 }, { ttbcr: 1, ttbr0: 0x4000 });
    expect(split.walk(0x90000000, read, into) && into.physical).toBe(0x40000000);
    expect(split.walk(0x00100000, read, into) && into.physical).toBe(0x41000000);
    expect(walker({}, { ttbr0: 0x40000000 }).walk(0, read, into)).toBe(false);
  });
});

describe('GICv2', () => {
  function gic(cpus = 1) {
    const lines = Array.from({ length: cpus }, () => false);
    let current = 0;
    const made = new GicV2(
      lines.map((_, cpu) => (level: boolean) => void (lines[cpu] = level)),
      () => current,
    );
    const on = (cpu: number): void => {
      current = cpu;
      made.cpuInterface.write(0, 4, 1);
      made.cpuInterface.write(4, 4, 0xf0);
    };
    made.distributor.reset();
    made.distributor.write(0, 4, 1);
    for (let cpu = cpus - 1; cpu >= 0; cpu--) on(cpu);
    return { gic: made, lines, run: (cpu: number) => void (current = cpu) };
  }
  const offsets = { enable: 0x104, iar: 0x0c, eoir: 0x10 };

  test('a level interrupt stays up until its device is served', () => {
    const { gic: made, lines } = gic();
    made.distributor.write(offsets.enable, 4, 1 << 1);
    const line = made.spi(1);
    line(true);
    expect(lines).toEqual([true]);
    expect(made.cpuInterface.read(offsets.iar, 4)).toBe(33);
    expect(lines).toEqual([false]);
    made.cpuInterface.write(offsets.eoir, 4, 33);
    expect(lines).toEqual([true]);
    expect(made.cpuInterface.read(offsets.iar, 4)).toBe(33);
    line(false);
    made.cpuInterface.write(offsets.eoir, 4, 33);
    expect([lines[0], made.cpuInterface.read(offsets.iar, 4)]).toEqual([false, 1023]);
  });

  test('an edge is remembered once; a higher priority goes first and interrupts', () => {
    const { gic: made, lines } = gic();
    made.distributor.write(offsets.enable, 4, 0b110);
    made.distributor.write(0xc08, 4, 0b1010 << 2);
    made.distributor.write(0x421, 1, 0x80);
    made.distributor.write(0x422, 1, 0x40);
    made.spi(1)(true);
    made.spi(1)(false);
    expect(made.cpuInterface.read(offsets.iar, 4)).toBe(33);
    made.spi(2)(true);
    expect(lines).toEqual([true]);
    expect(made.cpuInterface.read(offsets.iar, 4)).toBe(34);
    made.cpuInterface.write(offsets.eoir, 4, 34);
    made.cpuInterface.write(offsets.eoir, 4, 33);
    expect(made.cpuInterface.read(offsets.iar, 4)).toBe(1023);
  });

  test('a software interrupt tells who sent it', () => {
    const { gic: made, lines, run } = gic(2);
    run(1);
    made.distributor.write(0xf00, 4, (1 << 16) | 5);
    expect(lines).toEqual([true, false]);
    run(0);
    expect(made.cpuInterface.read(offsets.iar, 4)).toBe((1 << 10) | 5);
  });

  test('its state comes back', () => {
    const { gic: made } = gic();
    made.distributor.write(offsets.enable, 4, 1 << 1);
    made.spi(1)(true);
    const other = gic();
    other.gic.distributor.load(JSON.parse(JSON.stringify(made.distributor.save())));
    expect(other.lines).toEqual([true]);
    expect(other.gic.distributor.save()).toEqual(made.distributor.save());
  });
});

test('a generic timer goes off at its compare value', () => {
  const clock = new InstructionClock(0);
  let level = false;
  const timer = new GenericTimer(clock as Clock, { physical() {}, virtual: (up) => void (level = up) });
  timer.virtual.compare = timerFrequency;
  timer.virtual.control = 1;
  expect(clock.deadline).toBe(1e9);
  clock.advance(1e9 - 20);
  clock.runDue();
  expect([level, timer.virtual.control]).toEqual([false, 1]);
  expect(clock.skip()).toBe(true);
  clock.runDue();
  expect([level, timer.virtual.control, timer.count()]).toEqual([true, 5, timerFrequency]);
  timer.virtual.control = 3;
  expect(level).toBe(false);
});

test('a PL011 receives what fits its FIFO and keeps the rest', () => {
  let input: (bytes: Uint8Array) => void = () => {};
  const sent: number[] = [];
  let level = false;
  const port = { ...serialPort((byte) => void sent.push(byte)), onInput: (take: typeof input) => void (input = take) };
  const uart = new Pl011(port, (up) => void (level = up));
  uart.write(0x2c, 4, 0x70);
  uart.write(0x38, 4, 0x10);
  input(Uint8Array.from({ length: 20 }, (_, i) => i));
  expect([level, uart.read(0x18) & 0x50]).toEqual([true, 0x40]);
  expect(Array.from({ length: 20 }, () => uart.read(0))).toEqual(Array.from({ length: 20 }, (_, i) => i));
  expect([level, uart.read(0x18) & 0x50]).toEqual([false, 0x10]);
  uart.write(0, 4, 0x41);
  expect(sent).toEqual([0x41]);
});

test('a PL031 tells the time, can be set, and has an alarm', () => {
  const clock = new InstructionClock(0);
  let level = false;
  const rtc = new Pl031(clock, 1000, (up) => void (level = up));
  clock.advance(5e9);
  expect([rtc.read(0, 4), rtc.read(0xfe0, 4)]).toEqual([1005, 0x31]);
  rtc.write(8, 4, 2000);
  rtc.write(0x10, 4, 1);
  rtc.write(4, 4, 2003);
  clock.advance(2.9e9);
  clock.runDue();
  expect([rtc.read(0, 4), level]).toEqual([2002, false]);
  clock.advance(0.2e9);
  clock.runDue();
  expect([level, rtc.read(0x18, 4)]).toEqual([true, 1]);
  rtc.write(0x1c, 4, 1);
  expect(level).toBe(false);
});

test('the host’s time goes on while the machine stands still', () => {
  const machine = new InstructionClock(0);
  const host = new HostTime(machine);
  expect(Math.abs(host.now() / 1e6 - Date.now())).toBeLessThan(60_000);
  let fired = 0;
  host.timer(() => fired++).set(host.now() + 3600e9);
  // An hour of the machine is not one of the host.
  machine.advance(3601e9);
  machine.runDue();
  expect([fired, machine.deadline > machine.now()]).toEqual([0, true]);
  host.timer(() => fired++).set(host.now() - 1);
  machine.runDue();
  expect(fired).toBe(1);
});

test('a PL061 tells of edges and levels of its pins', () => {
  let irq = false;
  const gpio = new Pl061((up) => void (irq = up));
  const key = gpio.pin(3);
  gpio.write(0x40c, 4, 8); // rising
  gpio.write(0x410, 4, 8);
  key(true);
  expect([irq, gpio.read(0x3fc, 4), gpio.read(0x4, 4)]).toEqual([true, 8, 0]);
  gpio.write(0x41c, 4, 8);
  key(false);
  expect(irq).toBe(false);
  gpio.write(0x404, 4, 8);
  key(true);
  expect(irq).toBe(true);
  key(false);
  expect(irq).toBe(false);
  gpio.write(0x400, 4, 1);
  gpio.write(0x3fc, 4, 0xff);
  expect(gpio.read(0x3fc, 4)).toBe(1);
});

test('a flattened device tree is as the specification has it', () => {
  const blob = writeFdt({ properties: { model: 'x' }, children: { 'a@1': { properties: { reg: [1, 2], on: true } } } });
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
  const words = (from: number, bytes: number): number[] =>
    Array.from({ length: bytes / 4 }, (_, i) => view.getUint32(from + 4 * i));
  expect([view.getUint32(0), view.getUint32(4), view.getUint32(20)]).toEqual([0xd00dfeed, blob.length, 17]);
  const name = (text: string): number => Buffer.from(text.padEnd(4, '\0')).readUInt32BE(0);
  expect(words(view.getUint32(8), view.getUint32(36))).toEqual([
    ...[1, 0],
    ...[3, 2, 0, name('x')],
    ...[1, name('a@1')],
    ...[3, 8, 6, 1, 2],
    ...[3, 0, 10],
    ...[2, 2, 9],
  ]);
  expect(Buffer.from(blob.subarray(view.getUint32(12))).toString()).toBe('model\0reg\0on\0');
});

test('devices are found by address, and may not overlap', () => {
  const missing: string[] = [];
  const bus = new MemoryMap((text) => missing.push(text));
  const device = (name: string) => ({ name, read: () => 7, write() {}, reset() {}, save: () => null, load() {} });
  bus.add(0x2000, 0x1000, device('b'));
  bus.add(0x1000, 0x1000, device('a'));
  expect(() => bus.add(0x1800, 0x1000, device('c'))).toThrow('overlaps');
  expect([0x1000, 0x1fff, 0x2000, 0x2fff].map((at) => bus.find(at)?.device.name)).toEqual(['a', 'a', 'b', 'b']);
  expect([bus.read(0xfff, 1), bus.read(0x3000, 1), bus.read(0x2004, 4)]).toEqual([0, 0, 7]);
  expect(missing.length).toBe(2);
});

describe('kernels', () => {
  const words = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);
  const ram = 0x40000000;

  test('an Image goes where its first instructions expect it', () => {
    const image = words(0xe1a00000, 0xe2488982, ...Array.from({ length: 20 }, () => 0xe1a00000));
    expect(readKernel(image, 'Image', ram).entry).toBe(ram + 0x208000);
  });

  test('what is none is refused in one line', () => {
    expect(() => readKernel(new Uint8Array(10), 'k', ram)).toThrow(new BootError('k: too short for a kernel'));
    expect(() => readKernel(new Uint8Array(100), 'k', ram)).toThrow('no ARM kernel');
    const zImage = words(...Array.from({ length: 9 }, () => 0xe1a00000), 0x016f2818, 0, 5000, ...Array(10).fill(0));
    expect(() => readKernel(zImage, 'z', ram)).toThrow('cut off');
    expect(() => readKernel(words(0x464c457f, ...Array(20).fill(0)), 'e', ram)).toThrow('not of a 32-bit');
    const kernel = readKernel(words(...Array(20).fill(0xe1a00000)), 'k', ram);
    expect(() => place(kernel, ram, 16 << 20, 16 << 20)).toThrow('do not fit');
  });
});

describe('fw_cfg', () => {
  const ramStart = 0x40000000;
  const memory = new Uint8Array(0x1000);
  const view = new DataView(memory.buffer);
  const device = new FwCfg({
    ram: (at, length) =>
      at < ramStart || at + length > ramStart + memory.length
        ? undefined
        : memory.subarray(at - ramStart, at - ramStart + length),
    aboutToWrite() {},
  });
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  device.fill({
    ramSize: 128 << 20,
    cpus: 1,
    kernel: bytes('kernel'),
    initrd: bytes('initrd!'),
    commandLine: 'quiet',
    files: [
      { name: 'opt/b', bytes: bytes('second') },
      { name: 'opt/a', bytes: bytes('first') },
    ],
  });
  /** As a big-endian number in a register. */
  const swapped = (value: number): number => (((value & 0xff) << 8) | (value >> 8)) & 0xffff;
  const text = (key: number, length: number): string => {
    device.write(8, 2, swapped(key));
    return String.fromCharCode(...Array.from({ length }, () => device.read(0, 1)));
  };
  /** One DMA request; the control word afterwards. */
  const transfer = (control: number, length: number, target: number): number => {
    view.setUint32(0x100, control);
    view.setUint32(0x104, length);
    view.setUint32(0x108, 0);
    view.setUint32(0x10c, target);
    device.write(0x10, 4, 0);
    device.write(0x14, 4, 0x00010040);
    return view.getUint32(0x100);
  };

  test('items are read byte by byte, in words, and end with zeros', () => {
    expect([text(0, 4), text(0x11, 7), text(0x15, 6)]).toEqual(['QEMU', 'kernel\0', 'quiet\0']);
    device.write(8, 2, swapped(1));
    expect(device.read(0, 4)).toBe(3);
    device.write(8, 2, swapped(0x0b));
    expect(device.read(0, 4)).toBe(7);
    expect([device.read(0x10, 4), device.read(0x14, 4)]).toEqual([0x554d4551, 0x47464320]);
  });

  test('DMA selects, reads and skips; files are in the directory', () => {
    expect(transfer((0x19 << 16) | 8 | 2, 4 + 128, ramStart)).toBe(0);
    expect([view.getUint32(0), view.getUint32(4), view.getUint16(8)]).toEqual([2, 5, 0x20]);
    expect(String.fromCharCode(...memory.subarray(12, 18))).toBe('opt/a\0');
    expect(transfer((0x21 << 16) | 8, 0, 0)).toBe(0);
    expect(transfer(4, 3, 0)).toBe(0);
    expect(transfer(2, 5, ramStart)).toBe(0);
    expect(String.fromCharCode(...memory.subarray(0, 5))).toBe('ond\0\0');
  });

  test('DMA that leads nowhere, or writes, fails', () => {
    expect(transfer((0x20 << 16) | 8 | 2, 0x2000, ramStart)).toBe(1);
    expect(transfer(2, 0xffffffff, 0xffffffff)).toBe(1);
    expect(transfer((0x20 << 16) | 8 | 16, 1, ramStart)).toBe(1);
  });
});
