import type { Value } from '#tcg/builder.ts';
import type { CpuView } from '#tcg/target.ts';
import { Op, Reg, type X86Context } from './context.ts';
import { defineHelper } from './helpers.ts';
import { i386State, Seg, Selector, slotBase, slotSegment, Vector } from './state.ts';

const slotTls = i386State.offset('tls');
const tlsCount = i386State.fields.tls.count;

/** Fields of a descriptor (SDM vol. 3, 3.4.5), of its high word. */
const Descriptor = { present: 0x8000, user: 0x6000, nonSystem: 0x1000, code: 0x800, readable: 0x200 } as const;

const userDescriptor = Descriptor.present | Descriptor.user | Descriptor.nonSystem;

/** High words of the flat segments of user mode. */
const flatData = 0x00cf_f300;
const flatCode = 0x00cf_fb00;

const baseOf = (low: number, high: number): number => (low >>> 16) | ((high & 0xff) << 16) | (high & 0xff00_0000);

/** The GDT's descriptor at a selector as [low, high], or null. */
function gdtDescriptor(cpu: CpuView, selector: number): readonly [number, number] | null {
  const index = selector >>> 3;
  if (index === Selector.userCode >>> 3) return [0xffff, flatCode];
  if (index === Selector.userData >>> 3) return [0xffff, flatData];
  const tls = index - Selector.firstTls;
  if (tls < 0 || tls >= tlsCount) return null;
  const at = (slotTls >> 2) + 2 * tls;
  return [cpu.i32[at]!, cpu.i32[at + 1]!];
}

/** Loads segment register `segment` with a selector whose descriptor is given. Returns 0 or the vector to raise. */
function load(cpu: CpuView, segment: number, selector: number, low: number, high: number): number {
  const usable = (high & userDescriptor & ~Descriptor.present) === (userDescriptor & ~Descriptor.present);
  const code = (high & Descriptor.code) !== 0;
  const writable = !code && (high & Descriptor.readable) !== 0;
  const loadable = segment === Seg.ss ? writable : !code || (high & Descriptor.readable) !== 0;
  if (!usable || !loadable) return Vector.protection;
  if ((high & Descriptor.present) === 0) return segment === Seg.ss ? Vector.stack : Vector.notPresent;
  cpu.i32[slotSegment(segment) >> 2] = selector;
  cpu.i32[slotBase(segment) >> 2] = baseOf(low, high);
  return 0;
}

/** Loads segment register a with selector b of the GDT. */
const loadGlobal = defineHelper({
  name: 'load_segment',
  call(cpu, segment, selector) {
    if ((selector & 0xfffc) === 0) {
      if (segment === Seg.ss) return Vector.protection;
      cpu.i32[slotSegment(segment) >> 2] = selector;
      cpu.i32[slotBase(segment) >> 2] = 0;
      return 0;
    }
    const descriptor = gdtDescriptor(cpu, selector);
    return descriptor ? load(cpu, segment, selector, ...descriptor) : Vector.protection;
  },
});

/** Loads segment register a (bits 31:16) with selector a (bits 15:0) of the LDT, whose descriptor is b and c. */
const loadLocal = defineHelper({
  name: 'load_local_segment',
  call: (cpu, both, low, high) => load(cpu, both >>> 16, both & 0xffff, low, high),
});

/** Loads a segment register; #GP and what else the manual says for a bad selector. */
function loadSegment(c: X86Context, segment: number, selector: Value): void {
  const { b } = c;
  b.if(b.andImm(selector, 4));
  const offset = b.andImm(selector, 0xfff8);
  c.raiseIf(b.bin(Op.ge_u_i32, offset, b.get32(i386State.offset('ldtLimit'))), Vector.protection);
  const address = b.add(b.get32(i386State.offset('ldt')), offset);
  const both = b.or(selector, b.i32(segment << 16));
  raiseVector(c, b.helper(loadLocal, false, both, b.load(Op.load_i32, address), b.load(Op.load_i32, address, 4)));
  b.else();
  raiseVector(c, b.helper(loadGlobal, false, b.i32(segment), selector));
  b.endif();
}

function raiseVector(c: X86Context, vector: Value): void {
  for (const possible of [Vector.protection, Vector.notPresent, Vector.stack]) {
    c.raiseIf(c.b.bin(Op.eq_i32, vector, c.b.i32(possible)), possible);
  }
}

/** MOV Sreg, r/m16 */
export function movToSegment(c: X86Context): void {
  const segment = c.register(0);
  if (segment === Seg.cs || segment > Seg.gs) c.undefined();
  else loadSegment(c, segment, c.loadUnsigned(1));
}

/** MOV r/m, Sreg: memory gets 16 bits, a register of 32 bits all of them */
export function movFromSegment(c: X86Context): void {
  const segment = c.register(1);
  if (segment > Seg.gs) {
    c.undefined();
    return;
  }
  const selector = c.b.get32(slotSegment(segment));
  const number = c.register(0);
  if (number >= 0) c.setRegister(number, c.insn.operandBytes, selector);
  else c.storeMemory(Op.store16, selector);
}

/** PUSH Sreg: in 32 bits, of which only 16 are written */
export function pushSegment(c: X86Context): void {
  const { b } = c;
  const top = b.addImm(c.reg(Reg.esp), -c.insn.operandBytes);
  b.store(Op.store16, top, b.get32(slotSegment(c.register(0))));
  c.setReg(Reg.esp, top);
}

/** POP Sreg */
export function popSegment(c: X86Context): void {
  loadSegment(c, c.register(0), c.b.load(Op.load16_u, c.reg(Reg.esp)));
  c.adjustStack(c.insn.operandBytes);
}

/** LDS, LES, LSS, LFS, LGS dst, m16:32 */
export const loadFar = (segment: number) => (c: X86Context) => {
  const bytes = c.insn.operandBytes;
  const offset = c.loadMemory(bytes === 2 ? Op.load16_u : Op.load_i32);
  loadSegment(c, segment, c.loadMemory(Op.load16_u, bytes));
  c.store(0, offset);
};

/** What of descriptor a user mode may know: its high word, or 0. b, c: the LDT's descriptor. */
const visible = defineHelper({
  name: 'descriptor',
  call(cpu, selector) {
    const high = gdtDescriptor(cpu, selector)?.[1] ?? 0;
    return (high & userDescriptor & ~Descriptor.present) === (userDescriptor & ~Descriptor.present) ? high : 0;
  },
});

/** Of the GDT only: LAR, LSL, VERR and VERW of a local selector find nothing. */
function highWord(c: X86Context, n: number): Value {
  const { b } = c;
  const selector = c.loadUnsigned(n);
  const high = b.helper(visible, false, selector);
  return b.select(b.andImm(selector, 4), b.i32(0), high);
}

/** LAR dst, selector: ZF tells whether there is one */
export function lar(c: X86Context): void {
  const { b } = c;
  const high = highWord(c, 1);
  c.store(0, b.select(high, b.andImm(high, 0x00ff_ff00), c.loadAny(0)));
  c.flags.setZf(b.eqz(high));
}

/** LSL dst, selector: all segments that can be seen are flat */
export function lsl(c: X86Context): void {
  const { b } = c;
  const high = highWord(c, 1);
  c.store(0, b.select(high, b.i32(-1), c.loadAny(0)));
  c.flags.setZf(b.eqz(high));
}

/** VERR selector */
export const verr = (c: X86Context): void => c.flags.setZf(c.b.eqz(highWord(c, 0)));

/** VERW selector: only data can be written */
export function verw(c: X86Context): void {
  const { b } = c;
  const high = highWord(c, 0);
  c.flags.setZf(b.bin(Op.ne_i32, b.andImm(high, Descriptor.code | Descriptor.nonSystem), b.i32(Descriptor.nonSystem)));
}
