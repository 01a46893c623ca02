import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { cp15, move } from './support/bare-machine.ts';
import { onPath } from './support/debian.ts';
import { runMachine } from './support/linux-machine.ts';
import { smallKernel } from './support/small-kernel.ts';

// Paths of unix sockets must be short.
const folder = mkdtempSync(join(tmpdir(), 'tsemu-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Where kernels without a header are loaded. */
const entry = 0x40008000;
const table = 0x40004000;
const section = (address: number): number => (address | 0xc02) >>> 0;
/** Switches the MMU on, with RAM where it is and at 0x50000000 too, goes there, and counts in r4. */
const setUp = [
  ...move(1, table + 4 * 0x400),
  ...move(2, section(0x40000000)),
  0xe5812000, // str r2, [r1]
  0xe5812400, // str r2, [r1, #0x400]: 0x50000000
  ...move(1, table),
  cp15(1, 2, 0, 0),
  ...move(1, 1),
  cp15(1, 3, 0, 0),
  cp15(1, 1, 0, 0, 0, true),
  0xe3811001, // orr r1, r1, #1
  cp15(1, 1, 0, 0),
];
const loop = 0x50008000 + 4 * (setUp.length + 4);
const kernel = [
  ...setUp,
  ...move(2, loop),
  0xe3a04000, // mov r4, #0
  0xe12fff12, // bx r2
  0xe2844001, // loop: add r4, r4, #1
  0xeafffffd, // b loop
];
const kernelFile = join(folder, 'kernel');
writeFileSync(kernelFile, smallKernel(kernel));

const machine = (name: string): { path: string; ended: ReturnType<typeof runMachine> } => {
  const path = join(folder, name);
  const args = ['-M', 'virt', '-m', '16', '-kernel', kernelFile, '-serial', 'null', '-gdb', `unix:${path}`, '-S'];
  return { path, ended: runMachine(args, [], 90_000) };
};

/** gdb's side of the protocol, by hand. */
class Client {
  private pending = '';
  private readonly socket: Socket;
  private news: () => void = () => {};

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (bytes) => {
      this.pending += bytes.toString('latin1');
      this.news();
    });
  }

  static async connect(path: string): Promise<Client> {
    for (;;) {
      const socket = createConnection(path);
      const connected = await new Promise<boolean>((resolve) => {
        socket.once('connect', () => resolve(true));
        socket.once('error', () => resolve(false));
      });
      if (connected) return new Client(socket);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async ask(text: string): Promise<string> {
    this.send(text);
    return this.answer();
  }

  send(text: string): void {
    const sum = Buffer.from(text).reduce((total, byte) => total + byte, 0) & 0xff;
    this.socket.write(`$${text}#${sum.toString(16).padStart(2, '0')}`);
  }

  interrupt(): void {
    this.socket.write('\u0003');
  }

  end(): void {
    this.socket.destroy();
  }

  async answer(): Promise<string> {
    for (;;) {
      const [whole, text] = /\$([^#]*)#../.exec(this.pending) ?? [];
      if (whole !== undefined) {
        this.pending = this.pending.slice(this.pending.indexOf(whole) + whole.length);
        return text!;
      }
      await new Promise<void>((resolve) => {
        this.news = resolve;
      });
    }
  }
}

const little = (value: number): string => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes.toString('hex');
};

test('gdb’s protocol: registers, memory, steps, breakpoints where nothing is mapped yet', {
  timeout: 90_000,
}, async () => {
  const { path, ended } = machine('gdb');
  const gdb = await Client.connect(path);
  expect(await gdb.ask('qSupported:xmlRegisters=arm')).toContain('qXfer:features:read+');
  expect(await gdb.ask('qXfer:features:read:target.xml:0,20')).toMatch(/^m<\?xml/);
  expect(await gdb.ask('?')).toBe('T05thread:1;');
  expect(await gdb.ask('pf')).toBe(little(entry));
  expect(await gdb.ask(`m${entry.toString(16)},4`)).toBe(little(kernel[0]!));
  expect(await gdb.ask('s')).toBe('T05thread:1;');
  expect(await gdb.ask('vCont;s:1;c')).toBe('T05thread:1;');
  expect([await gdb.ask('pf'), await gdb.ask('p1')]).toEqual([little(entry + 8), little(table + 4 * 0x400)]);
  expect(await gdb.ask(`Z0,${loop.toString(16)},4`)).toBe('OK');
  expect(await gdb.ask('c')).toBe('T05thread:1;');
  expect([await gdb.ask('pf'), await gdb.ask('p4')]).toEqual([little(loop), little(0)]);
  // What lies under a breakpoint is what is read.
  expect(await gdb.ask(`m${loop.toString(16)},4`)).toBe(little(0xe2844001));
  expect(await gdb.ask('P4=00010000')).toBe('OK');
  expect(await gdb.ask('s')).toBe('T05thread:1;');
  expect(await gdb.ask('c')).toBe('T05thread:1;');
  expect(await gdb.ask('p4')).toBe(little(0x101));
  expect(await gdb.ask('m60000000,4')).toBe('E14');
  expect(await gdb.ask(`z0,${loop.toString(16)},4`)).toBe('OK');
  gdb.send('c');
  await new Promise((resolve) => setTimeout(resolve, 200));
  gdb.interrupt();
  expect(await gdb.answer()).toBe('T02thread:1;');
  expect(Buffer.from(await gdb.ask('p4'), 'hex').readUInt32LE()).toBeGreaterThan(0x101);
  // mov r4, #7 in place of the addition
  expect(await gdb.ask(`M${loop.toString(16)},4:${little(0xe3a04007)}`)).toBe('OK');
  for (let i = 0; i < 3; i++) await gdb.ask('s');
  expect(await gdb.ask('p4')).toBe(little(7));
  expect(await gdb.ask(`qRcmd,${Buffer.from('info status').toString('hex')}`)).toBe(
    `O${Buffer.from('VM status: paused\n').toString('hex')}`,
  );
  expect(await gdb.answer()).toBe('OK');
  gdb.send('k');
  expect(await ended).toEqual({ output: '', errors: '', status: 0 });
  gdb.end();
});

const gdbMultiarch = onPath('gdb-multiarch');
test.skipIf(gdbMultiarch === undefined)('gdb itself', { timeout: 120_000 }, async () => {
  const { path, ended } = machine('gdb2');
  (await Client.connect(path)).end();
  const commands = [
    `target remote ${path}`,
    `break *${loop}`,
    'continue',
    'printf "at %x\\n", $pc',
    'delete',
    'stepi',
    'stepi',
    'printf "r4 %d\\n", $r4',
    'x/i $pc',
    'info threads',
    'kill',
  ].flatMap((command) => ['-ex', command]);
  const run = spawnSync(gdbMultiarch!, ['-nx', '-batch', ...commands], { encoding: 'utf8', timeout: 90_000 });
  expect(run.stdout).toContain(`at ${loop.toString(16)}`);
  expect(run.stdout).toContain('r4 1');
  expect(run.stdout).toMatch(/add\s+r4, r4, #1/);
  expect(run.stdout).toContain('CPU#0');
  expect((await ended).status).toBe(0);
});
