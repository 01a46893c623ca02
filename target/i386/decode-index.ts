// How rows are found. The bundle has the values of this file in place of its code (scripts/build.ts).
import { mapCount, rowBits } from './row.ts';
import { rows } from './rows.ts';

const opcodes = mapCount * 256;

function index(): { starts: Uint16Array; lists: Uint16Array } {
  const byOpcode: number[][] = Array.from({ length: opcodes }, () => []);
  rows.forEach((row, number) => {
    const { map, first, last } = rowBits(row);
    for (let opcode = first; opcode <= last; opcode++) byOpcode[map * 256 + opcode]!.push(number);
  });
  const starts = new Uint16Array(opcodes + 1);
  const lists: number[] = [];
  byOpcode.forEach((numbers, key) => {
    starts[key] = lists.length;
    lists.push(...numbers);
  });
  starts[opcodes] = lists.length;
  return { starts, lists: Uint16Array.from(lists) };
}

const { starts, lists } = index();
/** By map × 256 + opcode: where its row numbers begin in `rowLists`; they end where the next one's begin. */
export const rowStarts: Uint16Array = starts;
export const rowLists: Uint16Array = lists;
