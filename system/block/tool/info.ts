import { statSync } from 'node:fs';
import { allocatedBytes } from '../host-file.ts';
import type { DiskImage } from '../image.ts';
import { backingPath } from '../open.ts';
import { incompatible } from '../qcow2/format.ts';
import { Qcow2Image } from '../qcow2/image.ts';
import { noInstructions } from '../qcow2/snapshots.ts';
import { sizeText, snapshotTable } from './text.ts';

/** What `info` says of one image, as text. */
export function infoText(image: DiskImage): string {
  const lines = [
    `image: ${image.path}`,
    `file format: ${image.format}`,
    `virtual size: ${sizeText(image.size)} (${image.size} bytes)`,
    `disk size: ${sizeText(allocatedBytes(image.path))}`,
  ];
  if (!(image instanceof Qcow2Image)) return `${lines.join('\n')}\n`;
  const { header, snapshots } = image;
  lines.push(`cluster_size: ${2 ** header.clusterBits}`);
  if (header.backingFile !== null) {
    const actual = backingPath(image.path, header.backingFile);
    const shown = actual === header.backingFile ? '' : ` (actual path: ${actual})`;
    lines.push(`backing file: ${header.backingFile}${shown}`);
    if (header.backingFormat !== null) lines.push(`backing file format: ${header.backingFormat}`);
  }
  if (snapshots.list.length > 0) lines.push('Snapshot list:', snapshotTable(snapshots.list).trimEnd());
  lines.push('Format specific information:');
  const rows = Object.entries(specific(image)).map(([name, value]) => `    ${name.replaceAll('-', ' ')}: ${value}`);
  return `${[...lines, ...rows].join('\n')}\n`;
}

function specific({ header }: Qcow2Image): Record<string, string | number | boolean> {
  const bits = 2 ** header.refcountOrder;
  if (header.version === 2) return { compat: '0.10', 'compression-type': 'zlib', 'refcount-bits': bits };
  return {
    compat: '1.1',
    'compression-type': header.compression,
    'lazy-refcounts': header.lazyRefcounts,
    'refcount-bits': bits,
    corrupt: (header.incompatible & incompatible.corrupt) !== 0n,
    'extended-l2': false,
  };
}

/** The same as an object for JSON. */
export function infoObject(image: DiskImage): Record<string, unknown> {
  const common = {
    'virtual-size': image.size,
    filename: image.path,
    format: image.format,
    'actual-size': statSync(image.path).blocks * 512,
  };
  if (!(image instanceof Qcow2Image)) return { ...common, 'dirty-flag': false };
  const { header, snapshots } = image;
  return {
    ...common,
    'cluster-size': 2 ** header.clusterBits,
    ...(snapshots.list.length > 0 && {
      snapshots: snapshots.list.map(({ id, name, stateBytes, date, clock, instructions }) => ({
        ...(instructions !== noInstructions && { icount: Number(instructions) }),
        'vm-clock-nsec': Number(clock % 1_000_000_000n),
        name,
        'date-sec': date[0],
        'date-nsec': date[1],
        'vm-clock-sec': Number(clock / 1_000_000_000n),
        id,
        'vm-state-size': stateBytes,
      })),
    }),
    'format-specific': { type: 'qcow2', data: specific(image) },
    ...(header.backingFile !== null && {
      'backing-filename': header.backingFile,
      'full-backing-filename': backingPath(image.path, header.backingFile),
    }),
    ...(header.backingFormat !== null && { 'backing-filename-format': header.backingFormat }),
    'dirty-flag': (header.incompatible & incompatible.dirty) !== 0n,
  };
}
