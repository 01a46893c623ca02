import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type PortBackend, VirtioConsole } from '#hw/virtio/console.ts';
import { cachePath, Unavailable } from './support/cache.ts';
import { debianKernel, runMachine, testInitramfs } from './support/linux-machine.ts';
import { VirtioDriver } from './support/virtio-driver.ts';

/** A port's other end, by hand. */
class Peer implements PortBackend {
  connected = true;
  full = false;
  held = false;
  got = '';
  input: (bytes: Uint8Array) => void = () => {};
  room: () => void = () => {};
  opened: (open: boolean) => void = () => {};

  write(byte: number): void {
    this.got += String.fromCharCode(byte);
  }
  onInput(take: (bytes: Uint8Array) => void): void {
    this.input = take;
  }
  onRoom(tell: () => void): void {
    this.room = tell;
  }
  onOpen(tell: (open: boolean) => void): void {
    this.opened = tell;
  }
  hold(on: boolean): void {
    this.held = on;
  }
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const message = (id: number, event: number, value: number): Uint8Array =>
  Uint8Array.from([id, 0, 0, 0, event, 0, value, 0]);
const multiport = 1;

function rig(features: readonly number[] = [multiport]) {
  const [hvc, port] = [new Peer(), new Peer()];
  const device = new VirtioConsole(3);
  device.addPort(0, { console: true, name: '', backend: hvc });
  device.addPort(1, { console: false, name: 'a', backend: port });
  const driver = new VirtioDriver(device, { features, queueSize: 16 });
  /** What came in at a receive queue that was given so many buffers of 32 bytes. */
  const receive = (queue: number, buffers: number): string[] => {
    const given = Array.from({ length: buffers }, () => driver.put(queue, [32]));
    const used = driver.used(queue);
    return used.map(({ head, length }) => {
      const { at } = given.find((buffer) => buffer.head === head)!;
      return Buffer.from(driver.bytes(at[0]!, length)).toString('latin1');
    });
  };
  return { hvc, port, device, driver, receive };
}

describe('virtio-console', () => {
  test('introduces its ports, and tells who comes and goes', () => {
    const { driver, port, receive } = rig();
    for (const [id, event] of [
      [0, 0],
      [0, 3],
      [1, 3],
    ]) {
      driver.request(3, [message(id!, event!, 1)]);
    }
    const told = (...fields: readonly [number, number, number]): string =>
      Buffer.from(message(...fields)).toString('latin1');
    expect(receive(2, 6)).toEqual([
      ...[told(0, 1, 1), told(1, 1, 1), told(0, 4, 1), told(0, 6, 1)],
      ...[`${told(1, 7, 1)}a\0`, told(1, 6, 1)],
    ]);
    port.opened(false);
    port.opened(true);
    expect(receive(2, 2)).toEqual([told(1, 6, 0), told(1, 6, 1)]);
  });

  test('a port takes nothing before the guest has opened it, and no more than the guest reads', () => {
    const { driver, hvc, port, receive } = rig();
    hvc.input(text('console'));
    port.input(text('a line that is longer than a buffer of the guest'));
    expect([receive(0, 1), receive(4, 1)]).toEqual([['console'], []]);
    driver.request(3, [message(1, 6, 1)]);
    expect([driver.used(4).map(({ length }) => length), receive(4, 1)]).toEqual([[32], ['fer of the guest']]);
    port.input(new Uint8Array(100_000));
    expect(port.held).toBe(true);
  });

  test('what the guest writes waits while the other end is full, and is lost where there is none', () => {
    const { driver, port } = rig();
    driver.request(5, [text('one ')]);
    port.full = true;
    driver.put(5, [text('two')]);
    expect([port.got, driver.used(5).length]).toEqual(['one ', 0]);
    port.full = false;
    port.room();
    expect([port.got, driver.used(5).length]).toEqual(['one two', 1]);
    port.connected = false;
    driver.request(5, [text('three')]);
    // A port that is not there
    driver.request(7, [text('four')]);
    expect(port.got).toBe('one two');
  });

  test('a driver that knows of one port has the console; saved state goes on', () => {
    const { driver, hvc, receive, device } = rig([]);
    hvc.input(text('before'));
    const saved: unknown = structuredClone(device.save());
    device.reset();
    device.load(saved);
    expect(receive(0, 1)).toEqual(['before']);
    driver.request(1, [text('out')]);
    expect(hvc.got).toBe('out');
  });
});

async function prepare() {
  try {
    const { image } = await debianKernel();
    return { image, initrd: await testInitramfs(['virtio_mmio', 'virtio_console']), reason: undefined };
  } catch (error) {
    if (error instanceof Unavailable) return { image: '', initrd: '', reason: error.message };
    throw error;
  }
}
const { image, initrd, reason } = await prepare();
if (reason !== undefined) console.warn(`virtio-console: ${reason}`);

const folder = cachePath('work', 'virtio-console');
mkdirSync(folder, { recursive: true });

/** Connects as soon as there is somebody; answers each line by `answer`, and collects what comes. */
function peer(path: string, answer: (line: string) => string | undefined): { readonly text: Promise<string> } {
  let got = '';
  let seen = 0;
  let ended: (text: string) => void = () => {};
  const text = new Promise<string>((resolve) => {
    ended = resolve;
  });
  const open = (): void => {
    const socket = connect(path);
    socket.on('error', () => setTimeout(open, 50));
    socket.on('end', () => ended(got));
    socket.on('data', (bytes) => {
      got += bytes.toString('latin1');
      for (let end = got.indexOf('\n', seen); end >= 0; end = got.indexOf('\n', seen)) {
        const reply = answer(got.slice(seen, end).trim());
        seen = end + 1;
        if (reply !== undefined) socket.write(reply);
      }
    });
  };
  open();
  return { text };
}

test.skipIf(reason !== undefined)(
  'Debian’s kernel talks through hvc0 and a port with a name',
  {
    timeout: 300_000,
  },
  async () => {
    const long = 'y'.repeat(12_000);
    const sockets = ['hvc', 'port'].map((name) => join(folder, name));
    const [hvc, port] = sockets.map((path, i) =>
      peer(path, (line) => {
        if (line === `hello ${i + 3}`) return `to ${i + 3}\n`;
        return i === 1 && line === 'got to 4' ? `${long}\n` : undefined;
      }),
    );
    const run = await runMachine([
      ...['-M', 'virt', '-m', '128', '-nographic', '-no-reboot', '-kernel', image, '-initrd', initrd],
      ...['-append', 'console=ttyAMA0 quiet nokaslr cryptomgr.notests=1 ts.mods ts.ports'],
      ...sockets.flatMap((path, i) => ['-chardev', `socket,id=c${i},path=${path},server=on`]),
      ...['-device', 'virtio-serial-device', '-device', 'virtconsole,chardev=c0'],
      ...['-device', 'virtserialport,chardev=c1,name=org.tsemu.test'],
    ]);
    const marks = run.output.split(/\r?\n/).filter((line) => line.startsWith('@@'));
    expect({ marks, status: run.status }).toEqual({
      marks: [
        ...['@@INIT', '@@PORT vport0p0 ', '@@PORT vport0p1 org.tsemu.test', '@@LINE 3 to 3', '@@LINE 4 to 4'],
        `@@LONG ${createHash('md5').update(long).digest('hex')}  -`,
      ],
      status: 0,
    });
    expect(await hvc!.text).toBe('hello 3\r\ngot to 3\r\n');
    expect(await port!.text).toBe(`hello 4\ngot to 4\n${'x'.repeat(64 * 4096)}`);
  },
);

test.each([
  [['-device', 'virtconsole'], "-device virtconsole: No 'virtio-serial-bus' bus found for device 'virtconsole'"],
  [
    ['-device', 'virtio-serial-device', '-device', 'virtserialport,nr=0'],
    '-device virtserialport,nr=0: port number 0 is reserved for virtconsole devices',
  ],
  [['-device', 'virtio-serial-device', '-device', 'virtserialport,chardev=x'], "-device: no character device 'x'"],
])('%j is refused in one line', async (args, message) => {
  const run = await runMachine(['-M', 'virt', '-kernel', 'README.md', ...args]);
  expect(run).toEqual({ output: '', errors: `tsemu-arm: ${message}\n`, status: 1 });
});
