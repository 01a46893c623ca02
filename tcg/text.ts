import type { StateLayout } from '#util/state-layout.ts';
import { cpuHeader, ExitReason } from './cpu-page.ts';
import { copyBlock, createBlock, type IrBlock } from './ir.ts';
import { type ImmediateKind, MemoryFlag, Op, type OpDef, type OpName, opDefs, opNames } from './ops.ts';

/*
 * The text form of IR: one op a line, `v7 = op operands, immediates`. A value is named after its op's index; the
 * parser takes any `v…` name. A number where a value is expected is a `const_i32` of its own just before the op.
 *
 *     block 00010074 [00010074, 0001007c)
 *       insn 0x10074
 *       v1 = get_i32 r3
 *       v3 = add_i32 v1, 4
 *       v4 = load8_u [v3 + 12]
 *       if v4
 *         set_i32 r0, v1
 *       endif
 *       jump 0x1007c
 *
 * Memory ops write the address in brackets and `MemoryFlag`s after a comma; `set` names the slot first; `switch` lists
 * its table, default last; 128-bit immediates are bytes, lowest first. `;` begins a comment.
 */

const hex = (value: number, digits = 1) => (value >>> 0).toString(16).padStart(digits, '0');
const hexNumber = (value: number) => `0x${hex(value)}`;
const integer = (value: number) => (value > -4096 && value < 4096 ? String(value) : hexNumber(value));

const accessNames = ['none', 'r', 'w', 'rw'];
const reasonNames: string[] = [];
for (const [name, value] of Object.entries(ExitReason)) reasonNames[value] = name;

// ---- state slots

/** `r3`, `d7+4`; `cpu.pc` for the engine's header; `@96` outside both. */
export function slotName(offset: number, layout?: StateLayout): string {
  if (offset >= 0 && offset < cpuHeader.end) return `cpu.${cpuHeader.describe(offset)}`;
  if (!layout || offset < layout.start || offset >= layout.end) return `@${offset}`;
  const name = layout.describe(offset);
  return name.startsWith('state+') ? `@${offset}` : name;
}

const slotTables = new WeakMap<StateLayout, Map<string, number>>();

function slotTable(layout: StateLayout): Map<string, number> {
  const known = slotTables.get(layout);
  if (known) return known;
  const table = new Map<string, number>();
  for (const { name, count, size, offset } of Object.values(layout.fields)) {
    for (let i = 0; i < count; i++) table.set(count > 1 ? `${name}${i}` : name, offset + i * size);
  }
  slotTables.set(layout, table);
  return table;
}

function parseSlot(text: string, layout?: StateLayout): number {
  if (text.startsWith('@')) return parseNumber(text.slice(1));
  const [name, rest] = text.split('+') as [string, string?];
  const table = name.startsWith('cpu.') ? slotTable(cpuHeader) : layout && slotTable(layout);
  const offset = table?.get(name.replace(/^cpu\./, ''));
  if (offset === undefined) throw new Error(`no state slot ${text}`);
  return offset + (rest === undefined ? 0 : parseNumber(rest));
}

// ---- immediates

function parseNumber(text: string): number {
  const value = Number(text);
  if (!/^-?\w+$/.test(text) || !Number.isInteger(value) || Math.abs(value) > 0xffffffff) {
    throw new Error(`not a 32-bit number: ${text}`);
  }
  return value | 0;
}

function parseName(names: readonly string[], text: string): number {
  const index = names.indexOf(text);
  return index < 0 ? parseNumber(text) : index;
}

interface ImmediateText {
  print(value: number, layout: StateLayout | undefined): string;
  parse(text: string, layout: StateLayout | undefined): number;
}

const decimal: ImmediateText = { print: integer, parse: parseNumber };
const hexadecimal: ImmediateText = { print: hexNumber, parse: parseNumber };

const immediateText: Record<Exclude<ImmediateKind, 'high' | 'table'>, ImmediateText> = {
  int: decimal,
  slot: { print: slotName, parse: parseSlot },
  offset: decimal,
  size: decimal,
  access: { print: (value) => accessNames[value] ?? String(value), parse: (text) => parseName(accessNames, text) },
  pc: hexadecimal,
  reason: { print: (value) => reasonNames[value] ?? String(value), parse: (text) => parseName(reasonNames, text) },
  lane: decimal,
  helper: decimal,
  aux: hexadecimal,
};

const bytesOf = (words: readonly number[]) => [...new Uint8Array(Int32Array.from(words).buffer)];
const printBytes = (words: readonly number[]) =>
  `[${bytesOf(words)
    .map((byte) => hex(byte, 2))
    .join(' ')}]`;

function parseBytes(text: string): readonly number[] {
  const bytes = unbracket(text)
    .split(/\s+/)
    .map((byte) => Number.parseInt(byte, 16));
  if (bytes.length !== 16 || bytes.some((byte) => !(byte >= 0 && byte < 256))) throw new Error(`not 16 bytes: ${text}`);
  return [...new Int32Array(Uint8Array.from(bytes).buffer)];
}

function unbracket(text: string): string {
  if (!text.startsWith('[') || !text.endsWith(']')) throw new Error(`not in brackets: ${text}`);
  return text.slice(1, -1).trim();
}

const isMemoryOp = (def: OpDef) => def.effect === 'load' || def.effect === 'store';

function floatComment(op: number, x: number, y: number): string {
  if (op === Op.const_f32) return ` ; ${new Float32Array(Int32Array.of(x).buffer)[0]}`;
  if (op === Op.const_f64) return ` ; ${new Float64Array(Int32Array.of(x, y).buffer)[0]}`;
  return '';
}

// ---- printing

/** The block as text that `parseBlock` reads back to the same ops. Without a layout slots are byte offsets. */
export function printBlock(block: IrBlock, layout?: StateLayout): string {
  const inlined = inlineConstants(block);
  const range = block.start || block.end ? ` [${hex(block.start, 8)}, ${hex(block.end, 8)})` : '';
  const lines = [`block ${hex(block.pc, 8)}${range}`];
  let depth = 1;
  for (let i = 0; i < block.length; i++) {
    if (inlined[i]) continue;
    const op = block.op[i]!;
    const outdent = op === Op.else || op === Op.endif ? 1 : 0;
    lines.push('  '.repeat(Math.max(depth - outdent, 0)) + printOp(block, i, inlined, layout));
    if (op === Op.if) depth++;
    if (op === Op.endif) depth--;
  }
  return `${lines.join('\n')}\n`;
}

/** Marks the constants that can be written in their user's line: used once, and just before it in operand order. */
function inlineConstants(block: IrBlock): Uint8Array {
  const { length, op, a, b, c } = block;
  const uses = new Uint32Array(length);
  const inlined = new Uint8Array(length);
  const operands = [c, b, a];
  for (let i = 0; i < length; i++) for (const operand of operands) if (operand[i]! >= 0) uses[operand[i]!]!++;
  for (let i = 0; i < length; i++) {
    let expected = i - 1;
    for (const operand of operands) {
      const value = operand[i]!;
      if (value < 0 || value !== expected || op[value] !== Op.const_i32 || uses[value] !== 1) continue;
      inlined[value] = 1;
      expected--;
    }
  }
  return inlined;
}

function printOp(block: IrBlock, i: number, inlined: Uint8Array, layout: StateLayout | undefined): string {
  const op = block.op[i]!;
  const def = opDefs[op] as OpDef | undefined;
  if (!def) return `?${op}`;
  const x = block.x[i]!;
  const y = block.y[i]!;
  const values = [block.a[i]!, block.b[i]!, block.c[i]!]
    .slice(0, def.args.length)
    .map((value) => (inlined[value] ? integer(block.x[value]!) : `v${value}`));
  const parts = printOperands(block, i, def, values, layout);
  const result = def.result ? `v${i} = ` : '';
  return `${result}${opNames[op]}${parts.length ? ` ${parts.join(', ')}` : ''}${floatComment(op, x, y)}`;
}

function printOperands(
  block: IrBlock,
  i: number,
  def: OpDef,
  values: string[],
  layout: StateLayout | undefined,
): string[] {
  const words = [block.x[i]!, block.y[i]!, block.z[i]!];
  if (isMemoryOp(def)) {
    const offset = words[0] ? ` + ${integer(words[0])}` : '';
    const parts = [`[${values[0]}${offset}]`, ...values.slice(1)];
    if (words[1]) parts.push(words[1] === MemoryFlag.probed ? 'probed' : hexNumber(words[1]));
    return parts;
  }
  if (def.effect === 'set') return [slotName(words[0]!, layout), ...values];
  if (def.bytes16) return [...values, printBytes([block.z[i]!, block.x[i]!, block.y[i]!, block.w[i]!])];
  const kinds = def.immediates ?? [];
  if (kinds[1] === 'high') return [`0x${hex(words[1]!, 8)}${hex(words[0]!, 8)}`];
  kinds.forEach((kind, k) => {
    if (kind === 'high' || (kind === 'aux' && words[k] === 0)) return;
    if (kind === 'table') {
      values.push(`[${[...(block.tables[words[k]!] ?? [])].map(hexNumber).join(', ')}]`);
      return;
    }
    values.push(immediateText[kind].print(words[k]!, layout));
  });
  return values;
}

// ---- parsing

/** The inverse of `printBlock`. Throws with the line on a syntax error; `verifyBlock` tells whether it makes sense. */
export function parseBlock(text: string, layout?: StateLayout): IrBlock {
  const lines = text.split('\n');
  const parser = new Parser(createBlock(lines.length * 4), layout);
  lines.forEach((line, number) => {
    try {
      parser.line(line.replace(/;.*/, '').trim());
    } catch (error) {
      throw new Error(`IR text, line ${number + 1}: ${(error as Error).message}: ${line.trim()}`);
    }
  });
  return copyBlock(parser.block);
}

class Parser {
  readonly block: IrBlock;
  private readonly layout: StateLayout | undefined;
  private readonly values = new Map<string, number>();

  constructor(block: IrBlock, layout: StateLayout | undefined) {
    this.block = block;
    this.layout = layout;
  }

  line(text: string): void {
    if (text === '') return;
    const header = /^block ([0-9a-f]+)(?: \[([0-9a-f]+), ([0-9a-f]+)\))?$/.exec(text);
    if (header) {
      this.block.pc = Number.parseInt(header[1]!, 16) | 0;
      this.block.start = Number.parseInt(header[2] ?? '0', 16);
      this.block.end = Number.parseInt(header[3] ?? '0', 16);
      return;
    }
    const match = /^(?:(v\w+) = )?(\w+)(?: (.*))?$/.exec(text);
    if (!match) throw new Error('not an op');
    const [, name, opName, operands] = match;
    const op = Op[opName as OpName];
    if (op === undefined) throw new Error(`no op ${opName}`);
    if ((name !== undefined) !== (opDefs[op]!.result !== undefined)) throw new Error('result expected or unexpected');
    const index = this.op(op, operands?.match(/\[[^\]]*\]|[^\s,]+/g) ?? []);
    if (name === undefined) return;
    if (this.values.has(name)) throw new Error(`${name} is defined twice`);
    this.values.set(name, index);
  }

  /** Appends op with its operands in text order; returns its index. */
  private op(op: number, tokens: string[]): number {
    const def = opDefs[op]!;
    const words = [0, 0, 0, 0];
    if (isMemoryOp(def)) {
      const [address, offset, ...rest] = unbracket(tokens.shift() ?? '').split(/\s*\+\s*/) as [string, string?];
      if (rest.length) throw new Error('one offset at most');
      words[0] = offset === undefined ? 0 : parseNumber(offset);
      tokens.unshift(address);
    }
    if (def.effect === 'set') words[0] = parseSlot(tokens.shift() ?? '', this.layout);
    const [a = -1, b = -1, c = -1] = def.args.map(() => this.value(tokens.shift() ?? ''));
    this.immediates(def, tokens, words);
    if (tokens.length) throw new Error(`too many operands: ${tokens.join(', ')}`);
    if (op === Op.insn) this.block.instructions++;
    return this.emit(op, a, b, c, words);
  }

  private value(token: string): number {
    if (!token.startsWith('v')) return this.emit(Op.const_i32, -1, -1, -1, [parseNumber(token), 0, 0, 0]);
    const value = this.values.get(token);
    if (value === undefined) throw new Error(`value ${token} is not defined`);
    return value;
  }

  /** Takes the immediates' tokens and fills words x y z w. */
  private immediates(def: OpDef, tokens: string[], words: number[]): void {
    if (isMemoryOp(def)) {
      const flags = tokens.shift();
      if (flags !== undefined) words[1] = flags === 'probed' ? MemoryFlag.probed : parseNumber(flags);
      return;
    }
    if (def.effect === 'set') return;
    if (def.bytes16) {
      [words[2], words[0], words[1], words[3]] = parseBytes(tokens.shift() ?? '') as [number, number, number, number];
      return;
    }
    const kinds = def.immediates ?? [];
    if (kinds[1] === 'high') {
      const value = BigInt.asUintN(64, BigInt(tokens.shift() ?? ''));
      words[0] = Number(value & 0xffffffffn) | 0;
      words[1] = Number(value >> 32n) | 0;
      return;
    }
    kinds.forEach((kind, k) => {
      const token = tokens.shift();
      if (token === undefined) {
        if (kind === 'aux') return;
        throw new Error(`${kind} is missing`);
      }
      if (kind === 'high') throw new Error('a high word follows an int only');
      words[k] = kind === 'table' ? this.table(token) : immediateText[kind].parse(token, this.layout);
    });
  }

  private table(token: string): number {
    const entries = unbracket(token).split(/[\s,]+/);
    return this.block.tables.push(Int32Array.from(entries, parseNumber)) - 1;
  }

  private emit(op: number, a: number, b: number, c: number, words: readonly number[]): number {
    const { block } = this;
    const i = block.length++;
    block.op[i] = op;
    block.a[i] = a;
    block.b[i] = b;
    block.c[i] = c;
    [block.x[i], block.y[i], block.z[i], block.w[i]] = words as [number, number, number, number];
    return i;
  }
}
