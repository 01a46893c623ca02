import type { AccessBits, MemoryModel } from '#tcg/memory-model.ts';
import { type Code, W } from '#tcg/wasm/code.ts';
import { guestBias, pageShift, permissionsBase } from './guest-memory.ts';

/**
 * Protection by software: a permission byte per page is tested before every access. An access of several bytes tests
 * the page of its first and of its last byte, so that one that runs into a refused page faults too.
 */
export class CheckedMemory implements MemoryModel {
  emitCheck(code: Code, address: number, offset: number, bytes: number, access: AccessBits, cold: number): void {
    this.pushPermission(code, address, offset);
    if (bytes > 1) {
      this.pushPermission(code, address, offset + bytes - 1);
      code.u8(W.i32_and);
    }
    code.i32(access);
    code.u8(W.i32_and);
    if (access & (access - 1)) {
      code.i32(access);
      code.u8(W.i32_ne);
    } else {
      code.u8(W.i32_eqz);
    }
    code.brIf(cold);
  }

  private pushPermission(code: Code, address: number, offset: number): void {
    code.get(address);
    if (offset !== 0) {
      code.i32(offset);
      code.u8(W.i32_add);
    }
    code.i32(pageShift);
    code.u8(W.i32_shr_u);
    code.i32(permissionsBase);
    code.u8(W.i32_add);
    code.mem(W.i32_load8_u, 0, 0);
  }

  emitAddress(code: Code, address: number, offset: number): number {
    code.get(address);
    code.i32(offset - guestBias);
    code.u8(W.i32_add);
    return 0;
  }
}
