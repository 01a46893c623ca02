import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Decoded, Insn } from '#target/i386/insn.ts';
import { Method } from '#target/i386/operand.ts';
import { type RowBits, rowBits, vexMaps, type X86Row } from '#target/i386/row.ts';
import { rows } from '#target/i386/rows.ts';
import { i386Document, supportedI386 } from '../scripts/supported-i386.ts';
import { byteReader, codeStart, i386Block } from './support/i386-ir.ts';

const maps = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]];
/** What may follow an opcode: addresses and immediates. */
const tail = [0x24, 0x7f, 0x33, 0x44, 0x55, 0x66, 0x77, 0x12, 0x99];

/** VEX before an instruction of a map, with ECX as its own operand, or 1111 where a row has none. */
const vex = ({ map, prefix, operands }: RowBits): number[] => [
  0xc4,
  0xe0 | (map - vexMaps),
  (operands.some(({ method }) => method === Method.B) ? 0x70 : 0x78) | [0, 0x66, 0xf3, 0xf2].indexOf(prefix),
];

/** Bytes of a row with a given ModRM, where it has one. */
const encode = (bits: RowBits, modrm: number, prefixes: readonly number[]): number[] => [
  ...prefixes,
  ...(bits.map > 3 ? vex(bits) : [...(bits.prefix > 0 ? [bits.prefix] : []), ...maps[bits.map]]),
  bits.last,
  ...(bits.modrm ? [modrm] : []),
  ...tail,
];

/** Every ModRM byte that a row may have. */
function modrms({ modrm, modrmMask, modrmValue, rm }: RowBits): number[] {
  if (!modrm) return [0];
  return Array.from({ length: 256 }, (_, byte) => byte).filter(
    (byte) => ((byte ^ modrmValue) & modrmMask) === 0 && (rm === 'any' || (rm === 'register') === byte >= 0xc0),
  );
}

const text = ({ name, opcode, codes }: X86Row): string => `${name} ${opcode} ${codes}`;

describe('the opcode map', () => {
  test('every row is found by each of its encodings, or by a more specific row before it', () => {
    const insn = new Insn();
    const never = rows.filter((row, number) => {
      const bits = rowBits(row);
      const found = modrms(bits).filter((modrm) => {
        const code = encode(bits, modrm, []);
        expect(insn.decode(byteReader(code), codeStart), text(row)).toBe(Decoded.ok);
        expect(rows.indexOf(insn.row), text(row)).toBeLessThanOrEqual(number);
        return insn.row === row;
      });
      return found.length === 0;
    });
    expect(never.map(text)).toEqual([]);
  });

  test('no row hides another one', () => {
    const insn = new Insn();
    const hidden = new Set<string>();
    for (const row of rows) {
      const bits = rowBits(row);
      for (const modrm of modrms(bits)) {
        insn.decode(byteReader(encode(bits, modrm, [])), codeStart);
        if (insn.row !== row) hidden.add(`${insn.row.name} ${insn.row.opcode} before ${row.name} ${row.opcode}`);
      }
    }
    expect([...hidden]).toEqual([]);
  });

  test('every encoding is translated into valid IR, under each prefix', () => {
    for (const row of rows) {
      const bits = rowBits(row);
      for (const prefix of [[], [0x66], [0x67], [0xf3], [0xf0]]) {
        const all = modrms(bits);
        const step = Math.ceil(all.length / 2);
        for (let i = 0; i < all.length; i += step) i386Block(encode(bits, all[i], prefix), 1);
      }
    }
  });
});

test('docs/supported/i386.md is what the opcode map says', () => {
  expect(readFileSync(i386Document, 'utf8')).toBe(supportedI386());
});

describe('decoding', () => {
  const insn = new Insn();
  const decode = (...bytes: number[]): Insn => {
    expect(insn.decode(byteReader(bytes), codeStart)).toBe(Decoded.ok);
    return insn;
  };

  test.each([
    ['mov eax, [ebx]', [0x8b, 0x03], { base: 3, index: -1, displacement: 0, length: 2 }],
    ['mov eax, [ebp - 8]', [0x8b, 0x45, 0xf8], { base: 5, displacement: -8, length: 3 }],
    ['mov eax, [0x12345678]', [0x8b, 0x05, 0x78, 0x56, 0x34, 0x12], { base: -1, displacement: 0x12345678, length: 6 }],
    ['mov eax, [esp + ecx*4 + 16]', [0x8b, 0x44, 0x8c, 0x10], { base: 4, index: 1, scale: 2, displacement: 16 }],
    ['mov eax, [ecx*8 + 0x100]', [0x8b, 0x04, 0xcd, 0, 1, 0, 0], { base: -1, index: 1, scale: 3, displacement: 0x100 }],
    ['mov eax, [bp + di - 1]', [0x67, 0x8b, 0x43, 0xff], { base: 5, index: 7, displacement: -1, addressBytes: 2 }],
    ['mov ax, imm16', [0x66, 0xb8, 0x34, 0x12], { operandBytes: 2, immediate: 0x1234, length: 4 }],
    ['add ecx, -1', [0x83, 0xc1, 0xff], { immediate: -1, length: 3 }],
    ['enter 0x1234, 5', [0xc8, 0x34, 0x12, 5], { immediate2: 0x1234, immediate: 5 }],
    ['mov eax, gs:[0x14]', [0x65, 0xa1, 0x14, 0, 0, 0], { segment: 5, displacement: 0x14 }],
  ])('%s', (_text, bytes, expected) => {
    expect(decode(...bytes)).toMatchObject(expected);
  });

  test('an instruction of 15 bytes is one, a longer one is not', () => {
    const nops = (count: number): number[] => [...Array.from({ length: count }, () => 0x66), 0x90];
    expect(insn.decode(byteReader(nops(14)), codeStart)).toBe(Decoded.ok);
    expect(insn.decode(byteReader([...nops(15), 0x90]), codeStart)).toBe(Decoded.tooLong);
  });

  test('the first byte that cannot be fetched is told', () => {
    expect(insn.decode(byteReader([0x81, 0x05, 1, 2, 3]), codeStart)).toBe(Decoded.fetchFault);
    expect(insn.faultAddress).toBe(codeStart + 5);
  });
});
