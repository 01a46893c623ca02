import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openImage } from '#system/block/open.ts';
import { Qcow2Image } from '#system/block/qcow2/image.ts';
import { Unavailable } from './support/cache.ts';
import { type ImageTool, qemuImg, tsemuImg } from './support/qemu-img.ts';
import { freshWorkdir } from './support/workdir.ts';

/** A disk with text that can be compressed, noise and zeroes. */
function disk(seed: number, size = 1 << 20): Uint8Array {
  const bytes = new Uint8Array(size);
  let state = seed;
  for (let at = 0; at < size; at++) {
    const part = Math.floor(at / 40_000) % 3;
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = part === 0 ? 0 : part === 1 ? state >>> 24 : (at >> 6) & 0xff;
  }
  return bytes;
}

const folder = freshWorkdir('tsemu-img', { 'a.raw': disk(1), 'b.raw': disk(2), 'small.raw': disk(3, 300_000) });
const path = (name: string): string => join(folder, name);
const ours = tsemuImg(folder);

async function prepare(): Promise<{ readonly theirs: ImageTool; readonly reason?: string }> {
  try {
    return { theirs: await qemuImg(folder) };
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    return { theirs: ours, reason: error.message };
  }
}

const { theirs, reason } = await prepare();
if (reason !== undefined) console.warn(`tsemu-img: ${reason}`);

/** Output without what two runs need not have in common: sizes on the host's disk, dates. */
const plain = (text: string): string =>
  text
    .replace(/disk size: .*/g, 'disk size')
    .replace(/"actual-size": \d+/g, '"actual-size"')
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, 'DATE')
    .replace(/"date-n?sec": \d+/g, 'date');

async function both(...args: string[]): Promise<void> {
  const [a, b] = [await ours(...args), await theirs(...args)];
  expect([plain(a.out), a.status]).toEqual([plain(b.out), b.status]);
}

async function good(tool: ImageTool, ...args: string[]): Promise<string> {
  const { out, error, status } = await tool(...args);
  expect({ args, error, status }).toEqual({ args, error: '', status: 0 });
  return out;
}

describe.skipIf(reason !== undefined)('tsemu-img beside qemu-img', () => {
  test.each([
    [['1M']],
    [['-o', 'compat=0.10,cluster_size=4k', '100M']],
    [['-o', 'refcount_bits=1,compression_type=zstd,lazy_refcounts=on', '12345']],
    [['-b', 'small.raw', '-F', 'raw']],
  ])('create %j', async (args) => {
    const [options, size] =
      args.at(-1)!.startsWith('-') || args.length % 2 === 0 ? [args, []] : [args.slice(0, -1), args.slice(-1)];
    const said = await good(ours, 'create', '-f', 'qcow2', ...options, 'new.qcow2', ...size);
    const made = readFileSync(path('new.qcow2'));
    await both('info', 'new.qcow2');
    await good(theirs, 'check', 'new.qcow2');
    expect(said).toBe(await good(theirs, 'create', '-f', 'qcow2', ...options, 'new.qcow2', ...size));
    expect(made.length).toBeGreaterThan(0);
    await both('info', 'new.qcow2');
    await both('check', 'new.qcow2');
  });

  test.each(['zlib', 'zstd'])('convert, compressed by %s, both ways', async (type) => {
    const options = ['convert', '-c', '-f', 'raw', '-O', 'qcow2', '-o', `compression_type=${type}`, 'a.raw'];
    for (const [maker, reader] of [
      [ours, theirs],
      [theirs, ours],
    ] as const) {
      await good(maker, ...options, 'c.qcow2');
      expect(await good(reader, 'compare', '-f', 'raw', 'a.raw', 'c.qcow2')).toBe('Images are identical.\n');
      await good(reader, 'convert', '-O', 'raw', 'c.qcow2', 'c.raw');
      expect(Buffer.compare(readFileSync(path('c.raw')), readFileSync(path('a.raw')))).toBe(0);
      await both('check', 'c.qcow2');
      const [one, other] = [
        await ours('check', '--output=json', 'c.qcow2'),
        await theirs('check', '--output=json', 'c.qcow2'),
      ];
      expect(JSON.parse(one.out)).toEqual(JSON.parse(other.out));
    }
  });

  test('a backing chain is read by both, and converted onto a base', async () => {
    await good(theirs, 'create', '-f', 'qcow2', '-b', 'small.raw', '-F', 'raw', 'middle.qcow2', '900000');
    await good(ours, 'create', '-f', 'qcow2', '-b', 'middle.qcow2', '-F', 'qcow2', 'top.qcow2', '1M');
    const image = openImage(path('top.qcow2'));
    for (const at of [0, 70_144, 299_520, 800_256]) image.write(at, new Uint8Array(1536).fill(at & 0xff));
    image.close();
    const expected = new Uint8Array(1 << 20);
    expected.set(disk(3, 300_000));
    for (const at of [0, 70_144, 299_520, 800_256]) expected.fill(at & 0xff, at, at + 1536);
    writeFileSync(path('expected.raw'), expected);
    for (const tool of [ours, theirs]) await good(tool, 'compare', '-F', 'raw', 'top.qcow2', 'expected.raw');
    await both('check', 'top.qcow2');
    await both('info', '--backing-chain', 'top.qcow2');
    await good(ours, 'convert', '-O', 'qcow2', '-B', 'small.raw', '-F', 'raw', 'top.qcow2', 'rebased.qcow2');
    await good(theirs, 'compare', '-F', 'raw', 'rebased.qcow2', 'expected.raw');
    await good(theirs, 'check', 'rebased.qcow2');
  });

  test('snapshots are made, listed, applied and deleted by either', async () => {
    await good(theirs, 'convert', '-f', 'raw', '-O', 'qcow2', 'a.raw', 's.qcow2');
    const change = (at: number, byte: number): void => {
      const image = openImage(path('s.qcow2'));
      image.write(at, new Uint8Array(200 * 1024).fill(byte));
      image.close();
      copyFileSync(path('s.qcow2'), path(`kept-${byte}.qcow2`));
    };
    const tools = [ours, theirs];
    for (let i = 0; i < 4; i++) {
      await good(tools[i % 2]!, 'snapshot', '-c', `snap ${i}`, 's.qcow2');
      change(i * 100 * 1024, i + 1);
      await both('check', 's.qcow2');
    }
    await both('snapshot', '-l', 's.qcow2');
    await both('info', 's.qcow2');
    await both('info', '--output=human', '-f', 'qcow2', 's.qcow2');
    for (const [tool, back] of [
      [theirs, ours],
      [ours, theirs],
    ] as const) {
      await good(tool, 'convert', '-l', 'snap 2', '-O', 'qcow2', 's.qcow2', 'from.qcow2');
      await good(back, 'compare', 'from.qcow2', 'kept-2.qcow2');
    }
    await good(ours, 'snapshot', '-a', 'snap 0', 's.qcow2');
    await good(theirs, 'compare', '-F', 'raw', 's.qcow2', 'a.raw');
    await both('check', 's.qcow2');
    await good(ours, 'snapshot', '-d', 'snap 1', 's.qcow2');
    await both('check', 's.qcow2');
    await good(theirs, 'snapshot', '-a', 'snap 3', 's.qcow2');
    await good(ours, 'compare', 's.qcow2', 'kept-3.qcow2');
    for (const name of ['snap 3', 'snap 0', '3']) await good(ours, 'snapshot', '-d', name, 's.qcow2');
    expect(await good(ours, 'snapshot', '-l', 's.qcow2')).toBe('');
    await good(theirs, 'compare', 's.qcow2', 'kept-3.qcow2');
    await both('check', 's.qcow2');
  });

  test('a machine’s state lies in a snapshot beside the disk', async () => {
    await good(theirs, 'create', '-f', 'qcow2', 'vm.qcow2', '10M');
    const image = openImage(path('vm.qcow2')) as Qcow2Image;
    const state = disk(9, 700_000);
    image.write(0, new Uint8Array(512).fill(5));
    image.snapshots.create({ name: 'vm', date: Date.now(), clock: 3_723_004_000_000n, state });
    image.write(0, new Uint8Array(512).fill(6));
    image.close();
    await both('snapshot', '-l', 'vm.qcow2');
    await both('check', 'vm.qcow2');
    const again = openImage(path('vm.qcow2')) as Qcow2Image;
    expect(Buffer.compare(again.snapshots.apply(again.snapshots.find('vm')!), state)).toBe(0);
    const sector = new Uint8Array(512);
    again.read(0, sector);
    again.close();
    expect(sector[0]).toBe(5);
    await both('check', 'vm.qcow2');
  });

  test('leaks and damage are found and repaired', async () => {
    await good(ours, 'convert', '-f', 'raw', '-O', 'qcow2', 'a.raw', 'd.qcow2');
    const good1 = readFileSync(path('d.qcow2'));
    // A count more and a count less: refcount block in cluster 2
    for (const [cluster, count, status] of [
      [6, 2, 2],
      [6, 0, 2],
      [60, 1, 3],
    ] as const) {
      const bytes = Buffer.alloc(61 << 16);
      good1.copy(bytes);
      bytes.writeUInt16BE(count, (2 << 16) + 2 * cluster);
      writeFileSync(path('d.qcow2'), bytes);
      const said = await ours('check', 'd.qcow2');
      const other = await theirs('check', 'd.qcow2');
      expect([said.status, other.status]).toEqual([status, status]);
      expect(said.out.match(/^\d+ (errors|leaked).*$/gm)).toEqual(other.out.match(/^\d+ (errors|leaked).*$/gm));
      await good(ours, 'check', '-r', 'all', 'd.qcow2');
      await good(theirs, 'check', 'd.qcow2');
      await good(theirs, 'compare', '-F', 'raw', 'd.qcow2', 'a.raw');
    }
  });

  test('resize', async () => {
    await good(ours, 'convert', '-f', 'raw', '-O', 'qcow2', '-o', 'cluster_size=512', 'a.raw', 'r.qcow2');
    await good(ours, 'resize', 'r.qcow2', '+30M');
    await both('info', 'r.qcow2');
    await both('check', 'r.qcow2');
    await good(theirs, 'compare', '-F', 'raw', 'r.qcow2', 'a.raw');
    await both('resize', 'r.qcow2', '1M');
  });
});

describe('tsemu-img', () => {
  test.each([
    [['frob'], 'Command not found: frob'],
    [['info', 'nofile'], "Could not open 'nofile': No such file or directory"],
    [['info', '.'], "Could not open '.': Is a directory"],
    [['create', 'x'], 'x: Image creation needs a size parameter'],
    [['create', '-f', 'vmdk', 'x', '1M'], "x: Unknown file format 'vmdk'"],
    [['create', '-f', 'qcow2', 'x', '1Q'], "Invalid image size specified: '1Q'. You may use k, M, G, T or P suffixes"],
    [
      ['create', '-f', 'qcow2', '-o', 'cluster_size=3k', 'x', '1M'],
      'x: Cluster size must be a power of two between 512 and 2048k',
    ],
    [
      ['create', '-f', 'qcow2', '-b', 'none.raw', '-F', 'raw', 'x'],
      "Could not open 'none.raw': No such file or directory",
    ],
    [['check', 'a.raw'], 'This image format does not support checks'],
    [['snapshot', '-c', 's', 'a.raw'], "'a.raw' cannot have snapshots: its format is raw"],
    [['info', '-f', 'qcow2', 'a.raw'], 'a.raw: no qcow2 image'],
  ])('%j is refused in one line', async (args, message) => {
    const { out, error, status } = await ours(...args);
    expect({ out, error }).toEqual({ out: '', error: `tsemu-img: ${message}\n` });
    expect(status).toBe(args[0] === 'check' ? 63 : 1);
  });

  test('damaged images are one line, or an error of theirs, never one of ours', async () => {
    await good(ours, 'convert', '-f', 'raw', '-O', 'qcow2', '-o', 'cluster_size=4k', 'a.raw', 'h.qcow2');
    await good(ours, 'snapshot', '-c', 's', 'h.qcow2');
    const whole = readFileSync(path('h.qcow2'));
    let state = 5;
    const next = (limit: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * limit);
    };
    const outcomes = { fine: 0, refused: 0 };
    for (let i = 0; i < 300; i++) {
      const bytes = Buffer.from(whole);
      // The header, or any metadata
      const range = i % 2 === 0 ? 112 : 8 * 4096;
      for (let k = 0; k < 4; k++) bytes[next(range)] = next(2) === 0 ? 0xff : next(256);
      writeFileSync(path('damaged.qcow2'), i % 7 === 0 ? bytes.subarray(0, next(bytes.length)) : bytes);
      try {
        const image = openImage(path('damaged.qcow2'), { format: 'qcow2', alone: i % 3 === 0 });
        const buffer = new Uint8Array(4096);
        for (let at = 0; at + 4096 <= Math.min(image.size, 1 << 20); at += 65536) image.read(at, buffer);
        image.write(0, buffer);
        if (image instanceof Qcow2Image) image.check('none');
        image.close();
        outcomes.fine++;
      } catch (error) {
        if ((error as Error).constructor.name !== 'ImageError') throw error;
        outcomes.refused++;
      }
    }
    expect(outcomes.fine).toBeGreaterThan(20);
    expect(outcomes.refused).toBeGreaterThan(20);
  });
});
