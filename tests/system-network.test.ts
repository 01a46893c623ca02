import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer as createWebServer } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Unavailable } from './support/cache.ts';
import { debianKernel, runMachine, testInitramfs } from './support/linux-machine.ts';
import { freePort } from './support/network-peer.ts';
import { QmpClient } from './support/qmp-client.ts';

async function prepare() {
  try {
    const { image } = await debianKernel();
    return { image, initrd: await testInitramfs(['virtio_mmio', 'virtio_net']), reason: undefined };
  } catch (error) {
    if (error instanceof Unavailable) return { image: '', initrd: '', reason: error.message };
    throw error;
  }
}

const { image, initrd, reason } = await prepare();
if (reason !== undefined) console.warn(`system-network: ${reason}`);

const folder = mkdtempSync(join(tmpdir(), 'tsemu-'));
afterAll(() => rmSync(folder, { recursive: true }));

const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** What the guest's web server has at `url`, as soon as it answers. */
async function fetched(url: string): Promise<string> {
  for (;;) {
    try {
      return await (await fetch(url, { signal: AbortSignal.timeout(20_000) })).text();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

test.skipIf(reason !== undefined)('Debian’s kernel has a network', { timeout: 300_000 }, async () => {
  const download = randomBytes(1 << 20);
  const web = createWebServer((_, response) => response.end(download));
  const uploaded: Buffer[] = [];
  const sink = createServer((socket) => socket.on('data', (bytes: Buffer) => uploaded.push(bytes)));
  const [webPort, sinkPort, forwarded] = [await listen(web), await listen(sink), await freePort()];
  const qmp = join(folder, 'qmp');
  const append = 'console=ttyAMA0 quiet nokaslr cryptomgr.notests=1 ts.mods';
  const run = runMachine([
    ...['-M', 'virt', '-m', '128', '-kernel', image, '-initrd', initrd, '-nographic', '-no-reboot'],
    ...['-append', `${append} ts.net=${webPort},${sinkPort}`],
    ...['-netdev', `user,id=lan,hostname=box,hostfwd=tcp:127.0.0.1:${forwarded}-:80`],
    ...['-device', 'virtio-net-device,netdev=lan,mac=52:54:00:aa:bb:cc'],
    ...['-qmp', `unix:${qmp},server,nowait`],
  ]);
  const client = await QmpClient.connect(qmp);
  // The guest is not up yet, and stands still for a moment.
  await client.execute('stop');
  expect(await client.human('info status')).toBe('VM status: paused\r\n');
  await client.execute('cont');
  const network = await client.human('info network');
  expect(network).toContain('net0: index=0,type=nic,model=virtio-net-device,macaddr=52:54:00:aa:bb:cc');
  expect(network).toContain(
    'lan: index=0,type=user,net=10.0.2.0/255.255.255.0,host=10.0.2.2,dns=10.0.2.3,restrict=off',
  );
  expect(await fetched(`http://127.0.0.1:${forwarded}/hello`)).toBe('hello from the guest\n');
  expect(await client.human('info usernet')).toContain('TCP[HOST_FORWARD]');
  // The guest ends when this is asked for.
  const end = await fetch(`http://127.0.0.1:${forwarded}/cgi-bin/end`);
  expect(await end.text()).toBe('ending\n');
  const { output, errors, status } = await run;
  web.close();
  sink.close();
  const marks = output.split(/\r?\n/).filter((line) => line.startsWith('@@'));
  expect({ marks, errors, status }).toEqual({
    marks: [
      '@@INIT',
      '@@LEASE 10.0.2.15 255.255.255.0 10.0.2.2 10.0.2.3 box',
      '@@PING ok',
      '@@NAME 127.0.0.1',
      `@@DOWNLOAD ${md5(download)}  -`,
      '@@UPLOAD done',
      '@@REFUSED ok',
      '@@NETDONE',
    ],
    errors: '',
    status: 0,
  });
  expect(md5(Buffer.concat(uploaded))).toBe(md5(new Uint8Array(1 << 20)));
  expect(client.events.at(-1)).toMatchObject({ event: 'SHUTDOWN', data: { guest: true, reason: 'guest-shutdown' } });
});
