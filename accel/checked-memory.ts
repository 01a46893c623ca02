import type { AccessBits, MemoryModel } from '#tcg/memory-model.ts';
import { type Code, emptyBlockType, W } from '#tcg/wasm/code.ts';
import { Access, pageShift, permissionPlanes, permissionsBase } from './guest-memory.ts';

/** Replaces the index of a permission byte on the stack by the byte. */
function emitPermissions(code: Code): void {
  code.i32(permissionsBase);
  code.u8(W.i32_add);
  code.mem(W.i32_load8_u, 0, 0);
}

/** Replaces the index of a permission byte on the stack by whether it refuses the access. */
function emitRefused(code: Code, access: AccessBits): void {
  emitPermissions(code);
  emitLacks(code, access);
}

/** Replaces access bits on the stack by whether some of `access` are missing. */
function emitLacks(code: Code, access: AccessBits): void {
  code.i32(access);
  code.u8(W.i32_and);
  if (access & (access - 1)) {
    code.i32(access);
    code.u8(W.i32_ne);
  } else {
    code.u8(W.i32_eqz);
  }
}

function pushAddress(code: Code, address: number, offset: number): void {
  code.get(address);
  if (offset === 0) return;
  code.i32(offset);
  code.u8(W.i32_add);
}

function pushPage(code: Code, address: number, offset: number): void {
  pushAddress(code, address, offset);
  code.i32(pageShift);
  code.u8(W.i32_shr_u);
}

/**
 * No wrap-around in the immediate offset is lost: the check has seen the wrapped address and refused it. Unchecked, the
 * access is past the end of memory and traps, where the wrapped one would be in the pages nobody can map.
 */
function emitPlainAddress(code: Code, address: number, offset: number): number {
  code.get(address);
  return offset;
}

/**
 * Protection by software, exactly: the permission bytes of the pages of an access's first and last byte are tested.
 * For the interpreter, and for what `PlaneCheckedMemory` is not sure of.
 */
export class ExactCheckedMemory implements MemoryModel {
  readonly emitAddress = emitPlainAddress;

  needsCheck(_access: AccessBits): boolean {
    return true;
  }

  emitCheck(code: Code, address: number, offset: number, bytes: number, access: AccessBits, cold: number): void {
    for (const at of bytes > 1 ? [offset, offset + bytes - 1] : [offset]) {
      pushPage(code, address, at);
      emitRefused(code, access);
      code.unlikely();
      code.brIf(cold);
    }
  }
}

/**
 * Protection by software with one test an access, by the planes of permission bytes (guest-memory.ts). A plane refuses
 * every misaligned access to the last page of a mapping, where many a stack frame is: then the bytes are looked at. To
 * leave for that would not do, since flags that are dead in the region are not dead for whoever goes on in its middle.
 */
export class PlaneCheckedMemory implements MemoryModel {
  readonly emitAddress = emitPlainAddress;
  private readonly exact = new ExactCheckedMemory();

  needsCheck(_access: AccessBits): boolean {
    return true;
  }

  emitCheck(code: Code, address: number, offset: number, bytes: number, access: AccessBits, cold: number): void {
    if (bytes === 1) {
      this.exact.emitCheck(code, address, offset, bytes, access, cold);
      return;
    }
    this.pushRefused(code, address, offset, bytes, access);
    code.unlikely();
    code.op2(W.if, emptyBlockType);
    this.exact.emitCheck(code, address, offset, bytes, access, cold + 1);
    code.u8(W.end);
  }

  pushRefused(code: Code, address: number, offset: number, bytes: number, access: AccessBits): void {
    if (bytes === 1 || bytes > permissionPlanes) {
      pushPage(code, address, offset);
      emitPermissions(code);
      if (bytes > 1) {
        pushPage(code, address, offset + bytes - 1);
        emitPermissions(code);
        code.u8(W.i32_and);
      }
      emitLacks(code, access);
      return;
    }
    pushAddress(code, address, offset);
    code.i32(pageShift);
    // Rotated, the low address bits stand above the page number: together they index planes and pages.
    code.u8(W.i32_rotr);
    code.i32((planeSpan(bytes) << (32 - pageShift)) - 1);
    code.u8(W.i32_and);
    emitRefused(code, access);
  }
}

/**
 * Protection by the host's page tables (`GuestMemory.protectPages`): loads and stores go unchecked. An atomic on a
 * refused page would end the process, in V8's baseline code: it is checked as by `PlaneCheckedMemory`.
 */
export class PageProtectedMemory extends PlaneCheckedMemory {
  override needsCheck(access: AccessBits): boolean {
    return access === (Access.read | Access.write);
  }
}

/** Planes an access of so many bytes may need: a power of two. */
function planeSpan(bytes: number): number {
  if (bytes <= 2) return 2;
  return bytes <= 4 ? 4 : 8;
}
