/** Moves, shuffles, insertions and extractions of MMX and SSE (SDM vol. 2). */
import { Op } from '#tcg/ops.ts';
import { Reg, slotR } from './state.ts';
import {
  binary,
  checkAligned,
  checkMmx,
  isMmx,
  load,
  shuffleElements,
  store,
  storeMmx,
  type Translate,
  touchMmx,
  unary,
  zero,
} from './vector.ts';

/** 16 bytes, register or memory; `aligned`: memory must be. */
export const moveWhole =
  (aligned: boolean): Translate =>
  (c) => {
    const [to, from] = [c.register(0), c.register(1)];
    if (to >= 0 && from >= 0) c.setXmm(to, c.getXmm(from));
    else {
      if (aligned) checkAligned(c);
      if (to >= 0) c.setXmm(to, c.loadMemory(Op.load_v128));
      else c.storeMemory(Op.store_v128, c.getXmm(from));
    }
  };

/** MOVSS, MOVSD: between registers the rest stays; from memory it becomes 0. */
export const moveScalar =
  (type: 'f32' | 'f64'): Translate =>
  (c) => {
    const { b } = c;
    const [to, from] = [c.register(0), c.register(1)];
    if (from < 0) {
      const value = c.loadMemory(type === 'f32' ? Op.load_f32 : Op.load_f64);
      const insert = type === 'f32' ? Op.replace_lane_f32x4 : Op.replace_lane_f64x2;
      c.setXmm(to, b.emit(insert, zero(c), value));
    } else if (to < 0) c.storeMemory(type === 'f32' ? Op.store_f32 : Op.store_f64, c.getLane(type, from, 0));
    else c.setLane(type, to, 0, c.getLane(type, from, 0));
  };

/** MOVLPS/MOVLPD (half 0) and MOVHPS/MOVHPD (half 1) with memory. */
export const moveHalf =
  (half: 0 | 1): Translate =>
  (c) => {
    const [to, from] = [c.register(0), c.register(1)];
    if (to >= 0) c.setLane('f64', to, half, c.loadMemory(Op.load_f64));
    else c.storeMemory(Op.store_f64, c.getLane('f64', from, half));
  };

/** MOVHLPS: the high half to the low one; MOVLHPS: the low half to the high one. */
export const moveAcross =
  (to: 0 | 1): Translate =>
  (c) =>
    c.setLane('f64', c.register(0), to, c.getLane('f64', c.register(1), 1 - to));

/** MOVD to an MMX or XMM register: the rest becomes 0. */
export const movdIn: Translate = (c) => {
  const { b } = c;
  const mmx = isMmx(c, 0);
  if (mmx) checkMmx(c);
  const value = c.load(1);
  if (mmx) storeMmx(c, c.register(0), b.un(Op.extend_u_i64, value));
  else c.setXmm(c.register(0), b.emit(Op.replace_lane_i32x4, zero(c), value));
};

/** MOVD from one. */
export const movdOut: Translate = (c) => {
  const { b } = c;
  const from = c.register(1);
  if (!isMmx(c, 1)) {
    c.store(0, c.getLane('i32', from, 0));
    return;
  }
  checkMmx(c);
  c.store(0, b.un(Op.wrap_i64, c.getMmx(from)));
  touchMmx(c);
};

/** MOVQ, MOVNTQ between MMX registers and memory. */
export const movqMmx: Translate = (c) => {
  const [to, from] = [c.register(0), c.register(1)];
  checkMmx(c);
  if (to >= 0) {
    storeMmx(c, to, from >= 0 ? c.getMmx(from) : c.loadMemory(Op.load_i64));
    return;
  }
  c.storeMemory(Op.store_i64, c.getMmx(from));
  touchMmx(c);
};

/** MOVQ between XMM registers and memory: the high half of a register written becomes 0. */
export const movqXmm: Translate = (c) => {
  const { b } = c;
  const [to, from] = [c.register(0), c.register(1)];
  const value = from >= 0 ? c.getLane('i64', from, 0) : c.loadMemory(Op.load_i64);
  if (to < 0) c.storeMemory(Op.store_i64, value);
  else c.setXmm(to, b.emit(Op.replace_lane_i64x2, zero(c), value));
};

/** MOVQ2DQ and MOVDQ2Q. */
export const movq2dq: Translate = (c) => {
  checkMmx(c);
  const value = c.getMmx(c.register(1));
  touchMmx(c);
  c.setXmm(c.register(0), c.b.emit(Op.replace_lane_i64x2, zero(c), value));
};
export const movdq2q: Translate = (c) => {
  checkMmx(c);
  storeMmx(c, c.register(0), c.getLane('i64', c.register(1), 0));
};

/** MOVNTI. */
export const movnti: Translate = (c) => c.store(0, c.load(1));

/** MOVSLDUP, MOVSHDUP, MOVDDUP. */
export const duplicate = (bytes: number, pick: readonly number[]): Translate =>
  unary((c, a) => shuffleElements(c, bytes, a, a, pick));

/** Four fields of two bits. */
const fields = (immediate: number): number[] => [0, 2, 4, 6].map((at) => (immediate >> at) & 3);

export const pshufd: Translate = (c) => {
  const source = load(c, 1);
  store(c, 0, shuffleElements(c, 4, source, source, fields(c.immediate(2))));
};

/** PSHUFW, PSHUFLW (`first` 0), PSHUFHW (4): four words are shuffled, the others stay. */
export const shuffleWords =
  (first: 0 | 4): Translate =>
  (c) => {
    if (isMmx(c, 0)) checkMmx(c);
    const source = load(c, 1);
    const pick = [0, 1, 2, 3, 4, 5, 6, 7];
    fields(c.immediate(2)).forEach((field, i) => (pick[first + i] = first + field));
    store(c, 0, shuffleElements(c, 2, source, source, pick));
  };

/** SHUFPS: two of dst, two of src. */
export const shufps: Translate = (c) => {
  const [p, q, r, s] = fields(c.immediate(2)) as [number, number, number, number];
  const source = load(c, 1);
  store(c, 0, shuffleElements(c, 4, load(c, 0), source, [p, q, 4 + r, 4 + s]));
};

export const shufpd: Translate = (c) => {
  const immediate = c.immediate(2);
  const source = load(c, 1);
  store(c, 0, shuffleElements(c, 8, load(c, 0), source, [immediate & 1, 2 + ((immediate >> 1) & 1)]));
};

/** UNPCKLPS … UNPCKHPD. */
export const unpackFloats = (bytes: number, high: 0 | 1): Translate =>
  binary((c, a, b) =>
    shuffleElements(
      c,
      bytes,
      a,
      b,
      bytes === 4 ? [2 * high, 4 + 2 * high, 2 * high + 1, 5 + 2 * high] : [high, 2 + high],
    ),
  );

const inserts: Readonly<Record<number, number>> = {
  1: Op.replace_lane_i8x16,
  2: Op.replace_lane_i16x8,
  4: Op.replace_lane_i32x4,
};
const extracts: Readonly<Record<number, number>> = {
  1: Op.extract_lane_u_i8x16,
  2: Op.extract_lane_u_i16x8,
  4: Op.extract_lane_i32x4,
};

/** PINSRB, PINSRW, PINSRD. */
export const insert =
  (bytes: 1 | 2 | 4): Translate =>
  (c) => {
    const { b } = c;
    const mmx = isMmx(c, 0);
    if (mmx) checkMmx(c);
    const number = c.register(1);
    const loads = { 1: Op.load8_u, 2: Op.load16_u, 4: Op.load_i32 };
    const value = number >= 0 ? b.get32(slotR(number)) : c.loadMemory(loads[bytes]);
    const lane = c.immediate(2) & ((mmx ? 8 : 16) / bytes - 1);
    store(c, 0, b.emit(inserts[bytes]!, load(c, 0), value, -1, lane));
  };

/** PEXTRB, PEXTRW, PEXTRD, EXTRACTPS: a register gets the element zero-extended. */
export const extract =
  (bytes: 1 | 2 | 4): Translate =>
  (c) => {
    const { b } = c;
    const mmx = isMmx(c, 1);
    if (mmx) checkMmx(c);
    const lane = c.immediate(2) & ((mmx ? 8 : 16) / bytes - 1);
    const value = b.emit(extracts[bytes]!, load(c, 1), -1, -1, lane);
    const number = c.register(0);
    const stores = { 1: Op.store8, 2: Op.store16, 4: Op.store_i32 };
    if (number >= 0) c.setReg(number, value);
    else c.storeMemory(stores[bytes], value);
    if (mmx) touchMmx(c);
  };

/** INSERTPS: one element of src to a place of dst, and elements zeroed. */
export const insertps: Translate = (c) => {
  const { b } = c;
  const immediate = c.immediate(2);
  const from = c.register(1);
  const value = from >= 0 ? c.getLane('i32', from, (immediate >> 6) & 3) : c.loadMemory(Op.load_i32);
  const placed = b.emit(Op.replace_lane_i32x4, load(c, 0), value, -1, (immediate >> 4) & 3);
  const zeroed = [0, 1, 2, 3].map((i) => ((immediate >> i) & 1 ? 4 : i));
  store(c, 0, shuffleElements(c, 4, placed, zero(c), zeroed));
};

/** MASKMOVQ, MASKMOVDQU: the bytes of operand 0 whose bit 7 in operand 1 is set go to [EDI]. It may
 * fault even if there are none. */
export const maskMove: Translate = (c) => {
  const { b } = c;
  const mmx = isMmx(c, 0);
  if (mmx) checkMmx(c);
  const value = load(c, 0);
  const mask = b.un(Op.bitmask_i8x16, load(c, 1));
  const edi = c.reg(Reg.edi);
  const address = c.withBase(c.insn.addressBytes === 2 ? b.andImm(edi, 0xffff) : edi);
  if (mmx) touchMmx(c);
  b.probe(address, mmx ? 8 : 16, 2);
  for (let i = 0; i < (mmx ? 8 : 16); i++) {
    b.if(b.andImm(mask, 1 << i));
    b.store(Op.store8, address, b.emit(Op.extract_lane_u_i8x16, value, -1, -1, i), i);
    b.endif();
  }
};
