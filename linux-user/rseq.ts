import { Access } from '#accel/guest-memory.ts';
import { Errno } from '#util/errno.ts';
import { Signal } from './signal/numbers.ts';
import { forceSegv } from './signal/send.ts';
import type { Task } from './task.ts';

/** struct rseq: cpu_id_start, cpu_id, rseq_cs (u64), flags, node_id, mm_cid (include/uapi/linux/rseq.h). */
const Rseq = { cpuIdStart: 0, cpuId: 4, criticalSection: 8, nodeId: 20, mmCid: 24 } as const;
/** What was registered first: 32 bytes, on as many. */
const originalBytes = 32;
const cpuUninitialized = 0xffffffff;

/** struct rseq_cs: version, flags, start, length and abort address as u64; on 32 bytes. */
const Section = { version: 0, flags: 4, start: 8, length: 16, abort: 24, bytes: 32 } as const;

/** A thread's restartable sequences (rseq(2)). */
export interface RseqArea {
  readonly at: number;
  readonly length: number;
  /** What stands before each abort address. */
  readonly signature: number;
}

const UNREGISTER = 1;

/** rseq(2). There is one CPU, number 0. EINVAL, EPERM, EBUSY, EFAULT. */
export function registerRseq(task: Task, at: number, length: number, flags: number, signature: number): number {
  const { rseq, memory } = task;
  if ((flags & UNREGISTER) !== 0) {
    if ((flags & ~UNREGISTER) !== 0 || rseq === null || rseq.at !== at || rseq.length !== length)
      throw new Errno('EINVAL');
    if (rseq.signature !== signature) throw new Errno('EPERM');
    memory.store32(at + Rseq.cpuIdStart, 0);
    memory.store32(at + Rseq.cpuId, cpuUninitialized);
    task.rseq = null;
    return 0;
  }
  if (flags !== 0) throw new Errno('EINVAL');
  if (rseq !== null) {
    if (rseq.at !== at || rseq.length !== length) throw new Errno('EINVAL');
    throw new Errno(rseq.signature === signature ? 'EBUSY' : 'EPERM');
  }
  if (length < originalBytes || at % originalBytes !== 0) throw new Errno('EINVAL');
  memory.require(at, length, Access.write);
  for (const word of [Rseq.cpuIdStart, Rseq.cpuId, Rseq.nodeId]) memory.store32(at + word, 0);
  if (length > originalBytes) memory.store32(at + Rseq.mmCid, 0);
  task.rseq = { at, length, signature };
  return 0;
}

/**
 * The thread has been preempted, or a handler is about to run: a sequence it was in the middle of starts over at its
 * abort address. A sequence that makes no sense is SIGSEGV.
 */
export function abortSequence(task: Task): void {
  const { rseq, memory, abi, cpu } = task;
  if (rseq === null || abi.setPc === undefined) return;
  if (memory.refused(rseq.at, rseq.length, Access.read | Access.write) >= 0) return forceSegv(task, Signal.SIGSEGV);
  const section = memory.load32(rseq.at + Rseq.criticalSection);
  if (section === 0) return;
  if (memory.refused(section, Section.bytes, Access.read) >= 0) return forceSegv(task, Signal.SIGSEGV);
  const [start, length, abort] = [Section.start, Section.length, Section.abort].map((at) =>
    memory.load32(section + at),
  );
  const inside = (abi.pc(cpu) - start) >>> 0 < length;
  const known = memory.load32(section + Section.version) === 0 && memory.load32(section + Section.flags) === 0;
  const outsideAbort = (abort - start) >>> 0 >= length;
  if (!known || !outsideAbort) return forceSegv(task, Signal.SIGSEGV);
  memory.store64(rseq.at + Rseq.criticalSection, 0n);
  if (!inside) return;
  const signed = memory.refused(abort - 4, 4, Access.read) < 0 && memory.load32(abort - 4) === rseq.signature;
  if (!signed) return forceSegv(task, Signal.SIGSEGV);
  abi.setPc(cpu, abort);
}
