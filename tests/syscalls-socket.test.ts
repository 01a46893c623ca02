import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { NetworkRequest } from '#linux-user/net/gate.ts';
import { Errno, errnoNumbers } from '#util/errno.ts';
import { SyscallRig } from './support/syscall-rig.ts';

const [AF_UNIX, AF_INET] = [1, 2];
const [SOCK_STREAM, SOCK_DGRAM] = [1, 2];
const O_NONBLOCK = 0o4000;
const MSG_DONTWAIT = 0x40;
const EPOLLIN = 1;
const EPOLLEXCLUSIVE = 1 << 28;

let rig: SyscallRig;
let asked: NetworkRequest[];
let refuse = false;
beforeEach(() => {
  asked = [];
  refuse = false;
  rig = new SyscallRig({
    strace: true,
    gate(request) {
      asked.push(request);
      if (refuse) throw new Errno('EPERM');
    },
  });
});
afterEach(() => rig.end());

const call = (name: string, ...args: (number | string)[]): number => rig.call(name, ...args);

/** A sockaddr_in on loopback. */
function inet(port: number): number {
  const at = rig.room(16);
  rig.memory.write(at, Uint8Array.of(AF_INET, 0, port >> 8, port & 255, 127, 0, 0, 1));
  return at;
}

function unix(path: string): number {
  const at = rig.room(110);
  rig.memory.write(at, Buffer.from(`\x01\0${path}\0`));
  return at;
}

function portOf(fd: number): number {
  const at = rig.room(16);
  const length = rig.room(4);
  rig.memory.store32(length, 16);
  call('getsockname', fd, at, length);
  return (rig.memory.load8(at + 2) << 8) | rig.memory.load8(at + 3);
}

function pair(): readonly [number, number] {
  const at = rig.room(8);
  expect(call('socketpair', AF_UNIX, SOCK_STREAM, 0, at)).toBe(0);
  return [rig.memory.load32(at), rig.memory.load32(at + 4)];
}

describe('the gate', () => {
  test('is asked before binds, connects and sends, and its refusal is the answer', () => {
    const tcp = call('socket', AF_INET, SOCK_STREAM, 0);
    const udp = call('socket', AF_INET, SOCK_DGRAM, 0);
    const local = call('socket', AF_UNIX, SOCK_STREAM, 0);
    refuse = true;
    const denied = -errnoNumbers.EPERM;
    expect(call('bind', tcp, inet(0), 16)).toBe(denied);
    expect(call('connect', tcp, inet(9), 16)).toBe(denied);
    expect(call('bind', udp, inet(0), 16)).toBe(denied);
    expect(call('connect', udp, inet(9), 16)).toBe(denied);
    expect(call('sendto', udp, 'x', 1, 0, inet(9), 16)).toBe(denied);
    expect(call('bind', local, unix('name'), 110)).toBe(denied);
    expect(call('connect', local, unix('name'), 110)).toBe(denied);
    expect(asked.map(({ action, protocol }) => `${protocol} ${action}`)).toEqual([
      'tcp bind',
      'tcp connect',
      'udp bind',
      'udp connect',
      'udp send',
      'unix bind',
      'unix connect',
    ]);
    expect(asked[1].address).toEqual({ family: 'inet', host: '127.0.0.1', port: 9 });
  });

  test('a socket that it has not refused works as ever', () => {
    const tcp = call('socket', AF_INET, SOCK_STREAM, 0);
    expect(call('bind', tcp, inet(0), 16)).toBe(0);
    expect(portOf(tcp)).toBeGreaterThan(0);
  });
});

describe('waiting', () => {
  test('a receive sleeps until there is something', async () => {
    const [one, other] = pair();
    const to = rig.room(8);
    const sleeping = rig.dispatch('recv', one, to, 8, 0);
    expect(sleeping).toBeInstanceOf(Promise);
    expect(call('send', other, 'text', 4, 0)).toBe(4);
    expect(await sleeping).toBe(4);
    expect(rig.text(to, 4)).toBe('text');
  });

  test('memory taken away meanwhile is EFAULT, and the bytes stay', async () => {
    const [one, other] = pair();
    const to = call('mmap2', 0, 4096, 3, 0x22, -1, 0);
    const sleeping = rig.dispatch('recv', one, to, 8, 0);
    call('munmap', to, 4096);
    call('send', other, 'text', 4, 0);
    expect(await sleeping).toBe(-errnoNumbers.EFAULT);
    expect(call('recv', one, rig.room(8), 8, MSG_DONTWAIT)).toBe(4);
  });

  test('a signal ends it: to be made again, or EINTR where there is a timeout', async () => {
    const [one] = pair();
    const forever = rig.dispatch('recv', one, rig.room(8), 8, 0);
    rig.task.interrupt();
    expect(await forever).toBe(-errnoNumbers.ERESTARTSYS);
    rig.task.signalPending = false;
    const time = rig.room(8);
    rig.memory.store32(time, 1000);
    expect(call('setsockopt', one, 1, 20, time, 8)).toBe(0);
    const limited = rig.dispatch('recv', one, rig.room(8), 8, 0);
    rig.task.interrupt();
    expect(await limited).toBe(-errnoNumbers.EINTR);
  });

  test('a connect waits for room in the queue of a listener', async () => {
    const server = call('socket', AF_INET, SOCK_STREAM | O_NONBLOCK, 0);
    call('bind', server, inet(0), 16);
    call('listen', server, 0);
    const to = inet(portOf(server));
    expect(call('connect', call('socket', AF_INET, SOCK_STREAM, 0), to, 16)).toBe(0);
    const second = rig.dispatch('connect', call('socket', AF_INET, SOCK_STREAM, 0), to, 16);
    expect(second).toBeInstanceOf(Promise);
    expect(call('accept', server, 0, 0)).toBeGreaterThan(0);
    expect(await second).toBe(0);
    expect(call('accept', server, 0, 0)).toBeGreaterThan(0);
    expect(await rig.dispatch('accept', server, 0, 0)).toBe(-errnoNumbers.EAGAIN);
  });
});

test('of those that wait with EPOLLEXCLUSIVE, one event wakes one', async () => {
  const event = rig.room(16);
  rig.memory.store32(event, EPOLLIN | EPOLLEXCLUSIVE);
  const counter = call('eventfd2', 0, 0);
  const answers: number[] = [];
  for (let i = 0; i < 3; i++) {
    const epoll = call('epoll_create1', 0);
    expect(call('epoll_ctl', epoll, 1, counter, event)).toBe(0);
    const waiting = rig.dispatch('epoll_wait', epoll, rig.room(16), 1, -1) as Promise<number>;
    void waiting.then((found) => answers.push(found));
  }
  const one = rig.room(8);
  rig.memory.store32(one, 1);
  call('write', counter, one, 8);
  await new Promise((resolve) => setImmediate(resolve));
  expect(answers).toEqual([1]);
  call('write', counter, one, 8);
  await new Promise((resolve) => setImmediate(resolve));
  expect(answers).toEqual([1, 1]);
});

test('descriptors on their way count: a pipe lives until the message is gone', () => {
  const [one, other] = pair();
  const ends = rig.room(8);
  call('pipe', ends);
  const [reader, writer] = [rig.memory.load32(ends), rig.memory.load32(ends + 4)];
  const control = rig.room(16);
  [16, 1, 1, writer].forEach((word, i) => rig.memory.store32(control + 4 * i, word));
  const vector = rig.room(8);
  rig.memory.store32(vector, rig.string('x'));
  rig.memory.store32(vector + 4, 1);
  const message = rig.room(28);
  [0, 0, vector, 1, control, 16, 0].forEach((word, i) => rig.memory.store32(message + 4 * i, word));
  expect(call('sendmsg', one, message, 0)).toBe(1);
  call('close', writer);
  call('fcntl64', reader, 4, O_NONBLOCK);
  expect(call('read', reader, rig.room(8), 8)).toBe(-errnoNumbers.EAGAIN);
  call('close', other);
  expect(call('read', reader, rig.room(8), 8)).toBe(0);
});

describe('strace', () => {
  function line(name: string, ...args: (number | string)[]): string {
    rig.trace = '';
    call(name, ...args);
    return rig.trace
      .slice(`${process.pid} `.length, -1)
      .replace(/0x[4-9a-f][0-9a-f]{7}/g, 'POINTER')
      .replace(/htons\([1-9]\d*\)/g, 'htons(PORT)');
  }

  test('names', () => {
    expect(line('socket', AF_INET, SOCK_STREAM | O_NONBLOCK, 6)).toBe(
      'socket(AF_INET, SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 0',
    );
    expect(line('bind', 0, inet(0), 16)).toBe(
      'bind(0, {sa_family=AF_INET, sin_port=htons(0), sin_addr=inet_addr("127.0.0.1")}, 16) = 0',
    );
    const [at, length] = [rig.room(128), rig.room(4)];
    rig.memory.store32(length, 128);
    expect(line('getsockname', 0, at, length)).toBe(
      'getsockname(0, {sa_family=AF_INET, sin_port=htons(PORT), sin_addr=inet_addr("127.0.0.1")}, [16]) = 0',
    );
    expect(line('connect', 0, unix('x'), 4)).toBe(
      'connect(0, {sa_family=AF_UNIX, sun_path="x"}, 4) = -1 EAFNOSUPPORT (Address family not supported by protocol)',
    );
    const six = rig.room(28);
    rig.memory.write(six, Uint8Array.of(10, 0, 0, 80, 0, 0, 0, 0, 0x20, 1, 0x0d, 0xb8));
    rig.memory.store8(six + 23, 1);
    expect(line('connect', 0, six, 28)).toBe(
      'connect(0, {sa_family=AF_INET6, sin6_port=htons(PORT), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "2001:db8::1", &sin6_addr), sin6_scope_id=0}, 28) = -1 EAFNOSUPPORT (Address family not supported by protocol)',
    );
    expect(line('accept4', 0, 0, 0, 0o2000000)).toBe(
      'accept4(0, NULL, NULL, SOCK_CLOEXEC) = -1 EINVAL (Invalid argument)',
    );
    expect(line('shutdown', 0, 2)).toBe('shutdown(0, SHUT_RDWR) = -1 ENOTCONN (Transport endpoint is not connected)');
  });

  test('messages', () => {
    const [one, other] = pair();
    expect(line('send', one, 'hello', 5, MSG_DONTWAIT | 0x4000)).toBe(
      `send(${one}, "hello", 5, MSG_DONTWAIT|MSG_NOSIGNAL) = 5`,
    );
    const vector = rig.room(8);
    rig.memory.store32(vector, rig.room(8));
    rig.memory.store32(vector + 4, 8);
    const message = rig.room(28);
    [0, 0, vector, 1, 0, 0, 0].forEach((word, i) => rig.memory.store32(message + 4 * i, word));
    expect(line('recvmsg', other, message, 0)).toBe(
      `recvmsg(${other}, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="hello", iov_len=8}], msg_iovlen=1, msg_controllen=0, msg_flags=0}, 0) = 5`,
    );
  });

  test('options and epoll', () => {
    const [one] = pair();
    const [value, length] = [rig.room(8), rig.room(4)];
    rig.memory.store32(value, 1);
    rig.memory.store32(length, 8);
    expect(line('setsockopt', one, 1, 16, value, 4)).toBe(`setsockopt(${one}, SOL_SOCKET, SO_PASSCRED, [1], 4) = 0`);
    expect(line('getsockopt', one, 1, 13, value, length)).toBe(
      `getsockopt(${one}, SOL_SOCKET, SO_LINGER, {l_onoff=0, l_linger=0}, [8]) = 0`,
    );
    expect(line('epoll_create1', 0o2000000)).toBe('epoll_create1(O_CLOEXEC) = 2');
    const event = rig.room(16);
    rig.memory.store32(event, 0x80000005);
    rig.memory.store32(event + 8, 7);
    expect(line('epoll_ctl', 2, 1, one, event)).toBe(
      `epoll_ctl(2, EPOLL_CTL_ADD, ${one}, {events=EPOLLIN|EPOLLOUT|EPOLLET, data={u32=7, u64=7}}) = 0`,
    );
    expect(line('epoll_wait', 2, event, 1, 0)).toBe(
      'epoll_wait(2, [{events=EPOLLOUT, data={u32=7, u64=7}}], 1, 0) = 1',
    );
  });
});
