/** WebAssembly for interpreter code that comes from a file: cold JavaScript would take milliseconds for these loops. */
import { engineMemory, jumpCacheMask } from './interpreter-ops.ts';
import { Code, emptyBlockType, W } from './wasm/code.ts';

const i32Mul = 0x6c;
const i32Xor = 0x73;
const i32Rotl = 0x77;

/** (start, end) → checksum of the words in memory 1 from byte address `start` to `end`. One local: the sum so far. */
export function checksumCode(): Code {
  const [at, end, sum] = [0, 1, 2];
  const code = new Code(64);
  code.op2(W.block, emptyBlockType);
  code.op2(W.loop, emptyBlockType);
  code.get(at);
  code.get(end);
  code.u8(W.i32_ge_u);
  code.brIf(1);
  code.get(sum);
  code.i32(5);
  code.u8(i32Rotl);
  code.get(at);
  code.mem1(W.i32_load, 2, 0);
  code.u8(i32Xor);
  // 2^32 divided by the golden ratio.
  code.i32(0x9e3779b1);
  code.u8(i32Mul);
  code.set(sum);
  advance(code, at);
  code.br(0);
  code.u8(W.end);
  code.u8(W.end);
  code.get(sum);
  return code;
}

/**
 * (ranges, end, bytes) → 1 if guest memory has, in the ranges (pairs of guest address and number of words, at byte
 * addresses `ranges` to `end` of memory 1), what is from `bytes` on in memory 1; else 0. Two locals.
 */
export function matchesCode(): Code {
  const [ranges, end, bytes, address, count] = [0, 1, 2, 3, 4];
  const code = new Code(128);
  code.op2(W.loop, emptyBlockType);
  code.get(ranges);
  code.get(end);
  code.u8(W.i32_ge_u);
  code.op2(W.if, emptyBlockType);
  code.i32(1);
  code.u8(W.return);
  code.u8(W.end);
  code.get(ranges);
  code.mem1(W.i32_load, 2, 0);
  code.set(address);
  code.get(ranges);
  code.mem1(W.i32_load, 2, 4);
  code.set(count);
  advance(code, ranges);
  advance(code, ranges);
  code.op2(W.loop, emptyBlockType);
  code.get(address);
  code.mem(W.i32_load, 2, 0);
  code.get(bytes);
  code.mem1(W.i32_load, 2, 0);
  code.u8(W.i32_ne);
  code.op2(W.if, emptyBlockType);
  code.i32(0);
  code.u8(W.return);
  code.u8(W.end);
  advance(code, address);
  advance(code, bytes);
  code.get(count);
  code.i32(1);
  code.u8(W.i32_sub);
  code.tee(count);
  code.brIf(0);
  code.br(1);
  code.u8(W.end);
  code.u8(W.end);
  code.u8(W.unreachable);
  return code;
}

/** (list, end, code): adds `code` to the words of the code at address `code` whose indices are in `list` up to `end`. */
export function relocateCode(): Code {
  const [list, end, base] = [0, 1, 2];
  const code = new Code(64);
  code.op2(W.block, emptyBlockType);
  code.op2(W.loop, emptyBlockType);
  code.get(list);
  code.get(end);
  code.u8(W.i32_ge_u);
  code.brIf(1);
  wordOf(code, list, base);
  wordOf(code, list, base);
  code.mem1(W.i32_load, 2, 0);
  code.get(base);
  code.u8(W.i32_add);
  code.mem1(W.i32_store, 2, 0);
  advance(code, list);
  code.br(0);
  code.u8(W.end);
  code.u8(W.end);
  code.i32(0);
  return code;
}

/** Pushes the address of the word at `base` whose index the word at `list` is. */
function wordOf(code: Code, list: number, base: number): void {
  code.get(list);
  code.mem1(W.i32_load, 2, 0);
  code.i32(2);
  code.u8(W.i32_shl);
  code.get(base);
  code.u8(W.i32_add);
}

/**
 * (pcs, end, code): puts blocks into the interpreter's jump cache; their PCs are at `pcs` up to `end`, and their byte
 * offsets from `code` follow. One local.
 */
export function rememberCode(): Code {
  const [pcs, end, base, offsets] = [0, 1, 2, 3];
  const code = new Code(96);
  code.get(end);
  code.set(offsets);
  code.op2(W.block, emptyBlockType);
  code.op2(W.loop, emptyBlockType);
  code.get(pcs);
  code.get(end);
  code.u8(W.i32_ge_u);
  code.brIf(1);
  cacheEntryOf(code, pcs);
  code.get(pcs);
  code.mem1(W.i32_load, 2, 0);
  code.mem1(W.i32_store, 2, engineMemory.jumpCache);
  cacheEntryOf(code, pcs);
  code.get(offsets);
  code.mem1(W.i32_load, 2, 0);
  code.get(base);
  code.u8(W.i32_add);
  code.mem1(W.i32_store, 2, engineMemory.jumpCache + 4);
  advance(code, pcs);
  advance(code, offsets);
  code.br(0);
  code.u8(W.end);
  code.u8(W.end);
  code.i32(0);
  return code;
}

/** Pushes the offset in the jump cache of the entry for the PC at `pcs`. */
function cacheEntryOf(code: Code, pcs: number): void {
  code.get(pcs);
  code.mem1(W.i32_load, 2, 0);
  code.i32(2);
  code.u8(W.i32_shl);
  code.i32(jumpCacheMask);
  code.u8(W.i32_and);
}

function advance(code: Code, local: number): void {
  code.get(local);
  code.i32(4);
  code.u8(W.i32_add);
  code.set(local);
}
