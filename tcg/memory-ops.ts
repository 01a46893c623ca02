import type { OpName, ValueType } from './ops.ts';
import { W } from './wasm/code.ts';

export interface MemoryAccess {
  readonly type: ValueType;
  readonly bytes: number;
  readonly write: boolean;
  /** Opcode bytes, without alignment and offset. */
  readonly wasm: readonly number[];
}

const load = (type: ValueType, bytes: number, ...wasm: number[]): MemoryAccess => ({ type, bytes, write: false, wasm });
const store = (type: ValueType, bytes: number, ...wasm: number[]): MemoryAccess => ({ type, bytes, write: true, wasm });

/** The guest memory ops' accesses as both backends emit them. */
export const memoryAccess: Readonly<Partial<Record<OpName, MemoryAccess>>> = {
  load8_u: load('i32', 1, W.i32_load8_u),
  load8_s: load('i32', 1, W.i32_load8_s),
  load16_u: load('i32', 2, W.i32_load16_u),
  load16_s: load('i32', 2, W.i32_load16_s),
  load_i32: load('i32', 4, W.i32_load),
  load_i64: load('i64', 8, W.i64_load),
  load_f32: load('f32', 4, W.f32_load),
  load_f64: load('f64', 8, W.f64_load),
  load_v128: load('v128', 16, 0xfd, 0),
  store8: store('i32', 1, W.i32_store8),
  store16: store('i32', 2, W.i32_store16),
  store_i32: store('i32', 4, W.i32_store),
  store_i64: store('i64', 8, W.i64_store),
  store_f32: store('f32', 4, W.f32_store),
  store_f64: store('f64', 8, W.f64_store),
  store_v128: store('v128', 16, 0xfd, 11),
  cmpxchg8: store('i32', 1, 0xfe, 0x4a),
  cmpxchg16: store('i32', 2, 0xfe, 0x4b),
  cmpxchg_i32: store('i32', 4, 0xfe, 0x48),
  cmpxchg_i64: store('i64', 8, 0xfe, 0x49),
};
