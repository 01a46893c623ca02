import { describe, expect, it } from 'vitest';
import { a32, t32, translated } from './support/arm-block.ts';

const vmrs = (rt: number): number => 0xeef10a10 + (rt << 12);
const bxLr = 0xe12fff1e;
const observes = (ir: string): boolean => /fpTracked/.test(ir);

describe('FPSCR', () => {
  it('VMRS for the rounding mode is harmless (fegetround, printf)', () => {
    expect(observes(translated(a32(vmrs(2), 0xe2125503, bxLr), false))).toBe(false);
    // vmrs r7, fpscr; mov r5, #-1; and.w r7, r7, #0xc00000; bx lr
    const thumb = t32(0xeef1, 0x7a10, 0xf04f, 0x35ff, 0xf407, 0x0740, 0x4770);
    expect(observes(translated(thumb, true))).toBe(false);
  });

  it('VMRS for the flags keeps them from there on (fetestexcept, feclearexcept)', () => {
    // and r0, r0, r3; bx lr
    expect(observes(translated(a32(vmrs(3), 0xe0000003, bxLr), false))).toBe(true);
    // and.w r0, r0, #31; bic.w r2, r3, r0; tst r0, r3; beq; vmsr fpscr, r2
    const clear = t32(0xeef1, 0x3a10, 0xf000, 0x001f, 0xea23, 0x0200, 0x4218, 0xd001, 0xeee1, 0x2a10, 0x4770);
    expect(observes(translated(clear, true))).toBe(true);
  });

  it('VMRS followed by VMSR leaves the decision to VMSR (feholdexcept, fma)', () => {
    // bic.w r3, r2, #0x1f00; bic.w r3, r3, #31; vmsr fpscr, r3
    const hold = t32(0xeef1, 0x2a10, 0xf422, 0x53f8, 0xf023, 0x031f, 0xeee1, 0x3a10);
    const ir = translated(hold, true);
    expect(observes(ir)).toBe(false);
    expect(ir).toMatch(/helper2/);
    expect(ir).toMatch(/exit/);
  });

  it('a comparison and VMRS APSR_nzcv make one native comparison', () => {
    // vcmpe.f64 d0, d1; vmrs APSR_nzcv, fpscr; bgt
    const ir = translated(a32(0xeeb40bc1, 0xeef1fa10, 0xcafffffe), false);
    expect(ir).toMatch(/gt_f64/);
    expect(ir).not.toMatch(/get_i32.*fpNzcv/);
  });

  it('an operation before VMRS raises its flags (feraiseexcept)', () => {
    const vdiv = 0xee800a00;
    expect(translated(a32(vdiv, vmrs(3), 0xe3a03000, bxLr), false)).not.toMatch(/div_f32/);
    expect(translated(a32(vdiv, bxLr), false)).toMatch(/div_f32/);
  });
});
