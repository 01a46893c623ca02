import type { Value } from '#tcg/builder.ts';
import { Op, Reg, type X86Context } from './context.ts';
import { Cond, slotDf } from './flags.ts';
import { Seg } from './state.ts';

/*
 * String instructions. A repeated one is a loop of the block to itself: each round is an instruction of its own, so that
 * it can be interrupted, and a fault leaves the registers at the element it concerns.
 */

/** ESI, EDI or ECX as the address size has it. */
const pointer = (c: X86Context, register: number): Value => c.unsigned(c.reg(register), c.insn.addressBytes);

/** Where an element of `bytes` is read: DS or the segment of a prefix; and where one is compared or stored, always ES. */
const source = (c: X86Context, bytes: number): Value =>
  c.linear(c.insn.segment < 0 ? Seg.ds : c.insn.segment, pointer(c, Reg.esi), bytes, false);
const destination = (c: X86Context, bytes: number, write: boolean): Value =>
  c.linear(Seg.es, pointer(c, Reg.edi), bytes, write);

/** Moves a pointer on by an element of `bytes`, in the direction of DF. */
function advance(c: X86Context, register: number, bytes: number): void {
  const { b } = c;
  const step = b.shlImm(b.get32(slotDf), bytes >> 1);
  c.setRegister(register, c.insn.addressBytes, b.add(c.reg(register), step));
}

const loads = [-1, Op.load8_s, Op.load16_s, -1, Op.load_i32];
const stores = [-1, Op.store8, Op.store16, -1, Op.store_i32];

/**
 * Emits an instruction that a prefix may repeat. `element` does it once. It goes on while `again`, if given, is not 0;
 * `chunk` may do many elements at once.
 */
function repeat(c: X86Context, element: () => void, again?: () => Value, chunk?: () => void): void {
  const { b, insn } = c;
  if (insn.rep === 0) {
    element();
    return;
  }
  b.if(b.eqz(pointer(c, Reg.ecx)));
  b.jump(c.nextPc);
  b.endif();
  if (insn.addressBytes === 4 && !c.isStepping && !c.isStrict) chunk?.();
  element();
  const left = b.addImm(c.reg(Reg.ecx), -1);
  c.setRegister(Reg.ecx, insn.addressBytes, left);
  const more = b.bin(Op.ne_i32, c.unsigned(left, insn.addressBytes), b.i32(0));
  c.ended = true;
  b.branch(again ? b.and(again(), more) : more, c.pc, c.nextPc);
}

/** REPE goes on while ZF is set, REPNE while it is not. */
const whileZf = (c: X86Context) => (): Value => c.flags.truth(c.insn.rep === 0xf3 ? Cond.z : Cond.nz);

/** Bytes done at once. */
const chunkBytes = 16;

/** Can `chunkBytes` from `address` on not run into another page? */
const staysInPage = (c: X86Context, address: Value): Value =>
  c.b.bin(Op.le_u_i32, c.b.andImm(address, 4095), c.b.i32(4096 - chunkBytes));

/**
 * Does a chunk of elements and begins again, where there are enough of them, upward and within a page: what may fault
 * then does so at the first of them. `fits` says more of that.
 */
function chunked(c: X86Context, bytes: number, fits: Value, move: () => void, pointers: readonly number[]): void {
  const { b } = c;
  const elements = chunkBytes / bytes;
  const enough = b.bin(Op.ge_u_i32, c.reg(Reg.ecx), b.i32(elements));
  const upward = b.bin(Op.gt_s_i32, b.get32(slotDf), b.i32(0));
  b.if(b.and(b.and(enough, upward), b.and(fits, staysInPage(c, c.reg(Reg.edi)))));
  move();
  for (const register of pointers) c.setReg(register, b.addImm(c.reg(register), chunkBytes));
  c.setReg(Reg.ecx, b.addImm(c.reg(Reg.ecx), -elements));
  b.jump(c.pc);
  b.endif();
}

/** MOVS: [EDI] = [ESI] */
export function movs(c: X86Context): void {
  const { b } = c;
  const bytes = c.size(0);
  repeat(
    c,
    () => {
      const value = b.load(loads[bytes]!, source(c, bytes));
      b.store(stores[bytes]!, destination(c, bytes, true), value);
      advance(c, Reg.esi, bytes);
      advance(c, Reg.edi, bytes);
    },
    undefined,
    () => {
      const from = source(c, chunkBytes);
      const to = destination(c, chunkBytes, true);
      const apart = b.bin(Op.ge_u_i32, b.sub(to, from), b.i32(chunkBytes));
      const move = (): void => b.store(Op.store_v128, to, b.load(Op.load_v128, from));
      chunked(c, bytes, b.and(apart, staysInPage(c, from)), move, [Reg.esi, Reg.edi]);
    },
  );
}

const splats = [-1, Op.splat_i8x16, Op.splat_i16x8, -1, Op.splat_i32x4];

/** STOS: [EDI] = AL, AX or EAX */
export function stos(c: X86Context): void {
  const { b } = c;
  const bytes = c.size(0);
  repeat(
    c,
    () => {
      b.store(stores[bytes]!, destination(c, bytes, true), c.reg(Reg.eax));
      advance(c, Reg.edi, bytes);
    },
    undefined,
    () => {
      const to = destination(c, chunkBytes, true);
      const fill = (): void => b.store(Op.store_v128, to, b.un(splats[bytes]!, c.reg(Reg.eax)));
      chunked(c, bytes, b.i32(1), fill, [Reg.edi]);
    },
  );
}

/** LODS: AL, AX or EAX = [ESI] */
export function lods(c: X86Context): void {
  const bytes = c.size(1);
  repeat(c, () => {
    const value = c.b.load(loads[bytes]!, source(c, bytes));
    c.setRegister(Reg.eax, bytes, value);
    advance(c, Reg.esi, bytes);
  });
}

/** Sets the flags of left − right. */
function compare(c: X86Context, left: Value, right: Value, bytes: number): void {
  const difference = c.b.sub(left, right);
  c.flags.setSub(left, right, difference, c.signed(difference, bytes));
}

/** CMPS: flags of [ESI] − [EDI] */
export function cmps(c: X86Context): void {
  const bytes = c.size(0);
  repeat(
    c,
    () => {
      // Hardware faults on the destination first.
      const right = c.b.load(loads[bytes]!, destination(c, bytes, false));
      const left = c.b.load(loads[bytes]!, source(c, bytes));
      advance(c, Reg.esi, bytes);
      advance(c, Reg.edi, bytes);
      compare(c, left, right, bytes);
    },
    whileZf(c),
  );
}

/** SCAS: flags of AL, AX or EAX − [EDI] */
export function scas(c: X86Context): void {
  const bytes = c.size(1);
  repeat(
    c,
    () => {
      const right = c.b.load(loads[bytes]!, destination(c, bytes, false));
      advance(c, Reg.edi, bytes);
      compare(c, c.signed(c.reg(Reg.eax), bytes), right, bytes);
    },
    whileZf(c),
  );
}
