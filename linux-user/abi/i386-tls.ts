import { Access, type GuestMemory } from '#accel/guest-memory.ts';
import type { CpuView } from '#tcg/target.ts';
import { Errno } from '#util/errno.ts';
import type { Task } from '../task.ts';
import {
  baseOf,
  type DescriptorWords,
  flatCode,
  flatData,
  type I386Registers,
  noDescriptor,
  Selector,
} from './i386-registers.ts';

/* Segment descriptors as programs describe them (arch/x86/include/uapi/asm/ldt.h, arch/x86/kernel/tls.c). */

/** struct user_desc: entry_number, base_addr, limit, flags. */
export const userDescBytes = 16;

/** Flags of struct user_desc. */
const Desc = { seg32: 1, contents: 6, readExecOnly: 8, limitInPages: 0x10, notPresent: 0x20, useable: 0x40 } as const;
const contentsConforming = 3;

export interface UserDesc {
  readonly entry: number;
  readonly base: number;
  readonly limit: number;
  readonly flags: number;
}

export function loadUserDesc({ memory }: { readonly memory: GuestMemory }, at: number): UserDesc {
  memory.require(at, userDescBytes, Access.read);
  return {
    entry: memory.load32(at),
    base: memory.load32(at + 4),
    limit: memory.load32(at + 8),
    flags: memory.load32(at + 12),
  };
}

/** LDT_empty and LDT_zero: how a program clears an entry. */
export const isEmptyDesc = ({ base, limit, flags }: UserDesc): boolean =>
  base === 0 && limit === 0 && ((flags & 0x7f) === (Desc.readExecOnly | Desc.notPresent) || flags === 0);

/** The descriptor as the CPU has it (fill_ldt). */
export function encodeDescriptor(desc: UserDesc): DescriptorWords {
  if (isEmptyDesc(desc)) return [0, 0];
  const { base, limit, flags } = desc;
  const type = ((flags & Desc.readExecOnly) !== 0 ? 0 : 2) | ((flags & Desc.contents) << 1) | 1;
  const high =
    ((base >>> 16) & 0xff) |
    (base & 0xff00_0000) |
    (limit & 0xf_0000) |
    (type << 8) |
    0x7000 |
    ((flags & Desc.notPresent) !== 0 ? 0 : 0x8000) |
    ((flags & Desc.useable) !== 0 ? 1 << 20 : 0) |
    ((flags & Desc.seg32) !== 0 ? 1 << 22 : 0) |
    ((flags & Desc.limitInPages) !== 0 ? 1 << 23 : 0);
  return [(base << 16) | (limit & 0xffff), high];
}

/** struct user_desc's last three words from a descriptor (fill_user_desc). */
function decodeDescriptor(low: number, high: number): readonly [base: number, limit: number, flags: number] {
  const type = (high >>> 8) & 15;
  const flags =
    ((high >>> 22) & 1 ? Desc.seg32 : 0) |
    ((type >>> 1) & Desc.contents) |
    (type & 2 ? 0 : Desc.readExecOnly) |
    ((high >>> 23) & 1 ? Desc.limitInPages : 0) |
    ((high >>> 15) & 1 ? 0 : Desc.notPresent) |
    ((high >>> 20) & 1 ? Desc.useable : 0);
  return [baseOf(low, high), (low & 0xffff) | (high & 0xf_0000), flags];
}

/** Refuses what would not be a flat 32-bit data segment (tls_desc_okay). */
function checkTls(desc: UserDesc): void {
  if (isEmptyDesc(desc)) return;
  if (
    (desc.flags & Desc.seg32) === 0 ||
    (desc.flags & Desc.contents) >>> 1 > 1 ||
    (desc.flags & Desc.notPresent) !== 0
  ) {
    throw new Errno('EINVAL');
  }
}

/** The TLS entry that an entry number names. Throws EINVAL. */
function tlsIndex(entry: number): number {
  const index = entry - Selector.firstTls;
  if (index < 0 || index >= Selector.tlsCount) throw new Errno('EINVAL');
  return index;
}

/** Segment registers and the descriptors behind them. */
export class I386Tls {
  private readonly registers: I386Registers;

  constructor(registers: I386Registers) {
    this.registers = registers;
  }

  /** set_thread_area(2): entry −1 asks for a free one, whose number is written back. Throws EFAULT, EINVAL, ESRCH. */
  set(task: Task, at: number): void {
    const desc = loadUserDesc(task, at);
    checkTls(desc);
    if (desc.entry >>> 0 !== 0xffff_ffff) {
      this.put(task.cpu, tlsIndex(desc.entry), desc);
      return;
    }
    const free = [0, 1, 2].find((n) => this.registers.descriptor(task.cpu, n)[1] === 0);
    if (free === undefined) throw new Errno('ESRCH');
    task.memory.store32(at, free + Selector.firstTls);
    this.put(task.cpu, free, desc);
  }

  /** get_thread_area(2). Throws EFAULT, EINVAL. */
  get(task: Task, at: number): void {
    this.getOf(task, task.memory.load32(at), task.memory, at);
  }

  /** PTRACE_GET_THREAD_AREA: entry `entry` of `task`, to a user_desc in `memory`. */
  getOf({ cpu }: Task, entry: number, memory: GuestMemory, at: number): void {
    const index = tlsIndex(entry);
    memory.require(at, userDescBytes, Access.write);
    memory.store32(at, entry);
    const [low, high] = this.registers.descriptor(cpu, index);
    decodeDescriptor(low, high).forEach((word, i) => memory.store32(at + 4 + 4 * i, word));
  }

  /** PTRACE_SET_THREAD_AREA. */
  setOf({ cpu }: Task, entry: number, memory: GuestMemory, at: number): void {
    const desc = loadUserDesc({ memory }, at);
    checkTls(desc);
    this.put(cpu, tlsIndex(entry), desc);
  }

  /** CLONE_SETTLS: `tls` points at a user_desc, which is of the child. */
  read(caller: Task, tls: number): (cpu: CpuView) => void {
    const desc = loadUserDesc(caller, tls);
    checkTls(desc);
    const index = tlsIndex(desc.entry);
    return (cpu) => this.put(cpu, index, desc);
  }

  /** Sets TLS entry n; segment registers that name it take over its new base (as Linux's set_tls_desc refreshes them). */
  private put(cpu: CpuView, n: number, desc: UserDesc): void {
    const { registers } = this;
    const [low, high] = encodeDescriptor(desc);
    registers.setDescriptor(cpu, n, low, high);
    const selector = ((n + Selector.firstTls) << 3) | 3;
    for (let segment = 0; segment < 6; segment++) {
      if (registers.selector(cpu, segment) === selector) {
        registers.setSegment(cpu, segment, selector, [low, high]);
      }
    }
  }

  /** Loads a data segment register as a signal return does; a selector that cannot be loaded becomes 0. */
  restore(task: Task, segment: number, selector: number): void {
    const { cpu } = task;
    const descriptor = this.find(task, selector);
    if (descriptor === null) this.registers.setSegment(cpu, segment, 0, noDescriptor);
    else this.registers.setSegment(cpu, segment, selector, descriptor);
  }

  private find({ cpu, memory }: Task, selector: number): DescriptorWords | null {
    const { registers } = this;
    if (selector === Selector.userData) return flatData;
    if (selector === Selector.userCode) return flatCode;
    if ((selector & 4) !== 0) {
      const offset = selector & 0xfff8;
      if (offset >= registers.slot(cpu, 'ldtLimit')) return null;
      const at = registers.slot(cpu, 'ldt') + offset;
      return [memory.load32(at), memory.load32(at + 4)];
    }
    const tls = (selector >>> 3) - Selector.firstTls;
    if (tls < 0 || tls >= Selector.tlsCount) return null;
    const descriptor = registers.descriptor(cpu, tls);
    return descriptor[1] === 0 ? null : descriptor;
  }
}

/** Conforming code; not marked absent. */
export const isConforming = ({ flags }: UserDesc): boolean => (flags & Desc.contents) >>> 1 === contentsConforming;
export const isPresent = ({ flags }: UserDesc): boolean => (flags & Desc.notPresent) === 0;
