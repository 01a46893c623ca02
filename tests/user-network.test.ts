import { createHash, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { InstructionClock } from '#system/clock.ts';
import { readNetdev } from '#system/net/options.ts';
import { checksum, etherTypes, parseUdp, protocols, viewOf } from '#system/net/packets.ts';
import { flags } from '#system/net/tcp-segment.ts';
import { UserNetwork } from '#system/net/user.ts';
import { OptionString } from '#system/option-string.ts';
import { Prng } from './random/prng.ts';
import { address, freePort, NetworkPeer, TcpPeer } from './support/network-peer.ts';

const host = address('10.0.2.2');
const dns = address('10.0.2.3');
const open: (() => void)[] = [];
afterEach(() => {
  for (const close of open.splice(0)) close();
});

async function network(options = '') {
  const clock = new InstructionClock(0);
  const net = new UserNetwork(readNetdev(new OptionString('-netdev', `user,id=n${options}`)));
  await net.start(clock);
  open.push(() => net.close());
  const pass = (seconds: number): void => {
    clock.advance(seconds * 1e9);
    clock.runDue();
  };
  return { net, peer: new NetworkPeer(net), pass };
}

/** A server of the host; returns its port. */
async function serve(use: (socket: Socket) => void, allowHalfOpen = false): Promise<number> {
  const server = createServer({ allowHalfOpen }, (socket) => {
    socket.on('error', () => {});
    use(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

const bytesOf = (random: Prng, count: number): Uint8Array =>
  Uint8Array.from({ length: count }, () => random.below(256));

/** An echo request of ICMP with `data`. */
function echo(data: Uint8Array): Uint8Array {
  const message = new Uint8Array(8 + data.length);
  message[0] = 8;
  message.set(data, 8);
  viewOf(message).setUint16(2, checksum(message));
  return message;
}

test('the gateway and the name server have cards, others have none', async () => {
  const { peer } = await network();
  expect([...peer.arp(host)!]).toEqual([0x52, 0x55, 10, 0, 2, 2]);
  expect([...peer.arp(dns)!]).toEqual([0x52, 0x55, 10, 0, 2, 2]);
  expect(peer.arp(address('10.0.2.99'))).toBeUndefined();
});

test('the gateway answers pings, also of more than a frame; others cannot be pinged', async () => {
  const { peer } = await network();
  const data = randomBytes(4000);
  peer.sendIp(protocols.icmp, host, echo(data));
  expect(peer.frames).toHaveLength(3);
  expect(peer.next(protocols.icmp)!.payload[0]).toBe(0);
  peer.frames = [];
  peer.sendIp(protocols.icmp, address('192.0.2.1'), echo(data.subarray(0, 20)));
  const refusal = peer.next(protocols.icmp)!;
  expect([refusal.source, ...refusal.payload.subarray(0, 2)]).toEqual([host, 3, 13]);
});

test('DHCP gives the card its address, gateway and name server', async () => {
  const { peer } = await network(',hostname=box');
  const ask = (type: number, more: readonly number[] = []) => {
    const message = new Uint8Array(300);
    message.set([1, 1, 6, 0, 1, 2, 3, 4]);
    message.set(peer.mac, 28);
    message.set([0x63, 0x82, 0x53, 0x63, 53, 1, type, ...more, 255], 236);
    peer.sendUdp(0xffffffff, 68, 67, message);
    const { sourcePort, targetPort, data } = parseUdp(peer.next(protocols.udp)!)!;
    expect([sourcePort, targetPort, ...data.subarray(0, 8)]).toEqual([67, 68, 2, 1, 6, 0, 1, 2, 3, 4]);
    return data;
  };
  const offer = ask(1);
  expect([offer[242], ...offer.subarray(16, 20)]).toEqual([2, 10, 0, 2, 15]);
  const ack = ask(3, [50, 4, 10, 0, 2, 15, 54, 4, 10, 0, 2, 2]);
  const options = [53, 1, 5, 54, 4, 10, 0, 2, 2, 1, 4, 255, 255, 255, 0, 3, 4, 10, 0, 2, 2, 6, 4, 10, 0, 2, 3];
  expect([...ack.subarray(240, 267)]).toEqual(options);
  expect(Buffer.from(ack).includes('\x0c\x03box')).toBe(true);
  // Somebody else's address.
  expect(ask(3, [50, 4, 10, 0, 2, 77])[242]).toBe(6);
});

test('names are looked up by the host', async () => {
  const { peer } = await network();
  const ask = async (name: readonly number[], type: number) => {
    const query = Uint8Array.from([0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...name, 0, type, 0, 1]);
    peer.sendUdp(dns, 5000, 53, query);
    return parseUdp(await peer.wait(protocols.udp))!.data;
  };
  const localhost = [9, ...Buffer.from('localhost'), 0];
  const found = await ask(localhost, 1);
  expect([...found.subarray(0, 6)]).toEqual([0xab, 0xcd, 0x81, 0x80, 0, 1]);
  expect([...found.subarray(-4)]).toEqual([127, 0, 0, 1]);
  // A type that is not served, and a name that points at itself.
  expect((await ask(localhost, 250))[3]! & 15).toBe(4);
  expect((await ask([0xc0, 12], 1))[3]! & 15).toBe(1);
});

test('UDP goes to the host and back, in parts if it is long', async () => {
  const { peer } = await network();
  const server = createSocket('udp4', (message, from) =>
    server.send(Buffer.from(message).reverse(), from.port, from.address),
  );
  await new Promise<void>((resolve) => server.bind(0, '127.0.0.1', resolve));
  open.push(() => server.close());
  const { port } = server.address();
  peer.sendUdp(host, 7000, port, Buffer.from('hello'));
  const packet = await peer.wait(protocols.udp);
  const { sourcePort, targetPort, data } = parseUdp(packet)!;
  expect([packet.source, sourcePort, targetPort, Buffer.from(data).toString()]).toEqual([host, port, 7000, 'olleh']);
  peer.sendUdp(host, 7000, port, new Uint8Array(3000));
  await peer.wait(protocols.udp);
  expect((await peer.wait(protocols.udp)).more).toBe(true);
  expect(await peer.wait(protocols.udp)).toMatchObject({ more: false, offset: 2960 });
});

test('TCP: words there and back, half-closed by the guest, closed by the host', async () => {
  const { net, peer } = await network();
  const port = await serve((socket) => {
    socket.on('data', (bytes) => socket.write(`<${bytes.toString()}>`));
    socket.on('end', () => setTimeout(() => socket.end('bye'), 20));
  }, true);
  const tcp = new TcpPeer(peer, 40000, host, port);
  expect(await tcp.connect()).toBe(true);
  tcp.write('one');
  await tcp.until(() => tcp.text === '<one>');
  expect(net.connectionsText).toMatch(/TCP\[OPEN\] +10\.0\.2\.15:40000 +10\.0\.2\.2:\d+ +0/);
  tcp.end();
  await tcp.until(() => tcp.ended);
  expect(tcp.text).toBe('<one>bye');
  await tcp.until(() => !net.connectionsText.includes('TCP'));
});

test('TCP: what is not there is refused, what is reset is reset', async () => {
  const { net, peer } = await network();
  expect(await new TcpPeer(peer, 40001, host, await freePort()).connect()).toBe(false);
  const closed: boolean[] = [];
  const port = await serve((socket) => {
    socket.on('close', (failed) => closed.push(failed));
    socket.on('data', (bytes) => bytes.toString() === 'reset' && socket.resetAndDestroy());
  });
  const ours = new TcpPeer(peer, 40002, host, port);
  await ours.connect();
  ours.send(flags.rst);
  await ours.until(() => closed.length === 1);
  expect(closed).toEqual([true]);
  const theirs = new TcpPeer(peer, 40003, host, port);
  await theirs.connect();
  theirs.write('reset');
  await theirs.until(() => theirs.wasReset);
  expect(net.connectionsText).not.toContain('TCP');
  // A segment of no connection.
  const stray = new TcpPeer(peer, 40004, host, port);
  stray.send(flags.ack, Buffer.from('x'));
  expect((await stray.segment()).flags).toBe(flags.rst);
});

test('TCP: a megabyte for the guest, of which one segment in eleven is lost', async () => {
  const { peer, pass } = await network();
  const sent = randomBytes(1 << 20);
  const port = await serve((socket) => socket.end(sent));
  const tcp = new TcpPeer(peer, 40005, host, port);
  tcp.window = 20_000;
  await tcp.connect();
  // Nothing is acknowledged: what is under way stays within the window.
  await new Promise((resolve) => setTimeout(resolve, 50));
  const underWay = peer.frames.reduce((bytes, frame) => bytes + frame.length - 54, 0);
  expect([underWay > 0, underWay <= 20_000]).toEqual([true, true]);
  // By chance: what is sent again in bursts of eleven would lose its first one each time.
  const random = new Prng(11);
  const lose = (): boolean => random.below(11) === 0;
  await tcp.until(
    () => tcp.ended,
    lose,
    () => pass(0.05),
  );
  const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');
  expect(md5(Buffer.concat(tcp.received))).toBe(md5(sent));
});

test('TCP: a closed window and a card without buffers hold the host up until they open', async () => {
  const { net, peer, pass } = await network();
  const port = await serve((socket) => socket.write(Buffer.alloc(300_000, 'x')));
  const tcp = new TcpPeer(peer, 40006, host, port);
  tcp.window = 0;
  await tcp.connect();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(peer.frames).toHaveLength(0);
  // It asks whether the window is still closed.
  for (let second = 0; second < 200; second++) {
    pass(1);
    tcp.take((segment) => segment.data.length > 0);
    tcp.send(flags.ack);
  }
  expect(tcp.wasReset).toBe(false);
  tcp.window = 0xffff;
  tcp.send(flags.ack);
  await tcp.until(
    () => tcp.text.length > 100_000,
    undefined,
    () => pass(0.05),
  );
  tcp.take();
  peer.accepting = false;
  for (let turn = 0; turn < 50; turn++) {
    await new Promise(setImmediate);
    tcp.send(flags.ack);
  }
  expect(peer.frames).toHaveLength(0);
  peer.accepting = true;
  net.ready();
  await tcp.until(
    () => tcp.text.length === 300_000,
    undefined,
    () => pass(0.05),
  );
});

test('TCP: a guest that does not read holds the host up', async () => {
  const { peer } = await network();
  let written = false;
  const port = await serve((socket) => socket.write(Buffer.alloc(64 << 20), () => (written = true)));
  const tcp = new TcpPeer(peer, 40010, host, port);
  await tcp.connect();
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setTimeout(resolve, 2));
  expect(written).toBe(false);
});

test('TCP: a host that does not read holds the guest up', async () => {
  const { peer } = await network();
  let theirs: Socket | undefined;
  const port = await serve((socket) => {
    theirs = socket;
    socket.pause();
  });
  const tcp = new TcpPeer(peer, 40007, host, port);
  await tcp.connect();
  let sent = 0;
  let allowed = 0xffff;
  const piece = new Uint8Array(1460);
  // Up to what was allowed, until nothing more is for a while.
  for (let idle = 0; idle < 200; ) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    for (let packet = peer.next(protocols.tcp); packet; packet = peer.next(protocols.tcp)) {
      const view = viewOf(packet.payload);
      allowed = Math.max(allowed, view.getUint32(8) - 1001 + (view.getUint16(14) << 4));
    }
    if (sent + piece.length > allowed) idle++;
    for (; sent + piece.length <= allowed; sent += piece.length, idle = 0) {
      tcp.send(flags.ack, piece);
      tcp.sequence += piece.length;
    }
    if (sent > 50e6) throw new Error('the guest is never held up');
  }
  let read = 0;
  theirs!.on('data', (bytes) => (read += bytes.length)).resume();
  await tcp.until(() => read === sent);
  expect(sent).toBeGreaterThan(1 << 18);
});

test('hostfwd leads to the guest, by TCP and UDP, under -netdev restrict=on too', async () => {
  const [tcpPort, udpPort] = [await freePort(), await freePort()];
  const forwards = `hostfwd=tcp:127.0.0.1:${tcpPort}-:80,hostfwd=udp:127.0.0.1:${udpPort}-10.0.2.15:69`;
  const { peer } = await network(`,restrict=on,${forwards}`);
  const client = connect(tcpPort, '127.0.0.1');
  let text = '';
  client.on('data', (bytes) => (text += bytes.toString()));
  // The guest is not known yet: it is asked for.
  await new Promise((resolve) => client.on('connect', resolve));
  for (let turn = 0; turn < 200 && peer.frames.length === 0; turn++)
    await new Promise((resolve) => setTimeout(resolve, 5));
  expect(viewOf(peer.frames[0]!).getUint16(12)).toBe(etherTypes.arp);
  peer.arp(host);
  const tcp = new TcpPeer(peer, 80, host, client.localPort!);
  await tcp.accept();
  client.write('question');
  await tcp.until(() => tcp.text === 'question');
  tcp.write('answer');
  tcp.end();
  await tcp.until(() => text === 'answer');
  client.end();
  await tcp.until(() => tcp.ended);
  const asker = createSocket('udp4');
  open.push(() => asker.close());
  asker.send('ping', udpPort, '127.0.0.1');
  const packet = await peer.wait(protocols.udp);
  const datagram = parseUdp(packet)!;
  expect([packet.source, datagram.targetPort, Buffer.from(datagram.data).toString()]).toEqual([host, 69, 'ping']);
  const answered = new Promise((resolve) => asker.on('message', (message) => resolve(message.toString())));
  peer.sendUdp(host, 69, datagram.sourcePort, Buffer.from('pong'));
  expect(await answered).toBe('pong');
  // Restricted: no connection out, no names.
  expect(await new TcpPeer(peer, 40008, host, tcpPort).connect()).toBe(false);
});

test('frames that make no sense do no harm', async () => {
  const { peer, net } = await network();
  const port = await serve((socket) => socket.pipe(socket));
  const tcp = new TcpPeer(peer, 40009, host, port);
  await tcp.connect();
  const random = new Prng(1);
  peer.arp(host);
  const samples = [
    () => peer.sendUdp(host, random.below(3), 0, bytesOf(random, 10)),
    () => new TcpPeer(peer, random.below(3), host, 0).send(flags.syn),
    () => peer.sendIp(protocols.icmp, host, echo(bytesOf(random, 30))),
    () => peer.sendUdp(0xffffffff, 68, 67, bytesOf(random, 300)),
    () => peer.sendUdp(dns, 53, 53, bytesOf(random, random.below(60))),
    () => peer.sendUdp(address('10.0.2.44'), 53, 53, bytesOf(random, random.below(60))),
    () => tcp.send(random.below(64), bytesOf(random, random.below(100)), { sequence: random.u32() }),
    () => tcp.send(flags.syn, undefined, { options: [...bytesOf(random, 8)] }),
    () => new TcpPeer(peer, random.below(65536), host, 1).send(random.below(64)),
    () => peer.sendIp(random.below(256), random.u32(), bytesOf(random, 50)),
  ];
  const kept: Uint8Array[] = [];
  const send = net.send.bind(net);
  net.send = (frame) => {
    kept.push(frame);
    send(frame);
  };
  for (let i = 0; i < 500; i++) samples[random.below(samples.length - 1)]!();
  for (let i = 0; i < 5000; i++) {
    const frame = kept[random.below(kept.length)]!.slice(0, random.below(4) === 0 ? random.below(80) : undefined);
    for (let k = random.below(4); k > 0; k--)
      if (frame.length > 14) frame[14 + random.below(frame.length - 14)] = random.below(256);
    // Only within the network: others are not to be bothered.
    const target = frame.length >= 34 ? viewOf(frame).getUint32(30) : 0;
    if (target >>> 8 === host >>> 8 || target === 0) send(frame);
  }
  peer.frames = [];
  peer.sendIp(protocols.icmp, host, echo(new Uint8Array(8)));
  expect(peer.next(protocols.icmp)?.payload[0]).toBe(0);
});

test.each([
  ['tap,id=n', "unknown kind 'tap': user"],
  ['user,id=n,net=10.0.2.0/31', 'net=10.0.2.0/31: no network'],
  ['user,id=n,host=192.168.1.1', 'host=192.168.1.1: no address in the network'],
  ['user,id=n,dns=10.0.2.2', 'host, dns and dhcpstart must differ'],
  ['user,id=n,hostfwd=tcp:80-90', 'hostfwd=tcp:80-90: tcp|udp:[HOSTADDR]:PORT-[GUESTADDR]:PORT'],
  ['user,id=n,frob=1', "unknown property 'frob'"],
])('-netdev %s is refused', (text, why) => {
  expect(() => readNetdev(new OptionString('-netdev', text))).toThrow(`-netdev ${text}: ${why}`);
});
