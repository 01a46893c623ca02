import { constants, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ReadStream } from 'node:tty';
import { afterAll, expect, test } from 'vitest';
import { powerOff } from './support/bare-machine.ts';
import { repoRoot } from './support/cache.ts';
import { onPath } from './support/debian.ts';
import { runMachine } from './support/linux-machine.ts';
import { QmpClient } from './support/qmp-client.ts';
import { counterAddress, counting, smallKernel } from './support/small-kernel.ts';
import { onTerminal, shellCommand } from './support/terminal.ts';

// Paths of unix sockets must be short.
const folder = mkdtempSync(join(tmpdir(), 'tsemu-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string, bytes: Uint8Array): string => {
  writeFileSync(join(folder, name), bytes);
  return join(folder, name);
};
const countingKernel = file('counting', smallKernel(counting));
const machine = ['-M', 'virt', '-m', '16', '-kernel'];

/** A machine that counts, with QMP on a socket and `args`. */
function countingMachine(name: string, args: readonly string[] = []) {
  const path = join(folder, name);
  const ended = runMachine([...machine, countingKernel, '-qmp', `unix:${path},server,nowait`, ...args], [], 60_000);
  return { path, ended };
}

const counted = async (client: QmpClient): Promise<number> => {
  const text = await client.human(`xp /1dw ${counterAddress}`);
  return Number(/: +(\d+)/.exec(text)?.[1]);
};

/** Asks until `done`. */
async function until(done: () => Promise<boolean>): Promise<void> {
  while (!(await done())) await new Promise((resolve) => setTimeout(resolve, 20));
}

test('QMP stops a machine, goes on, resets and ends it', { timeout: 60_000 }, async () => {
  const { path, ended } = countingMachine('qmp');
  const client = await QmpClient.connect(path);
  await until(async () => (await counted(client)) > 0);
  await client.execute('stop');
  expect(await client.execute('query-status')).toEqual({ status: 'paused', singlestep: false, running: false });
  const at = await counted(client);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(await counted(client)).toBe(at);
  await client.execute('cont');
  await until(async () => (await counted(client)) > at);
  await client.execute('system_powerdown');
  await client.execute('system_reset');
  await until(async () => client.eventNames.includes('RESET'));
  expect(await client.execute('query-status')).toEqual({ status: 'running', singlestep: false, running: true });
  await client.execute('quit');
  expect(await ended).toMatchObject({ errors: '', status: 0 });
  expect(client.events.map(({ event, data }) => [event, data])).toEqual([
    ['STOP', undefined],
    ['RESUME', undefined],
    ['POWERDOWN', undefined],
    ['RESET', { guest: false, reason: 'host-qmp-system-reset' }],
    ['SHUTDOWN', { guest: false, reason: 'host-qmp-quit' }],
  ]);
});

test('QMP refuses what is wrong with its errors, and answers in order', { timeout: 60_000 }, async () => {
  const { path, ended } = countingMachine('errors');
  const client = await QmpClient.connect(path);
  const wrong = async (text: string): Promise<unknown> => (await client.raw(text)).error;
  expect(await wrong('{"execute":"frob"}')).toEqual({
    class: 'CommandNotFound',
    desc: 'The command frob has not been found',
  });
  expect(await wrong('{"execute":"qmp_capabilities"}')).toMatchObject({ class: 'CommandNotFound' });
  expect(await wrong('{"execute":"stop","arguments":{"now":1}}')).toEqual({
    class: 'GenericError',
    desc: "Parameter 'now' is unexpected",
  });
  expect(await wrong('{"execute":"human-monitor-command"}')).toMatchObject({
    desc: "Parameter 'command-line' is missing",
  });
  expect(await wrong('{"execute":"human-monitor-command","arguments":{"command-line":1}}')).toMatchObject({
    desc: "Invalid parameter type for 'command-line', expected: string",
  });
  expect(await wrong('{"arguments":{}}')).toMatchObject({ desc: "QMP input lacks member 'execute'" });
  expect(await wrong('{"execute":"stop","frob":1}')).toMatchObject({
    desc: "QMP input member 'frob' is unexpected",
  });
  expect(await wrong('[1]')).toMatchObject({ desc: 'QMP input must be a JSON object' });
  expect(await wrong('{"a": nonsense "}" }')).toMatchObject({ class: 'GenericError' });
  // Two requests in one piece, one in two pieces.
  const first = client.raw('{"execute":"query-version","id":{"a":[1]}} {"execute":"query-');
  expect(await first).toEqual({
    return: { qemu: { major: 0, minor: 1, micro: 0 }, package: 'tsemu 0.1.0' },
    id: { a: [1] },
  });
  const names = (await client.raw('commands"}')).return as { readonly name: string }[];
  expect(names.map(({ name }) => name)).toEqual(expect.arrayContaining(['query-status', 'quit', 'query-block']));
  client.close();
  // Another client is greeted again.
  const second = await QmpClient.connect(path);
  await second.execute('quit');
  expect((await ended).status).toBe(0);
});

test('a guest that switches itself off is looked at under -no-shutdown', { timeout: 60_000 }, async () => {
  const path = join(folder, 'off');
  const off = file('off-kernel', smallKernel(powerOff));
  const args = [...machine, off, '-no-shutdown', '-qmp', `unix:${path},server,nowait`];
  const ended = runMachine(args, [], 60_000);
  const client = await QmpClient.connect(path);
  await until(async () => ((await client.execute('query-status')) as { status: string }).status === 'shutdown');
  await expect(client.execute('cont')).rejects.toThrow('Resetting the Virtual Machine is required');
  await client.execute('quit');
  expect((await ended).status).toBe(0);
});

test('the human monitor shares the terminal with the serial line', { timeout: 60_000 }, async () => {
  const { output, status, errors } = await runMachine(
    [...machine, countingKernel, '-nographic'],
    [
      ['A', '\x01h'],
      ['send C-a', '\x01cinfo status\r'],
      ['VM status: running', 'stox\x7fp\rinfo status\r'],
      ['VM status: paused', 'info chardev\r'],
      ['serial0: filename=mux:stdio', 'info mtree\r'],
      ['pl011', 'info registers\r'],
      ['PSR=', `x /2xb ${counterAddress}\r`],
      [': 0x', 'frob\r'],
      ["unknown command: 'frob'", 'savevm a\r'],
      ['snapshots', 'quit\r'],
    ],
    60_000,
  );
  expect({ errors, status }).toEqual({ errors: '', status: 0 });
  expect(output).toContain('mach-virt.ram');
  expect(output).toMatch(/R15=400080[\da-f]{2}/);
});

test.skipIf(onPath('script') === undefined)(
  'the terminal is what it was when the machine has ended',
  async () => {
    const command = shellCommand([process.execPath, join(repoRoot, 'bin', 'tsemu-arm.cjs'), '--system']);
    const machineOf = (more: string): string => `${command} ${shellCommand([...machine, countingKernel])} ${more}`;
    // Ended by a key, by a signal, and by a wrong option after the terminal was taken.
    const script = [
      `${machineOf('-nographic')}; stty -a`,
      `(sleep 4; kill -TERM $(cat ${folder}/pid)) & sh -c 'echo $$ >${folder}/pid; exec ${machineOf('-nographic')}'; stty -a`,
      `${machineOf('-nographic -device frob')}; stty -a`,
    ].join('; ');
    const { screen } = await onTerminal(script, repoRoot, ['\x01x']);
    expect(screen).toContain('no such device');
    expect(screen.match(/[ -]icanon/g)).toEqual([' icanon', ' icanon', ' icanon']);
  },
  60_000,
);

test.skipIf(process.platform !== 'linux')('a monitor on a pseudoterminal', { timeout: 60_000 }, async () => {
  const { path, ended } = countingMachine('pty', ['-monitor', 'pty']);
  const client = await QmpClient.connect(path);
  const chardevs = (await client.execute('query-chardev')) as { label: string; filename: string }[];
  const terminal = chardevs.find(({ label }) => label === 'compat_monitor0')!.filename.replace(/^pty:/, '');
  const fd = openSync(terminal, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
  const screen = new ReadStream(fd);
  let text = '';
  screen.on('data', (bytes: Buffer) => (text += bytes.toString()));
  await until(async () => text.endsWith('(qemu) '));
  writeSync(fd, 'info status\r');
  await until(async () => text.includes('VM status: running'));
  screen.destroy();
  await client.execute('quit');
  expect((await ended).status).toBe(0);
});

test('serial lines go to files, sockets and named devices', { timeout: 60_000 }, async () => {
  const off = file('prints', smallKernel([...counting.slice(0, 4), ...powerOff]));
  const path = join(folder, 'serial.txt');
  await runMachine([...machine, off, '-serial', `file:${path}`]);
  expect(readFileSync(path, 'utf8')).toBe('A');
  await runMachine([...machine, off, '-chardev', `file,id=log,path=${path},append=on`, '-serial', 'chardev:log']);
  expect(readFileSync(path, 'utf8')).toBe('AA');
  // A server of ours that tsemu connects to.
  const heard = new Promise<string>((resolve) => {
    const server = createServer((socket: Socket) => {
      let text = '';
      socket.on('data', (bytes: Buffer) => (text += bytes.toString()));
      socket.on('end', () => {
        server.close();
        resolve(text);
      });
    });
    server.listen(join(folder, 'listener'));
  });
  expect(await runMachine([...machine, off, '-serial', `unix:${join(folder, 'listener')}`])).toMatchObject({
    status: 0,
  });
  expect(await heard).toBe('A');
});

test('a server that waits lets the guest start when somebody has come', { timeout: 60_000 }, async () => {
  const path = join(folder, 'waits');
  const off = file('waiting', smallKernel([...counting.slice(0, 4), ...powerOff]));
  const ended = runMachine([...machine, off, '-serial', `unix:${path},server`], [], 60_000);
  let text = '';
  await until(async () => {
    const socket = createConnection(path);
    socket.on('data', (bytes: Buffer) => (text += bytes.toString()));
    return await new Promise((resolve) => {
      socket.on('connect', () => resolve(true));
      socket.on('error', () => resolve(false));
    });
  });
  const { errors, status } = await ended;
  expect([text, status]).toEqual(['A', 0]);
  expect(errors).toBe(`waiting for connection on: unix:${path},server=on\n`);
});

test.each([
  [['-serial', 'frob:1'], /-serial frob:1: stdio, pty, .*/],
  [['-serial', 'tcp:localhost:99999'], /-serial tcp:localhost:99999: no port: '99999'/],
  [['-serial', 'unix:/nonexistent/s'], /-serial unix:\/nonexistent\/s: unix:\/nonexistent\/s: ENOENT/],
  [['-serial', 'tcp:127.0.0.1:1,frob=1'], /unknown property 'frob'/],
  [['-serial', 'chardev:x'], /-serial: no character device 'x'/],
  [['-serial', 'stdio', '-monitor', 'stdio'], /-monitor stdio: stdio is taken by -serial stdio/],
  [['-chardev', 'frob,id=a'], /-chardev frob,id=a: unknown kind: null, stdio, .*/],
  [['-chardev', 'null'], /-chardev null: an id is needed/],
  [['-mon', 'nothing'], /-mon nothing: no character device 'nothing'/],
  [['-mon', 'chardev=a,mode=frob'], /mode is readline or control/],
])('%j is refused in one line', { timeout: 30_000 }, async (args, message) => {
  const { output, errors, status } = await runMachine([...machine, countingKernel, ...args], [], 30_000);
  expect([output, status]).toEqual(['', 1]);
  expect(errors).toMatch(/^tsemu-arm: [^\n]*\n$/);
  expect(errors).toMatch(message);
});
