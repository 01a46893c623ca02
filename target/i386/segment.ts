import type { Value } from '#tcg/builder.ts';
import { ExitReason } from '#tcg/cpu-page.ts';
import type { CpuView } from '#tcg/target.ts';
import { Op, Reg, type X86Context } from './context.ts';
import { defineHelper } from './helpers.ts';
import {
  Descriptor,
  flatCodeHigh,
  flatDataHigh,
  flatLow,
  i386State,
  Seg,
  Selector,
  slotBase,
  slotDescriptor,
  slotSegment,
  Vector,
} from './state.ts';
import { limitOf } from './strict.ts';

const slotTls = i386State.offset('tls');
const tlsCount = i386State.fields.tls.count;

const userDescriptor = Descriptor.user | Descriptor.nonSystem;

const baseOf = (low: number, high: number): number => (low >>> 16) | ((high & 0xff) << 16) | (high & 0xff00_0000);

/** The GDT's descriptor at a selector as [low, high], or null. */
function gdtDescriptor(cpu: CpuView, selector: number): readonly [number, number] | null {
  const index = selector >>> 3;
  if (index === Selector.userCode >>> 3) return [flatLow, flatCodeHigh];
  if (index === Selector.userData >>> 3) return [flatLow, flatDataHigh];
  const tls = index - Selector.firstTls;
  if (tls < 0 || tls >= tlsCount) return null;
  const at = (slotTls >> 2) + 2 * tls;
  return [cpu.i32[at]!, cpu.i32[at + 1]!];
}

const slotSegments = i386State.offset('segments') >> 2;

/** Puts a selector and its descriptor into a segment register. */
function put(cpu: CpuView, segment: number, selector: number, low: number, high: number): number {
  const at = slotDescriptor(segment) >> 2;
  cpu.i32[slotSegment(segment) >> 2] = selector;
  cpu.i32[slotBase(segment) >> 2] = baseOf(low, high);
  cpu.i32[at] = low;
  cpu.i32[at + 1] = high;
  cpu.i32[slotSegments] = 0;
  return 0;
}

/** A vector with the selector for its error code, as `raiseValue` takes them. */
const fault = (vector: number, selector: number): number => vector | ((selector & 0xfffc) << 8);

/** The same of a selector in IR. */
export const faultOf = (c: X86Context, selector: Value, vector: number): Value =>
  c.b.or(c.b.shlImm(c.b.andImm(selector, 0xfffc), 8), c.b.i32(vector));

/** Loads segment register `segment` with a selector whose descriptor is given. Returns 0 or what to raise. */
function load(cpu: CpuView, segment: number, selector: number, low: number, high: number): number {
  const usable = (high & userDescriptor) === userDescriptor;
  const code = (high & Descriptor.code) !== 0;
  const writable = !code && (high & Descriptor.writable) !== 0;
  const loadable = segment === Seg.ss ? writable : !code || (high & Descriptor.readable) !== 0;
  if (!usable || !loadable) return fault(Vector.protection, selector);
  if ((high & Descriptor.present) === 0) return fault(segment === Seg.ss ? Vector.stack : Vector.notPresent, selector);
  return put(cpu, segment, selector, low, high);
}

/** Loads segment register a with selector b of the GDT. */
const loadGlobal = defineHelper({
  name: 'load_segment',
  call(cpu, segment, selector) {
    if ((selector & 0xfffc) === 0) {
      return segment === Seg.ss ? fault(Vector.protection, 0) : put(cpu, segment, selector, 0, 0);
    }
    const descriptor = gdtDescriptor(cpu, selector);
    return descriptor ? load(cpu, segment, selector, ...descriptor) : fault(Vector.protection, selector);
  },
});

/** Loads segment register a (bits 31:16) with selector a (bits 15:0) of the LDT, whose descriptor is b and c. */
const loadLocal = defineHelper({
  name: 'load_local_segment',
  call: (cpu, both, low, high) => load(cpu, both >>> 16, both & 0xffff, low, high),
});

const slotLdt = i386State.offset('ldt');
const slotLdtLimit = i386State.offset('ldtLimit');

/** Loads a segment register; #GP and what else the manual says for a bad selector. */
function loadSegment(c: X86Context, segment: number, selector: Value): void {
  const { b } = c;
  b.if(b.andImm(selector, 4));
  const offset = b.andImm(selector, 0xfff8);
  const outside = b.bin(Op.ge_u_i32, offset, b.get32(slotLdtLimit));
  c.raiseValue(b.select(outside, faultOf(c, selector, Vector.protection), b.i32(0)));
  const address = b.add(b.get32(slotLdt), offset);
  const both = b.or(selector, b.i32(segment << 16));
  c.raiseValue(b.helper(loadLocal, false, both, b.load(Op.load_i32, address), b.load(Op.load_i32, address, 4)));
  b.else();
  c.raiseValue(b.helper(loadGlobal, false, b.i32(segment), selector));
  b.endif();
}

/** After a segment register has been loaded: goes on in the mode that it makes. One of SS holds debug exceptions back. */
function segmentLoaded(c: X86Context, segment: number): void {
  if (c.isStepping && segment === Seg.ss) c.setStepped(0);
  c.exit(ExitReason.mode, c.nextPc);
}

/** MOV Sreg, r/m16 */
export function movToSegment(c: X86Context): void {
  const segment = c.register(0);
  if (segment === Seg.cs || segment > Seg.gs) c.undefined();
  else {
    loadSegment(c, segment, c.loadUnsigned(1));
    segmentLoaded(c, segment);
  }
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
  const segment = c.register(0);
  loadSegment(c, segment, c.b.load(Op.load16_u, c.reg(Reg.esp)));
  c.adjustStack(c.insn.operandBytes);
  segmentLoaded(c, segment);
}

/** LDS, LES, LSS, LFS, LGS dst, m16:32 */
export const loadFar = (segment: number) => (c: X86Context) => {
  const bytes = c.insn.operandBytes;
  const offset = c.loadMemory(bytes === 2 ? Op.load16_u : Op.load_i32);
  loadSegment(c, segment, c.loadMemory(Op.load16_u, bytes));
  c.store(0, offset);
  segmentLoaded(c, segment);
};

/** What user mode may know of a descriptor of the GDT: its low word where the high one is not 0. */
const globalLow = defineHelper({
  name: 'descriptor_low',
  call: (cpu, selector) => gdtDescriptor(cpu, selector)?.[0] ?? 0,
});
const globalHigh = defineHelper({
  name: 'descriptor_high',
  call: (cpu, selector) => ((selector & 0xfffc) === 0 ? 0 : (gdtDescriptor(cpu, selector)?.[1] ?? 0)),
});
/** The limit of descriptor a, b. */
const limit = defineHelper({ name: 'descriptor_limit', pure: true, call: (_cpu, low, high) => limitOf(low, high) | 0 });

/** Where the descriptor that an instruction asks for is put meanwhile. */
const slotLow = i386State.offset('operand');
const slotHigh = slotLow + 4;

/** The descriptor at selector operand n: its high word is 0 if user mode may not know it. */
function descriptorWords(c: X86Context, n: number): { readonly low: Value; readonly high: Value } {
  const { b } = c;
  const selector = c.loadUnsigned(n);
  const offset = b.andImm(selector, 0xfff8);
  b.set32(slotLow, b.i32(0));
  b.set32(slotHigh, b.i32(0));
  b.if(b.andImm(selector, 4));
  b.if(b.bin(Op.lt_u_i32, offset, b.get32(slotLdtLimit)));
  const address = b.add(b.get32(slotLdt), offset);
  b.set32(slotLow, b.load(Op.load_i32, address));
  b.set32(slotHigh, b.load(Op.load_i32, address, 4));
  b.endif();
  b.else();
  b.set32(slotLow, b.helper(globalLow, false, selector));
  b.set32(slotHigh, b.helper(globalHigh, false, selector));
  b.endif();
  const high = b.get32(slotHigh);
  const known = b.bin(Op.eq_i32, b.andImm(high, userDescriptor), b.i32(userDescriptor));
  return { low: b.get32(slotLow), high: b.select(known, high, b.i32(0)) };
}

/** LAR dst, selector: ZF tells whether there is one */
export function lar(c: X86Context): void {
  const { b } = c;
  const { high } = descriptorWords(c, 1);
  c.store(0, b.select(high, b.andImm(high, 0x00ff_ff00), c.loadAny(0)));
  c.flags.setZf(b.eqz(high));
}

/** LSL dst, selector */
export function lsl(c: X86Context): void {
  const { b } = c;
  const { low, high } = descriptorWords(c, 1);
  c.store(0, b.select(high, b.helper(limit, true, low, high), c.loadAny(0)));
  c.flags.setZf(b.eqz(high));
}

/** ZF is set if the high word of a descriptor has `value` in the bits of one of the masks. */
function verify(c: X86Context, allowed: (high: Value) => Value): void {
  const { b } = c;
  const { high } = descriptorWords(c, 0);
  c.flags.setZf(b.eqz(b.select(high, allowed(high), b.i32(0))));
}

/** VERR selector: data, and code that may be read */
export const verr = (c: X86Context): void =>
  verify(c, (high) =>
    c.b.bin(Op.ne_i32, c.b.andImm(high, Descriptor.code | Descriptor.readable), c.b.i32(Descriptor.code)),
  );

/** VERW selector: data that may be written */
export const verw = (c: X86Context): void =>
  verify(c, (high) =>
    c.b.bin(Op.eq_i32, c.b.andImm(high, Descriptor.code | Descriptor.writable), c.b.i32(Descriptor.writable)),
  );
