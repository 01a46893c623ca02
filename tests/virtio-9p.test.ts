import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Virtio9p } from '#hw/virtio/9p/device.ts';
import { MessageReader, MessageWriter } from '#hw/virtio/9p/message.ts';
import { LocalFolder } from '#system/fsdev/local.ts';
import { VirtioDriver } from './support/virtio-driver.ts';
import { freshWorkdir } from './support/workdir.ts';

const failed = 7;
const errno = {
  ENOENT: 2,
  EBADF: 9,
  ENOTDIR: 20,
  EINVAL: 22,
  EROFS: 30,
  ELOOP: 40,
  EPROTO: 71,
  EOPNOTSUPP: 95,
} as const;
const noFid = 0xffffffff;

/** A client with fid 0 attached to the folder `shared` of `name`, beside which there is a file `secret`. */
function client(name: string, readOnly = false) {
  const folder = freshWorkdir(name, { 'shared/file': 'contents', 'shared/dir/a': 'A', secret: 'secret' });
  symlinkSync('../secret', join(folder, 'shared/out'));
  symlinkSync('..', join(folder, 'shared/up'));
  const driver = new VirtioDriver(new Virtio9p(new LocalFolder(join(folder, 'shared'), readOnly), 'tag'));
  /** Sends a message; answers what comes back after its head, or the error's number. */
  const ask = (type: number, write: (to: MessageWriter) => void): MessageReader | number => {
    const body = new MessageWriter();
    write(body);
    const message = new MessageWriter()
      .u32(7 + body.length)
      .u8(type)
      .u16(1)
      .data(body.result).result;
    const [bytes] = driver.request(0, [message.slice(), 8192]);
    const answer = new MessageReader(bytes!);
    expect(answer.u32()).toBe(bytes!.length);
    const kind = answer.u8();
    answer.u16();
    if (kind === failed) return answer.u32();
    expect(kind).toBe(type + 1);
    return answer;
  };
  const walk = (fid: number, newFid: number, ...names: string[]) =>
    ask(110, (to) => {
      to.u32(fid).u32(newFid).u16(names.length);
      for (const part of names) to.text(part);
    });
  ask(100, (to) => to.u32(8192).text('9P2000.L'));
  ask(104, (to) => to.u32(0).u32(noFid).text('root').text('').u32(0));
  return { folder, driver, ask, walk };
}

const number = (answer: MessageReader | number): number => (typeof answer === 'number' ? answer : 0);
const count = (answer: MessageReader | number): number => (typeof answer === 'number' ? -answer : answer.u16());

test('files are found, read and written', () => {
  const { folder, driver, ask, walk } = client('9p-files');
  expect(Buffer.from([0x100, 0x101, 0x102, 0x103, 0x104].map((at) => driver.transport.read(at, 1)))).toEqual(
    Buffer.from([3, 0, 0x74, 0x61, 0x67]),
  );
  expect(count(walk(0, 1, 'dir', 'a'))).toBe(2);
  expect(number(ask(12, (to) => to.u32(1).u32(2)))).toBe(0);
  expect(number(ask(118, (to) => to.u32(1).u64(1).u32(3).data(Buffer.from('xyz'))))).toBe(0);
  const read = ask(116, (to) => to.u32(1).u64(0).u32(100)) as MessageReader;
  expect(Buffer.from(read.data(read.u32())).toString()).toBe('Axyz');
  expect(readFileSync(join(folder, 'shared/dir/a'), 'utf8')).toBe('Axyz');
  // Renamed while it is open, by the directory's name
  expect(number(walk(0, 2))).toBe(0);
  expect(number(ask(74, (to) => to.u32(2).text('dir').u32(2).text('other')))).toBe(0);
  expect(number(ask(24, (to) => to.u32(1).u64(0x7ff)))).toBe(0);
  expect(number(walk(1, 3))).toBe(0);
  expect(number(ask(24, (to) => to.u32(3).u64(0x7ff)))).toBe(0);
});

test('nothing outside the folder is reached', () => {
  const { folder, ask, walk } = client('9p-outside');
  expect(count(walk(0, 1, '..', '..', 'secret'))).toBe(2);
  expect(number(walk(0, 1, 'no', 'x'))).toBe(errno.ENOENT);
  for (const name of ['../secret', '/etc/passwd', '', 'a\0b']) expect(number(walk(0, 1, name))).toBe(errno.ENOENT);
  // A link is a link: neither opened nor walked through
  expect(count(walk(0, 1, 'out'))).toBe(1);
  expect(number(ask(12, (to) => to.u32(1).u32(0)))).toBe(errno.ELOOP);
  expect(number(ask(26, (to) => to.u32(1).u32(8).u32(0).u32(0).u32(0).u64(0).u64(0).u64(0).u64(0).u64(0)))).toBe(95);
  expect(count(walk(0, 2, 'up', 'secret'))).toBe(1);
  expect(number(walk(0, 3, 'up'))).toBe(0);
  expect(number(walk(3, 4, 'secret'))).toBe(errno.ELOOP);
  expect(number(ask(14, (to) => to.u32(3).text('made').u32(2).u32(0o644).u32(0)))).toBe(errno.ELOOP);
  expect(number(ask(72, (to) => to.u32(3).text('made').u32(0o755).u32(0)))).toBe(errno.ELOOP);
  expect(number(ask(76, (to) => to.u32(3).text('secret').u32(0)))).toBe(errno.ELOOP);
  expect(number(ask(40, (to) => to.u32(3).u64(0).u32(1000)))).toBe(errno.ENOTDIR);
  expect(number(ask(72, (to) => to.u32(0).text('../made').u32(0o755).u32(0)))).toBe(errno.ENOENT);
  expect([readFileSync(join(folder, 'secret'), 'utf8'), existsSync(join(folder, 'made'))]).toEqual(['secret', false]);
});

test('a folder to be read is not changed', () => {
  const { folder, ask, walk } = client('9p-read-only', true);
  expect(number(ask(14, (to) => to.u32(0).text('made').u32(2).u32(0o644).u32(0)))).toBe(errno.EROFS);
  expect(number(walk(0, 1, 'file'))).toBe(0);
  expect(number(ask(12, (to) => to.u32(1).u32(1)))).toBe(errno.EROFS);
  expect(number(ask(12, (to) => to.u32(1).u32(0)))).toBe(0);
  expect(readFileSync(join(folder, 'shared/file'), 'utf8')).toBe('contents');
});

test('a directory is listed piece by piece', () => {
  const { folder, ask, walk } = client('9p-list');
  mkdirSync(join(folder, 'shared/many'));
  const names = Array.from({ length: 50 }, (_, i) => `name-${i}`);
  for (const name of names) writeFileSync(join(folder, 'shared/many', name), '');
  walk(0, 1, 'many');
  ask(12, (to) => to.u32(1).u32(0o200000));
  const found: string[] = [];
  for (let offset = 0; ; ) {
    const answer = ask(40, (to) => to.u32(1).u64(offset).u32(300)) as MessageReader;
    const bytes = answer.data(answer.u32());
    if (bytes.length === 0) break;
    const entries = new MessageReader(bytes);
    for (let left = bytes.length; left > 0; ) {
      entries.data(13);
      offset = entries.u64();
      entries.u8();
      const name = entries.text();
      found.push(name);
      left -= 13 + 8 + 1 + 2 + name.length;
    }
  }
  expect(found).toEqual(['.', '..', ...names.sort()]);
});

test('messages without sense are errors', () => {
  const { ask, walk, driver } = client('9p-wrong');
  expect(number(walk(9, 1))).toBe(errno.EBADF);
  expect(number(ask(116, (to) => to.u32(0).u64(0).u32(1)))).toBe(errno.EBADF);
  expect(number(ask(99, () => {}))).toBe(errno.EOPNOTSUPP);
  expect(number(ask(30, (to) => to.u32(0).u32(1).text('user.x')))).toBe(errno.EOPNOTSUPP);
  expect(number(ask(110, (to) => to.u32(0)))).toBe(errno.EPROTO);
  walk(0, 1, 'file');
  ask(12, (to) => to.u32(1).u32(0));
  expect(
    number(
      ask(116, (to) =>
        to
          .u32(1)
          .u64(2n ** 60n)
          .u32(10),
      ),
    ),
  ).toBe(errno.EINVAL);
  let state = 1;
  const next = (limit: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  for (let i = 0; i < 2000; i++) {
    // Types that change nothing
    const type = [8, 22, 24, 40, 110, 116, 50, 54][next(8)]!;
    const message = Uint8Array.from({ length: 7 + next(40) }, () => (next(3) === 0 ? next(256) : next(3)));
    message[4] = type;
    driver.request(0, [message, 8192]);
  }
  expect(driver.needsReset).toBe(false);
});
