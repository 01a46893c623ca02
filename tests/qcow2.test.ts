import { describe, expect, test } from 'vitest';
import { checkImage } from '#system/block/qcow2/check.ts';
import { createQcow2, type Qcow2Options } from '#system/block/qcow2/create.ts';
import { Qcow2Image } from '#system/block/qcow2/image.ts';
import { RawImage } from '#system/block/raw.ts';
import { RecordedFile } from './support/recorded-file.ts';

/** Numbers below `limit`, always the same for a seed. */
function numbers(seed: number): (limit: number) => number {
  let state = seed * 2654435761 + 1;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

const sector = 512;
const clusterBits = 9;

function makeImage(options: Partial<Qcow2Options>, backing: Uint8Array | null = null) {
  const file = new RecordedFile();
  createQcow2(file, {
    size: 100 * 1024,
    clusterBits,
    ...(backing && { backingFile: 'base', backingFormat: 'raw' }),
    ...options,
  });
  return { file, image: openImage(file, backing) };
}

const openImage = (file: RecordedFile, backing: Uint8Array | null, checking = false): Qcow2Image =>
  new Qcow2Image(file, backing && (() => new RawImage(RecordedFile.of(backing))), checking);

function contents(image: Qcow2Image): Uint8Array {
  const bytes = new Uint8Array(image.size);
  image.read(0, bytes);
  return bytes;
}

function check(file: RecordedFile) {
  const { corruptions, leaks, lines } = checkImage(openImage(file, null, true), file);
  return { corruptions, leaks, lines };
}

const sound = { corruptions: 0, leaks: 0, lines: [] };

/** What a step does to the image: the bytes that it may change, or a flush. */
type Step = { readonly offset: number; readonly length: number } | 'flush';

/** Does something at random to an image and to the bytes that it should have. */
function step(image: Qcow2Image, model: Uint8Array, next: (limit: number) => number): Step {
  const sectors = model.length / sector;
  const from = next(sectors);
  const count = 1 + next(Math.min(8, sectors - from));
  const [offset, length] = [from * sector, count * sector];
  switch (next(8)) {
    case 0:
      image.writeZeroes(offset, length, next(2) === 0);
      model.fill(0, offset, offset + length);
      return { offset, length };
    case 1: {
      // Whole clusters are gone, others keep what they have.
      image.discard(offset, length);
      const left = new Uint8Array(length);
      image.read(offset, left);
      const bytes = model.subarray(offset, offset + length);
      for (const [i, byte] of left.entries())
        if (byte !== bytes[i] && byte !== 0) throw new Error('discard changed data');
      bytes.set(left);
      return { offset, length };
    }
    case 2: {
      const clusterBytes = 2 ** image.header.clusterBits;
      const at = Math.floor(offset / clusterBytes) * clusterBytes;
      const cluster = new Uint8Array(clusterBytes).fill(next(256), next(clusterBytes / 2));
      image.writeCompressed(at, cluster);
      model.set(cluster, at);
      return { offset: at, length: clusterBytes };
    }
    case 3:
      image.flush();
      return 'flush';
    default: {
      const bytes = Uint8Array.from({ length }, () => next(256));
      image.write(offset, bytes);
      model.set(bytes, offset);
      return { offset, length };
    }
  }
}

const backing = Uint8Array.from({ length: 60 * 1024 }, (_, i) => (i * 7) & 0xff);
const forms: Record<string, [Partial<Qcow2Options>, Uint8Array | null]> = {
  'of version 3': [{}, null],
  'of version 2': [{ version: 2 }, null],
  'on a shorter backing file': [{}, backing],
  'of version 2, on a backing file': [{ version: 2 }, backing],
  'with large clusters, zstd': [{ clusterBits: 12, compression: 'zstd' }, null],
  'with counts of 1 bit': [{ refcountBits: 1 }, null],
  'with counts of 64 bits': [{ refcountBits: 64 }, backing],
};

describe.each(Object.keys(forms))('a qcow2 image %s', (form) => {
  const [options, base] = forms[form]!;
  const size = options.clusterBits === undefined ? 100 * 1024 : 400 * 1024;

  function start(seed: number) {
    const model = new Uint8Array(size);
    if (base) model.set(base);
    return { ...makeImage({ ...options, size }, base), model, next: numbers(seed) };
  }

  test('keeps what is written, and its counts right', () => {
    for (let seed = 1; seed <= 6; seed++) {
      const { file, image, model, next } = start(seed);
      for (let i = 0; i < 150; i++) {
        if (step(image, model, next) === 'flush') expect(check(file)).toEqual(sound);
      }
      expect(Buffer.compare(contents(image), model)).toBe(0);
      image.flush();
      expect(check(file)).toEqual(sound);
      expect(Buffer.compare(contents(openImage(file, base)), model)).toBe(0);
    }
  });

  test('is sound after a kill at any write, and after a power failure, and has what was flushed', () => {
    const { file, image, model, next } = start(77);
    let flushed = model.slice();
    let changed = new Uint8Array(size);
    for (let i = 0; i < 40; i++) {
      const before = file.changes.length;
      const done = step(image, model, next);
      if (done !== 'flush') changed.fill(1, done.offset, done.offset + done.length);
      for (let count = before + 1; count <= file.changes.length; count++) {
        const loses =
          count === file.changes.length ? [() => true, () => next(2) === 0, () => false] : [() => next(2) === 0];
        for (const keeps of loses) {
          const then = file.at(count, keeps);
          const { corruptions, lines } = check(then);
          if (corruptions > 0) throw new Error(`step ${i}, change ${count}: ${lines.join('; ')}`);
          const bytes = contents(openImage(then, base));
          const lost = bytes.findIndex((byte, at) => changed[at] === 0 && byte !== flushed[at]);
          if (lost >= 0) throw new Error(`step ${i}, change ${count}: byte ${lost} is lost`);
        }
      }
      if (done !== 'flush') continue;
      flushed = model.slice();
      changed = new Uint8Array(size);
      expect(
        Buffer.compare(
          contents(
            openImage(
              file.at(file.changes.length, () => false),
              base,
            ),
          ),
          model,
        ),
      ).toBe(0);
    }
  });
});

test('a reference count table that has become too short moves', () => {
  const size = 5 << 20;
  const { file, image } = makeImage({ size, refcountBits: 64 });
  const table = image.header.refcountTableOffset;
  const next = numbers(3);
  const model = new Uint8Array(size);
  for (let i = 0; i < 100; i++) {
    const bytes = Uint8Array.from({ length: 64 << 10 }, () => next(256));
    const offset = next((size - bytes.length) / sector) * sector;
    image.write(offset, bytes);
    model.set(bytes, offset);
    if (i % 10 !== 0) continue;
    image.flush();
    expect(check(file)).toEqual(sound);
  }
  expect(image.header.refcountTableOffset).not.toBe(table);
  const start = file.changes.length;
  image.flush();
  for (let count = start; count <= file.changes.length; count++) expect(check(file.at(count)).corruptions).toBe(0);
  expect(Buffer.compare(contents(openImage(file, null)), model)).toBe(0);
});
