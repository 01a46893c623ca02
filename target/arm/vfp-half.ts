/** Half-precision floating point (FEAT_FP16, DDI 0487 F6.1): all of it by soft arithmetic, in the low half of S registers. */
import type { ArmContext } from './context.ts';
import { dataKinds, loadData, storeData } from './guest-data.ts';
import { Rounding } from './softfloat.ts';
import { slotS } from './state.ts';
import { emitSoft } from './vfp-arith.ts';
import { directed, swapLow } from './vfp-convert.ts';
import { hasVectors } from './vfp-fpscr.ts';
import { currentRounding, VfpOp } from './vfp-ops.ts';
import { numberS, type RowPair, vfp, vfpAlways } from './vfp-registers.ts';

interface Two {
  readonly vd: number;
  readonly d: number;
  readonly vm: number;
  readonly m: number;
}
interface Three extends Two {
  readonly vn: number;
  readonly n: number;
}

const half = 0xffff;

/** There are no short vectors of halves. */
function isScalar(c: ArmContext): boolean {
  if (hasVectors(c)) c.undefined();
  return !hasVectors(c);
}

const three =
  (op: number) =>
  (c: ArmContext, f: Three): void => {
    if (isScalar(c)) emitSoft(c, op, 'f16', 0, numberS(f.vd, f.d), numberS(f.vn, f.n), numberS(f.vm, f.m));
  };
const two =
  (op: number, x = 0) =>
  (c: ArmContext, f: Two): void => {
    if (isScalar(c)) emitSoft(c, op, 'f16', x, numberS(f.vd, f.d), 0, numberS(f.vm, f.m));
  };

const getHalf = (c: ArmContext, n: number) => c.b.andImm(c.b.get32(slotS(n)), half);

/** VABS<c>.F16, VNEG<c>.F16: the sign bit. */
const sign = (negates: boolean) => (c: ArmContext, f: Two) => {
  if (!isScalar(c)) return;
  const { b } = c;
  const value = getHalf(c, numberS(f.vm, f.m));
  const result = negates ? b.xor(value, b.i32(0x8000)) : b.andImm(value, 0x7fff);
  b.set32(slotS(numberS(f.vd, f.d)), result);
};

/** VMOV<c>.F16 Sd, #imm: VFPExpandImm. */
function vmovImmediate(c: ArmContext, f: { vd: number; d: number; imm: number }): void {
  if (!isScalar(c)) return;
  const exponent = f.imm & 0x40 ? 0x3000 : 0x4000;
  c.b.set32(slotS(numberS(f.vd, f.d)), c.b.i32(((f.imm & 0x80) << 8) | exponent | ((f.imm & 0x3f) << 6)));
}

/** VCMP{E}<c>.F16 Sd, Sm; z: with zero. */
function vcmp(c: ArmContext, f: Two & { z: number; e: number }): void {
  if (f.z && (f.vm | f.m) !== 0) c.undefined();
  else emitSoft(c, VfpOp.compare, 'f16', f.e | (f.z << 1), numberS(f.vd, f.d), 0, numberS(f.vm, f.m));
}

/** VSEL<cc>.F16 Sd, Sn, Sm: EQ, VS, GE, GT. */
function vsel(c: ArmContext, f: Three & { cc: number }): void {
  const condition = c.condition([0, 6, 10, 12][f.cc]!);
  const chosen = c.b.select(condition, getHalf(c, numberS(f.vn, f.n)), getHalf(c, numberS(f.vm, f.m)));
  c.b.set32(slotS(numberS(f.vd, f.d)), chosen);
}

interface Fixed {
  readonly vd: number;
  readonly d: number;
  readonly u: number;
  readonly sx: number;
  readonly imm: number;
}

/** VCVT<c> between F16 and fixed point, in place. */
const fixed = (op: number) => (c: ArmContext, f: Fixed) => {
  const fraction = (f.sx ? 32 : 16) - swapLow(f.imm);
  const x = (fraction + 64) | (f.u ? 0 : 0x100) | (f.sx ? 0 : 0x200);
  emitSoft(c, op, 'f16', x, numberS(f.vd, f.d), 0, 0);
};

/** VINS.F16 Sd, Sm: the low half of Sm over the high one of Sd. */
function vins(c: ArmContext, f: Two): void {
  if (!isScalar(c)) return;
  const { b } = c;
  const slot = slotS(numberS(f.vd, f.d));
  b.set32(slot, b.or(b.andImm(b.get32(slot), half), b.shlImm(b.get32(slotS(numberS(f.vm, f.m))), 16)));
}

/** VMOVX.F16 Sd, Sm: the high half of Sm. */
function vmovx(c: ArmContext, f: Two): void {
  if (!isScalar(c)) return;
  c.b.set32(slotS(numberS(f.vd, f.d)), c.b.shrUImm(c.b.get32(slotS(numberS(f.vm, f.m))), 16));
}

/** VMOV<c>.F16 Sn, Rt; VMOV<c>.F16 Rt, Sn. */
function vmovCore(c: ArmContext, f: { op: number; vn: number; rt: number; n: number }): void {
  if (f.rt === 15) {
    c.unpredictable();
    return;
  }
  const number = numberS(f.vn, f.n);
  if (f.op) c.setReg(f.rt, getHalf(c, number));
  else c.b.set32(slotS(number), c.b.andImm(c.reg(f.rt), half));
}

interface Memory {
  readonly u: number;
  readonly d: number;
  readonly rn: number;
  readonly vd: number;
  readonly imm: number;
}

/** VLDR<c>.16, VSTR<c>.16 Sd, [Rn, #±imm]. */
const transfer = (isLoad: boolean) => (c: ArmContext, f: Memory) => {
  if (!isLoad && f.rn === 15 && c.thumb) {
    c.unpredictable();
    return;
  }
  const { b } = c;
  const address = b.addImm(c.baseReg(f.rn), f.u ? 2 * f.imm : -2 * f.imm);
  const slot = slotS(numberS(f.vd, f.d));
  if (isLoad) b.set32(slot, loadData(c, dataKinds.half, address));
  else storeData(c, dataKinds.half, address, b.get32(slot));
};

const data = <const P extends string>(opc: P) => `11101 d:1 ${opc} m:1 0 vm:4` as const;
const named = (name: string): string => `${name}.F16`;
const withRounding = (x: number) => two(VfpOp.toInteger, x);

export const halfRows: readonly RowPair[] = [
  vfp(named('VMLA'), '11100 d:1 00 vn:4 vd:4 1001 n:1 0 m:1 0 vm:4', three(VfpOp.mla)),
  vfp(named('VMLS'), '11100 d:1 00 vn:4 vd:4 1001 n:1 1 m:1 0 vm:4', three(VfpOp.mls)),
  vfp(named('VNMLS'), '11100 d:1 01 vn:4 vd:4 1001 n:1 0 m:1 0 vm:4', three(VfpOp.nmls)),
  vfp(named('VNMLA'), '11100 d:1 01 vn:4 vd:4 1001 n:1 1 m:1 0 vm:4', three(VfpOp.nmla)),
  vfp(named('VMUL'), '11100 d:1 10 vn:4 vd:4 1001 n:1 0 m:1 0 vm:4', three(VfpOp.mul)),
  vfp(named('VNMUL'), '11100 d:1 10 vn:4 vd:4 1001 n:1 1 m:1 0 vm:4', three(VfpOp.nmul)),
  vfp(named('VADD'), '11100 d:1 11 vn:4 vd:4 1001 n:1 0 m:1 0 vm:4', three(VfpOp.add)),
  vfp(named('VSUB'), '11100 d:1 11 vn:4 vd:4 1001 n:1 1 m:1 0 vm:4', three(VfpOp.sub)),
  vfp(named('VDIV'), '11101 d:1 00 vn:4 vd:4 1001 n:1 0 m:1 0 vm:4', three(VfpOp.div)),
  vfp(named('VFNMS'), '11101 d:1 01 vn:4 vd:4 1001 n:1 0 m:1 0 vm:4', three(VfpOp.fnms)),
  vfp(named('VFNMA'), '11101 d:1 01 vn:4 vd:4 1001 n:1 1 m:1 0 vm:4', three(VfpOp.fnma)),
  vfp(named('VFMA'), '11101 d:1 10 vn:4 vd:4 1001 n:1 0 m:1 0 vm:4', three(VfpOp.fma)),
  vfp(named('VFMS'), '11101 d:1 10 vn:4 vd:4 1001 n:1 1 m:1 0 vm:4', three(VfpOp.fms)),
  vfp('VMOV.F16 (immediate)', '11101 d:1 11 imm:4 vd:4 1001 0000 imm:4', vmovImmediate),
  vfp(named('VABS'), data('11 0000 vd:4 1001 11'), sign(false)),
  vfp(named('VNEG'), data('11 0001 vd:4 1001 01'), sign(true)),
  vfp(named('VSQRT'), data('11 0001 vd:4 1001 11'), two(VfpOp.sqrt)),
  vfp(named('VCMP'), data('11 010 z:1 vd:4 1001 e:1 1'), vcmp),
  vfp(named('VRINTR'), data('11 0110 vd:4 1001 01'), two(VfpOp.roundToIntegral, currentRounding)),
  vfp(named('VRINTZ'), data('11 0110 vd:4 1001 11'), two(VfpOp.roundToIntegral, Rounding.zero)),
  vfp(named('VRINTX'), data('11 0111 vd:4 1001 01'), two(VfpOp.roundToIntegral, currentRounding | 8)),
  vfp('VCVT.F16 (integer to half)', data('11 1000 vd:4 1001 s:1 1'), (c, f) => two(VfpOp.fromInteger, f.s << 3)(c, f)),
  vfp('VCVT.F16 (half to integer)', data('11 110 s:1 vd:4 1001 z:1 1'), (c, f) =>
    withRounding((f.z ? Rounding.zero : currentRounding) | (f.s << 3))(c, f),
  ),
  vfp('VCVT.F16 (fixed-point to half)', '11101 d:1 11 101 u:1 vd:4 1001 sx:1 1 imm:1 0 imm:4', fixed(VfpOp.fromFixed)),
  vfp('VCVT.F16 (half to fixed-point)', '11101 d:1 11 111 u:1 vd:4 1001 sx:1 1 imm:1 0 imm:4', fixed(VfpOp.toFixed)),
  vfp('VMOV.F16 (core)', '1110 000 op:1 vn:4 rt:4 1001 n:1 001 0000', vmovCore),
  vfp('VSTR (16-bit)', '1101 u:1 d:1 00 rn:4 vd:4 1001 imm:8', transfer(false)),
  vfp('VLDR (16-bit)', '1101 u:1 d:1 01 rn:4 vd:4 1001 imm:8', transfer(true)),
  vfpAlways(named('VSEL'), '11100 d:1 cc:2 vn:4 vd:4 1001 n:1 0 m:1 0 vm:4', vsel),
  vfpAlways(named('VMAXNM'), '11101 d:1 00 vn:4 vd:4 1001 n:1 0 m:1 0 vm:4', three(VfpOp.maxnm)),
  vfpAlways(named('VMINNM'), '11101 d:1 00 vn:4 vd:4 1001 n:1 1 m:1 0 vm:4', three(VfpOp.minnm)),
  vfpAlways('VINS', data('11 0000 vd:4 1010 11'), vins),
  vfpAlways('VMOVX', data('11 0000 vd:4 1010 01'), vmovx),
  vfpAlways('VRINT.F16 (directed)', data('11 10 rm:2 vd:4 1001 01'), (c, f) =>
    two(VfpOp.roundToIntegral, directed[f.rm]!)(c, f),
  ),
  vfpAlways('VCVT.F16 (directed)', data('11 11 rm:2 vd:4 1001 s:1 1'), (c, f) =>
    withRounding(directed[f.rm]! | (f.s << 3))(c, f),
  ),
];
