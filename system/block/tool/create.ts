import { constants, renameSync, rmSync } from 'node:fs';
import { property, readProperties, readSize } from '../../option-properties.ts';
import { OptionString } from '../../option-string.ts';
import { HostFile, ImageError } from '../host-file.ts';
import { backingPath, type ImageFormat, imageFormats, openImage } from '../open.ts';
import { createQcow2, defaultClusterBits } from '../qcow2/create.ts';

/** Options of `-o` by format. */
const qcow2Properties = {
  size: property.size('bytes of the disk'),
  compat: property.choice('version 2 or 3', '0.10', '1.1', 'v2', 'v3'),
  backing_file: property.text('file that it is based on'),
  backing_fmt: property.text('that file’s format'),
  cluster_size: property.size('bytes of a cluster, a power of 2 from 512 to 2M'),
  lazy_refcounts: property.flag('noted only: counts are always kept right'),
  refcount_bits: property.number('bits of a reference count: 1 to 64', 1, 64),
  compression_type: property.choice('how clusters are compressed', 'zlib', 'zstd'),
  preallocation: property.choice('what is taken in advance', 'off'),
  extended_l2: property.choice('clusters in parts', 'off'),
} as const;
const rawProperties = {
  size: property.size('bytes of the disk'),
  preallocation: property.choice('what is taken in advance', 'off'),
} as const;

export interface Create {
  readonly path: string;
  readonly format: ImageFormat;
  /** Bytes, or null: those of the backing file. */
  readonly size: number | null;
  readonly backing: string | null;
  readonly backingFormat: string | null;
  /** Values of `-o`. */
  readonly options: readonly string[];
}

export function formatOf(text: string, path: string): ImageFormat {
  const found = imageFormats.find((format) => format === text);
  if (!found) throw new ImageError(`${path}: Unknown file format '${text}'`);
  return found;
}

/** A size of the command line; a bare number is bytes. */
export function parseSize(text: string): number {
  const size = readSize(text);
  if (size === undefined) {
    throw new ImageError(`Invalid image size specified: '${text}'. You may use k, M, G, T or P suffixes`);
  }
  return size;
}

const sectors = (size: number): number => Math.ceil(size / 512) * 512;

/** Makes an empty image; answers the line that says so. */
export function createImage(create: Create): string {
  const { path, format } = create;
  const options = new OptionString('-o', create.options.join(','), false);
  const none = create.options.length === 0;
  if (format === 'raw') {
    const values = none ? {} : readProperties(options, rawProperties);
    if (create.backing !== null) throw new ImageError(`${path}: Backing file not supported for file format 'raw'`);
    const size = needSize(path, create.size ?? values.size ?? null);
    fill(path, (file) => file.truncate(sectors(size)));
    return `Formatting '${path}', fmt=raw size=${size}`;
  }
  const values = none ? {} : readProperties(options, qcow2Properties);
  const backingFile = create.backing ?? values.backing_file ?? null;
  const backingFormat = create.backingFormat ?? values.backing_fmt ?? null;
  const given = needSize(path, create.size ?? values.size ?? backingSize(path, backingFile, backingFormat));
  const size = sectors(given);
  const clusterBytes = values.cluster_size ?? 2 ** defaultClusterBits;
  const clusterBits = Math.log2(clusterBytes);
  if (!Number.isInteger(clusterBits) || clusterBits < 9 || clusterBits > 21) {
    throw new ImageError(`${path}: Cluster size must be a power of two between 512 and 2048k`);
  }
  const refcountBits = values.refcount_bits ?? 16;
  if (!Number.isInteger(Math.log2(refcountBits))) throw new ImageError(`${path}: refcount_bits must be a power of two`);
  const version = values.compat === '0.10' || values.compat === 'v2' ? 2 : 3;
  if (version === 2 && (refcountBits !== 16 || values.compression_type === 'zstd' || values.lazy_refcounts)) {
    throw new ImageError(`${path}: compat=0.10 has no such features`);
  }
  const compression = values.compression_type ?? 'zlib';
  const lazyRefcounts = values.lazy_refcounts ?? false;
  fill(path, (file) =>
    createQcow2(file, {
      size,
      version,
      clusterBits,
      refcountBits,
      compression,
      lazyRefcounts,
      backingFile,
      backingFormat,
    }),
  );
  return [
    `Formatting '${path}', fmt=qcow2 cluster_size=${clusterBytes} extended_l2=off compression_type=${compression}`,
    `size=${given}`,
    ...(values.compat === undefined ? [] : [`compat=${values.compat}`]),
    ...(backingFile === null ? [] : [`backing_file=${backingFile}`]),
    ...(backingFormat === null ? [] : [`backing_fmt=${backingFormat}`]),
    `lazy_refcounts=${lazyRefcounts ? 'on' : 'off'}`,
    `refcount_bits=${refcountBits}`,
  ].join(' ');
}

/** Makes a file that has its name only once it is complete. */
function fill(path: string, write: (file: HostFile) => void): void {
  const partial = `${path}.${process.pid}.new`;
  const file = new HostFile(partial, false, constants.O_CREAT | constants.O_TRUNC);
  try {
    write(file);
    renameSync(partial, path);
  } catch (error) {
    rmSync(partial, { force: true });
    throw error;
  } finally {
    file.close();
  }
}

function needSize(path: string, size: number | null): number {
  if (size === null) throw new ImageError(`${path}: Image creation needs a size parameter`);
  return size;
}

function backingSize(path: string, file: string | null, format: string | null): number | null {
  if (file === null) return null;
  const actual = backingPath(path, file);
  if (format === null) {
    throw new ImageError(`${path}: Backing file specified without backing format`);
  }
  const image = openImage(actual, { format: formatOf(format, path), readOnly: true });
  image.close();
  return image.size;
}
