import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { repoRoot, Unavailable } from './support/cache.ts';
import { debianFile } from './support/debian.ts';
import { packagePaths } from './support/debian-cases.ts';
import { buildOf, networkPrograms, variants } from './support/guest-programs.ts';
import { observeOracle, observeTsemu, workName } from './support/observe.ts';
import { oracleOrReason, runQemu } from './support/oracle.ts';
import { plainEnvironment, type Tier, tsemuCommand } from './support/run.ts';
import { buildGuest, toolchainOrReason } from './support/toolchain.ts';
import { freshWorkdir } from './support/workdir.ts';

const needs = [await oracleOrReason(), await toolchainOrReason('arm-linux-gnueabihf')];
const reason = needs.flatMap((need) => ('reason' in need ? [need.reason] : []))[0];
const variant = variants.find(({ name }) => name === 'hard arm -O2 static')!;

describe.skipIf(reason !== undefined)(`sockets and epoll${reason ? ` (skipped: ${reason})` : ''}`, () => {
  test.each(networkPrograms)(
    '$name',
    async (program) => {
      const path = await buildGuest(await buildOf(program, variant));
      const name = workName(program, variant);
      const expected = await observeOracle(program, path, name);
      const tiers: Tier[] = program.name === 'epoll' ? ['auto', 'interp'] : ['auto'];
      for (const tier of tiers) expect(await observeTsemu(program, path, name, tier), `tier ${tier}`).toEqual(expected);
    },
    120_000,
  );
});

// ---- with programs of the host

async function prepare(): Promise<{ peer: string; busybox: string } | string> {
  try {
    return {
      peer: await buildGuest({
        triple: 'arm-linux-gnueabihf',
        sources: [join(repoRoot, 'fixtures/c/host-peer.c')],
        flags: ['-O1', '-D_GNU_SOURCE', '-static'],
      }),
      busybox: await debianFile(packagePaths.busybox[0], 'armhf', packagePaths.busybox[1]),
    };
  } catch (error) {
    if (error instanceof Unavailable) return error.message;
    throw error;
  }
}

const ready = await prepare();
const missing = typeof ready === 'string' ? ready : undefined;
const { peer, busybox } = typeof ready === 'string' ? { peer: '', busybox: '' } : ready;

/** A guest under way: what it has printed, and its end. */
class Guest {
  readonly child: ChildProcess;
  readonly ended: Promise<unknown[]>;
  stdout = '';
  stderr = '';

  /** `input`: null leaves standard input open. */
  constructor(args: string[], cwd = freshWorkdir('network', {}), input: string | null = '') {
    const [command, commandArgs] = tsemuCommand(args);
    this.child = spawn(command, commandArgs, { cwd, env: plainEnvironment, stdio: ['pipe', 'pipe', 'pipe'] });
    this.ended = once(this.child, 'close');
    this.child.stdout!.on('data', (chunk: Buffer) => (this.stdout += chunk.toString('latin1')));
    this.child.stderr!.on('data', (chunk: Buffer) => (this.stderr += chunk.toString('latin1')));
    if (input !== null) this.child.stdin!.end(input);
  }

  /** Waits for a line that matches. */
  async line(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.stdout);
      if (found !== null) return found;
      await Promise.race([once(this.child.stdout!, 'data'), this.failed()]);
    }
  }

  private async failed(): Promise<never> {
    await this.ended;
    throw new Error(`the guest has ended: ${this.stdout}${this.stderr}`);
  }

  /** Its output, once it has ended without an error. */
  async output(): Promise<string> {
    const [code] = await this.ended;
    expect([this.stderr, code]).toEqual(['', 0]);
    return this.stdout;
  }
}

const toClose: { close(): unknown }[] = [];
afterEach(() => {
  for (const each of toClose.splice(0)) each.close();
});

async function serve(onConnection: (socket: Socket) => void, where?: string): Promise<string> {
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    onConnection(socket);
  });
  toClose.push(server);
  if (where === undefined) server.listen(0, '127.0.0.1');
  else server.listen(where);
  await once(server, 'listening');
  return where ?? String((server.address() as AddressInfo).port);
}

const shout = (socket: Socket): void => {
  socket.on('data', (chunk) => socket.write(chunk.toString().toUpperCase()));
  socket.on('end', () => socket.end('bye\n'));
};

/** Connects and says `text`; what comes back until the end, or until it is as long. */
async function ask(to: { port: number; host: string } | { path: string }, text: string): Promise<string> {
  const socket = connect(to as { path: string });
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk.toString();
    if (answer.length >= text.length) socket.end();
  });
  socket.write(text);
  await once(socket, 'close');
  return answer;
}

/** A name server's answer: 192.0.2.55 for every name, and no address of another kind. */
function answer(question: Buffer): Buffer {
  const reply = Buffer.from(question);
  reply[2] |= 0x80;
  reply[3] |= 0x80;
  const typeA = question.readUInt16BE(question.length - 4) === 1;
  if (!typeA) return reply;
  reply.writeUInt16BE(1, 6);
  return Buffer.concat([reply, Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 55])]);
}

describe.skipIf(missing !== undefined)(`network of the host${missing ? ` (skipped: ${missing})` : ''}`, () => {
  test('a client of a host server, half closed', async () => {
    const port = await serve(shout);
    expect(await new Guest([peer, 'client', port]).output()).toBe('HELLO HOST\nbye\nend 0\n');
  });

  test('a server for host clients', async () => {
    const guest = new Guest([peer, 'server']);
    const port = Number((await guest.line(/port (\d+)\n/))[1]);
    const to = { port, host: '127.0.0.1' };
    expect(await Promise.all(['one', 'two', 'three'].map((text) => ask(to, text)))).toEqual(['ONE', 'TWO', 'THREE']);
    expect(await ask(to, 'quit')).toBe('QUIT');
    expect(await guest.output()).toContain('served\n');
  });

  test('unix sockets of the host: paths and abstract names', async () => {
    const folder = freshWorkdir('network-unix', {});
    await serve(shout, join(folder, 'host-socket'));
    const client = new Guest([peer, 'unix-client', 'host-socket'], folder);
    expect(await client.output()).toBe('HELLO HOST\nbye\nend 0\n');
    const abstract = `tsemu test ${process.pid}`;
    await serve(shout, `\0${abstract}`);
    expect(await new Guest([peer, 'unix-client', `@${abstract}`], folder).output()).toBe('HELLO HOST\nbye\nend 0\n');
    for (const [name, path] of [
      ['guest-socket', join(folder, 'guest-socket')],
      [`@${abstract} guest`, `\0${abstract} guest`],
    ]) {
      const guest = new Guest([peer, 'unix-server', name], folder);
      await guest.line(/ready\n/);
      expect(await ask({ path }, 'text')).toBe('TEXT');
      expect(await ask({ path }, 'quit')).toBe('QUIT');
      expect(await guest.output()).toBe('ready\nserved\n');
    }
  });

  test('a peer that does not read stops the guest, and nothing is lost', async () => {
    let received = 0;
    let wrong = 0;
    let reader: Socket | undefined;
    const done = Promise.withResolvers<void>();
    const port = await serve((socket) => {
      reader = socket.pause();
      socket.on('data', (chunk: Buffer) => {
        if (chunk[0] !== ((received % 65536) * 7) % 256) wrong++;
        received += chunk.length;
      });
      socket.on('end', () => {
        socket.end();
        done.resolve();
      });
    });
    const guest = new Guest([peer, 'bulk', port]);
    await guest.line(/blocked\n/);
    expect(received).toBe(0);
    reader!.resume();
    const sent = Number(/sent (\d+)/.exec(await guest.output())![1]);
    await done.promise;
    expect([received, wrong]).toEqual([sent, 0]);
  });

  test('what an ended guest has written arrives', async () => {
    let received = 0;
    const done = Promise.withResolvers<void>();
    const reader = Promise.withResolvers<Socket>();
    const port = await serve((socket) => {
      socket.on('data', (chunk: Buffer) => (received += chunk.length));
      socket.on('end', () => done.resolve());
      reader.resolve(socket.pause());
    });
    const guest = new Guest([peer, 'last', port]);
    // Nobody reads until the guest has said how much it has written, which is more than the host takes at once.
    await guest.line(/sent \d+\n/);
    (await reader.promise).resume();
    const sent = Number(/sent (\d+)/.exec(await guest.output())![1]);
    await done.promise;
    expect(received).toBe(sent);
  });

  test('polling without sleeping sees what comes', async () => {
    const port = await serve((socket) => socket.on('data', () => socket.write('answer')));
    expect(await new Guest([peer, 'busy', port]).output()).toBe('got answer tried 1\ngot answer\ngot answer\n');
  });

  test('a reset', async () => {
    const port = await serve((socket) => socket.on('data', () => socket.resetAndDestroy()));
    expect(await new Guest([peer, 'reset', port]).output()).toBe('poll 19 read ECONNRESET error 0 send EPIPE\n');
  });

  test('datagrams', async () => {
    const server = createSocket('udp4', (bytes, from) =>
      server.send(`got ${bytes.toString()}`, from.port, from.address),
    );
    toClose.push(server);
    server.bind(0, '127.0.0.1');
    await once(server, 'listening');
    expect(await new Guest([peer, 'udp', String(server.address().port)]).output()).toBe(
      'got hello host from 127.0.0.1 port known\ngot connected\n',
    );
  });

  test('two thousand questions and answers', async () => {
    const port = await serve((socket) => socket.setNoDelay().on('data', (chunk) => socket.write(chunk)));
    expect(await new Guest([peer, 'rounds', port]).output()).toBe('rounds\n');
  });

  test('edges of standard input', async () => {
    const guest = new Guest([peer, 'input'], undefined, null);
    await guest.line(/^waiting\n/);
    guest.child.stdin!.write('one');
    await guest.line(/^waiting\nevents 1 read one\nwaiting\n/);
    guest.child.stdin!.end();
    expect(await guest.output()).toBe('waiting\nevents 1 read one\nwaiting\nend\n');
  });

  test('the interfaces by netlink and ioctl', async () => {
    const output = await new Guest([peer, 'interfaces']).output();
    expect(output).toContain('flags 49\n');
    expect(output).toContain('inet 127.0.0.1 mask 255.0.0.0\n');
    expect(output).toContain('name lo none 0\n');
  });

  test.skipIf(process.platform !== 'linux')('a process of the host, by its directory in /proc', async () => {
    expect(await new Guest([peer, 'process', String(process.pid)]).output()).toBe('1 tasks 1\n');
  });

  test.skipIf(reason !== undefined)('the routes by netlink', async () => {
    const expected = await runQemu([peer, 'routes'], { env: plainEnvironment });
    expect(await new Guest([peer, 'routes']).output()).toBe(expected.stdout.toString());
  });

  test('busybox wget, nslookup and nc', async () => {
    const content = Buffer.alloc(1_500_000, 'some content ').toString();
    const web = createHttpServer((request, response) => response.end(`${request.url ?? ''}\n${content}`));
    toClose.push(web);
    web.listen(0, '127.0.0.1');
    await once(web, 'listening');
    const { port } = web.address() as AddressInfo;
    const got = await new Guest([busybox, 'wget', '-q', '-O', '-', `http://localhost:${port}/file`]).output();
    expect(got).toBe(`/file\n${content}`);
    const dns = createSocket('udp4', (question, from) => dns.send(answer(question), from.port, from.address));
    toClose.push(dns);
    dns.bind(0, '127.0.0.1');
    await once(dns, 'listening');
    const lookUp = [busybox, 'nslookup', `-port=${dns.address().port}`, 'www.example.test', '127.0.0.1'];
    expect(await new Guest(lookUp).output()).toContain('Name:\twww.example.test\nAddress: 192.0.2.55\n');
    const nc = new Guest([busybox, 'nc', '127.0.0.1', await serve(shout)], undefined, 'some text\n');
    expect(await nc.output()).toBe('SOME TEXT\nbye\n');
  });
});
