/*
 * Writes flattened device trees (Devicetree Specification 0.4, chapter 5).
 */

/** A property's value: text, texts, 32-bit cells, bytes, or nothing but its presence. */
export type FdtValue = string | readonly string[] | readonly number[] | Uint8Array | true;

/** A node: properties first, then children. */
export interface FdtNode {
  readonly properties: Readonly<Record<string, FdtValue>>;
  readonly children?: Readonly<Record<string, FdtNode>>;
}

const magic = 0xd00dfeed;
const token = { beginNode: 1, endNode: 2, property: 3, end: 9 } as const;
const headerBytes = 40;
const version = 17;
const lastCompatible = 16;

/** Bytes that grow, big-endian. */
class Writer {
  private bytes = new Uint8Array(4096);
  length = 0;

  word(value: number): void {
    const at = this.room(4);
    new DataView(this.bytes.buffer).setUint32(at, value);
  }

  put(bytes: Uint8Array): void {
    const at = this.room(bytes.length);
    this.bytes.set(bytes, at);
    this.room(-this.length & 3);
  }

  get result(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  private room(bytes: number): number {
    const at = this.length;
    this.length += bytes;
    if (this.length > this.bytes.length) {
      const grown = new Uint8Array(this.length * 2);
      grown.set(this.bytes);
      this.bytes = grown;
    }
    return at;
  }
}

const encoder = new TextEncoder();
const text = (value: string): Uint8Array => encoder.encode(`${value}\0`);

function encodeValue(value: FdtValue): Uint8Array {
  if (value === true) return new Uint8Array(0);
  if (typeof value === 'string') return text(value);
  if (value instanceof Uint8Array) return value;
  if (value.length > 0 && typeof value[0] === 'string') return text((value as readonly string[]).join('\0'));
  const bytes = new Uint8Array(value.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [i, cell] of (value as readonly number[]).entries()) view.setUint32(4 * i, cell);
  return bytes;
}

/** The blob of the tree with this root. */
export function writeFdt(root: FdtNode): Uint8Array {
  const structure = new Writer();
  const strings = new Map<string, number>();
  let stringBytes = 0;
  const nameOffset = (name: string): number => {
    let offset = strings.get(name);
    if (offset === undefined) {
      offset = stringBytes;
      strings.set(name, offset);
      stringBytes += name.length + 1;
    }
    return offset;
  };
  const node = (name: string, { properties, children = {} }: FdtNode): void => {
    structure.word(token.beginNode);
    structure.put(text(name));
    for (const [key, value] of Object.entries(properties)) {
      const bytes = encodeValue(value);
      structure.word(token.property);
      structure.word(bytes.length);
      structure.word(nameOffset(key));
      structure.put(bytes);
    }
    for (const [key, child] of Object.entries(children)) node(key, child);
    structure.word(token.endNode);
  };
  node('', root);
  structure.word(token.end);

  const reservations = 16;
  const structureAt = headerBytes + reservations;
  const stringsAt = structureAt + structure.length;
  const total = stringsAt + stringBytes;
  const blob = new Uint8Array(total);
  const view = new DataView(blob.buffer);
  const header = [
    magic,
    total,
    structureAt,
    stringsAt,
    headerBytes,
    version,
    lastCompatible,
    0,
    stringBytes,
    structure.length,
  ];
  for (const [i, word] of header.entries()) view.setUint32(4 * i, word);
  blob.set(structure.result, structureAt);
  for (const [name, offset] of strings) blob.set(text(name), stringsAt + offset);
  return blob;
}
