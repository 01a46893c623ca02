import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { BlockBackend } from '#hw/block/backend.ts';
import { flashBlock, PflashCfi01 } from '#hw/block/pflash-cfi01.ts';
import { move, powerOff, runBare } from './support/bare-machine.ts';
import { cachePath, Unavailable } from './support/cache.ts';
import { debianFile } from './support/debian.ts';
import { runMachine } from './support/linux-machine.ts';

const folder = cachePath('work', 'system-firmware');
mkdirSync(folder, { recursive: true });
const flashBytes = 64 << 20;

/** A flash of two blocks, whose contents are a disk's if `drive` says so. */
function flash(drive: BlockBackend | null = null) {
  const bytes = new Uint8Array(2 * flashBlock);
  let inPlace = true;
  const memory = { start: 0, bytes, readInPlace: (on: boolean) => void (inPlace = on), aboutToWrite() {} };
  return { device: new PflashCfi01('flash', memory, drive), bytes, inPlace: () => inPlace };
}

function disk(bytes: Uint8Array, readOnly: boolean): BlockBackend {
  return {
    size: bytes.length,
    readOnly,
    read: (offset, into) => {
      into.set(bytes.subarray(offset, offset + into.length));
    },
    write: (offset, from) => {
      bytes.set(from, offset);
    },
    flush() {},
    discard() {},
    writeZeroes() {},
  };
}

const ready = 0x00800080;

describe('CFI flash', () => {
  test('tells what it is', () => {
    const { device, inPlace } = flash();
    device.write(0x154, 4, 0x00980098);
    expect([0x10, 0x11, 0x12, 0x13].map((word) => device.read(word * 4, 4) & 0xff)).toEqual([0x51, 0x52, 0x59, 1]);
    // Two chips of 256 KiB with two blocks of 128 KiB each
    expect([0x27, 0x2d, 0x2f, 0x30].map((word) => device.read(word * 4, 2))).toEqual([18, 1, 0, 2]);
    device.write(0, 4, 0x00900090);
    expect([device.read(0, 4), device.read(4, 4), inPlace()]).toEqual([0x00890089, 0x00180018, false]);
    device.write(0, 4, 0x00ff00ff);
    expect([device.read(0, 4), inPlace()]).toEqual([0, true]);
  });

  test('is erased by blocks, and written to by words and by buffers', () => {
    const kept = new Uint8Array(2 * flashBlock).fill(0x5a);
    const { device, bytes, inPlace } = flash(disk(kept, false));
    expect(bytes[flashBlock]).toBe(0x5a);
    for (const value of [0x20, 0xd0]) device.write(flashBlock + 8, 4, value);
    expect([device.read(0, 4), inPlace()]).toEqual([ready, false]);
    device.write(flashBlock, 4, 0x40);
    device.write(flashBlock, 4, 0x12345678);
    device.write(flashBlock, 4, 0x40);
    device.write(flashBlock, 4, 0xf0f0ffff);
    device.write(flashBlock, 4, 0xe8);
    device.write(flashBlock, 4, 1);
    device.write(flashBlock + 4, 4, 0x11111111);
    device.write(flashBlock + 8, 4, 0x22222222);
    device.write(flashBlock, 4, 0xd0);
    expect(device.read(0, 4)).toBe(ready);
    device.write(0, 4, 0xff);
    // Bits go from 1 to 0 only.
    const words = [0, 4, 8, 12].map((offset) => device.read(flashBlock + offset, 4) >>> 0);
    expect(words).toEqual([0x10305678, 0x11111111, 0x22222222, 0xffffffff]);
    expect(device.read(flashBlock - 2, 4) >>> 0).toBe(0x56785a5a);
    expect(Buffer.compare(kept, bytes)).toBe(0);
  });

  test('says what went wrong, until it is told to forget it', () => {
    const { device, bytes } = flash(disk(new Uint8Array(2 * flashBlock), true));
    for (const value of [0x40, 0x1234]) device.write(0, 4, value);
    expect(device.read(0, 1)).toBe(0x90);
    for (const value of [0x50, 0x20, 0xd0]) device.write(0, 4, value);
    expect(device.read(0, 1)).toBe(0xa0);
    device.write(0, 4, 0x50);
    // A buffer that is longer than there is room for, and one that is not confirmed
    for (const value of [0xe8, 0xffff]) device.write(0, 4, value);
    expect(device.read(0, 1)).toBe(0x90);
    for (const value of [0x50, 0xe8, 0, 7, 0x33]) device.write(0, 4, value);
    expect([device.read(0, 1), bytes[0]]).toEqual([0xb0, 0]);
  });

  test('goes on in the middle of a command', () => {
    const { device } = flash();
    for (const value of [0x20, 0xd0, 0xe8, 0]) device.write(0, 4, value);
    device.write(4, 4, 0x76543210);
    const state: unknown = JSON.parse(JSON.stringify(device.save()));
    device.reset();
    device.load(state);
    device.write(0, 4, 0xd0);
    device.write(0, 4, 0xff);
    expect(device.read(4, 4)).toBe(0x76543210);
  });
});

describe.each(['interp', 'region'] as const)('code in flash, %s', (tier) => {
  test('runs in place, reads itself, and writes to the flash with commands only', async () => {
    const loop = [
      0xe3a06000, // mov r6, #0
      0xe5904000, // ldr r4, [r0]: its own first word, at physical address 0
      0xe0866004, // add r6, r6, r4
      0xe2555001, // subs r5, r5, #1
      0x1afffffb, // bne to the ldr
    ];
    // Runs from RAM while the flash gives its status.
    const routine = [
      ...move(1, 0x04000000),
      0xe3a02020, // mov r2, #0x20
      0xe5812000, // str r2, [r1]: erase
      0xe3a020d0, // mov r2, #0xd0
      0xe5812000, // str r2, [r1]
      0xe5917000, // ldr r7, [r1]: the status
      0xe3a02040, // mov r2, #0x40
      0xe5812004, // str r2, [r1, #4]: program
      ...move(2, 0xe3a08017), // mov r8, #0x17
      0xe5812004, // str r2, [r1, #4]
      ...move(2, 0xff),
      0xe5812000, // str r2, [r1]: contents
      0xe5919004, // ldr r9, [r1, #4]
      0xe1a0b00e, // mov r11, lr
      0xe281c004, // add r12, r1, #4
      0xe12fff3c, // blx r12: 0x17 in r8, then what erased flash means
    ];
    const vectors = [...Array.from({ length: 8 }, () => 0), ...powerOff];
    const program = [
      0xe3a00000, // mov r0, #0
      ...move(5, 20_000),
      ...loop,
      0xe5800000, // str r0, [r0]: no memory, a command
      0xe590a000, // ldr r10, [r0]
      ...move(12, 0x40002000),
      0xee0ccf10, // mcr p15, 0, r12, c12, c0, 0: vectors
      ...move(12, 0x40001000),
      0xe12fff1c, // bx r12
    ];
    const undefinedVector = [0xeafffffe, 0xea000005, ...vectors.slice(2)];
    const { registers } = await runBare([], tier, { 0x40001000: routine, 0x40002000: undefinedVector }, {}, program);
    const sum = (20_000 * 0xe3a00000) % 2 ** 32;
    expect(registers.slice(4, 11)).toEqual([0xe3a00000, 0, sum, ready, 0x17, 0xe3a08017, 0xe3a00000]);
  });
});

async function prepare() {
  try {
    const uBoot = await debianFile('u-boot-qemu', 'host', 'usr/lib/u-boot/qemu_arm/u-boot.bin');
    return { uBoot, reason: undefined };
  } catch (error) {
    if (error instanceof Unavailable) return { uBoot: '', reason: error.message };
    throw error;
  }
}
const { uBoot, reason } = await prepare();
if (reason !== undefined) console.warn(`system-firmware: ${reason}`);

test.skipIf(reason !== undefined)(
  'U-Boot finds the devices, and its environment in flash after a reset',
  {
    timeout: 300_000,
  },
  async () => {
    const env = join(folder, 'env.flash');
    writeFileSync(env, '');
    truncateSync(env, flashBytes);
    const { output, errors, status } = await runMachine(
      ['-M', 'virt', '-nographic', '-bios', uBoot, '-drive', `if=pflash,unit=1,format=raw,file=${env}`],
      [
        ['stop autoboot', '\r'],
        ['=> ', 'setenv answer 42; setenv bootdelay 1; saveenv; reset\r'],
        ['stop autoboot', '\r'],
        ['=> ', 'printenv answer; poweroff\r'],
      ],
    );
    expect({ errors, status }).toEqual({ errors: '', status: 0 });
    expect(output).toMatch(/bad CRC, using default environment[^]*Erased 2 sectors[^]*OK\r\nresetting/);
    expect(output).toMatch(/Loading Environment from Flash\.\.\. OK[^]*answer=42\r\npoweroff/);
    expect(readFileSync(env).includes('answer=42\0')).toBe(true);
  },
);

test.each([
  [['-bios', '/nonexistent'], '-bios /nonexistent: ENOENT'],
  [
    ['-drive', 'if=pflash,format=raw,file=package.json,readonly=on'],
    /^tsemu-arm: -drive: flash needs 67108864 bytes, 'package.json' has \d+\n$/,
  ],
  [
    ['-drive', 'if=pflash,unit=2,format=raw,file=package.json,readonly=on'],
    '-drive: machine type does not support if=pflash,bus=0,unit=2',
  ],
])('%j is refused in one line', async (args, message) => {
  const { output, errors, status } = await runMachine(['-M', 'virt', ...args]);
  expect({ output, status }).toEqual({ output: '', status: 1 });
  if (typeof message === 'string') expect(errors).toBe(`tsemu-arm: ${message}\n`);
  else expect(errors).toMatch(message);
});
