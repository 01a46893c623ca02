import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { sysrootEnvironment } from './programs/run.ts';
import { Unavailable } from './support/cache.ts';
import { debianSysroot } from './support/debian-sysroot.ts';
import { tsemuCommand } from './support/run.ts';
import { freshWorkdir } from './support/workdir.ts';

/* Debian's servers as guests, and their clients on the host. */

async function prepare(): Promise<{ sysroot: string } | { reason: string }> {
  try {
    return { sysroot: await debianSysroot('servers', ['redis-server', 'nginx-light']) };
  } catch (error) {
    if (error instanceof Unavailable) return { reason: error.message };
    throw error;
  }
}

const found = await prepare();
const reason = 'reason' in found ? found.reason : undefined;

/** A port that nobody has at the moment. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Starts a guest program of the sysroot. */
function start(cwd: string, path: string, args: string[]): ChildProcess {
  const { sysroot } = found as { sysroot: string };
  const [command, options] = tsemuCommand(['-L', sysroot, join(sysroot, path), ...args]);
  return spawn(command, options, { cwd, env: sysrootEnvironment, stdio: 'ignore' });
}

/** Sends `request` once somebody listens, and gives the answer's first `length` bytes. */
async function ask(port: number, request: string, length: number): Promise<string> {
  for (;;) {
    const socket = connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
    } catch {
      await sleep(200);
      continue;
    }
    socket.write(request);
    let answer = '';
    for await (const chunk of socket) {
      answer += String(chunk);
      if (answer.length >= length) break;
    }
    return answer.slice(0, length);
  }
}

/** A command in Redis's protocol. */
const command = (...words: string[]): string =>
  `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`;

describe.skipIf(reason !== undefined)(`servers of Debian${reason ? ` (skipped: ${reason})` : ''}`, () => {
  test('redis answers clients of the host', async () => {
    const port = await freePort();
    const server = start(freshWorkdir('servers-redis', {}), 'usr/bin/redis-server', [
      ...['--port', String(port), '--save', '', '--bind', '127.0.0.1'],
    ]);
    try {
      expect(await ask(port, command('SET', 'a', '5') + command('INCR', 'a'), 9)).toBe('+OK\r\n:6\r\n');
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          ask(port, command('APPEND', `k${i}`, 'x'.repeat(i + 1)), 1 + `${i + 1}`.length),
        ),
      );
      expect(answers).toEqual(Array.from({ length: 20 }, (_, i) => `:${i + 1}`));
      const exit = once(server, 'exit');
      await ask(port, command('SHUTDOWN', 'NOSAVE'), 1);
      expect(await exit).toEqual([0, null]);
    } finally {
      server.kill('SIGKILL');
    }
  }, 150_000);

  test('nginx answers many at once', async () => {
    const port = await freePort();
    const text = 'line\n'.repeat(20_000);
    const cwd = freshWorkdir('servers-nginx', { 'www/a.txt': text });
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path t;`);
    writeFileSync(
      join(cwd, 'nginx.conf'),
      `user root root; daemon off; master_process off; error_log error.log; pid nginx.pid; events {} http { access_log off; ${temporary.join(' ')} server { listen 127.0.0.1:${port}; root www; } }`,
    );
    const server = start(cwd, 'usr/sbin/nginx', ['-p', `${cwd}/`, '-c', 'nginx.conf', '-e', 'error.log']);
    try {
      await ask(port, 'GET / HTTP/1.0\r\n\r\n', 1);
      const url = `http://127.0.0.1:${port}`;
      const pages = await Promise.all(Array.from({ length: 30 }, async () => (await fetch(`${url}/a.txt`)).text()));
      expect(pages.every((page) => page === text)).toBe(true);
      expect((await fetch(`${url}/none`)).status).toBe(404);
    } finally {
      server.kill('SIGKILL');
    }
  }, 150_000);
});
