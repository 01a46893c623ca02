import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { GuestMemory } from '#accel/guest-memory.ts';
import { hostCredentials } from '#linux-user/credentials.ts';
import { createEntropy } from '#linux-user/entropy.ts';
import type { GuestEngine } from '#linux-user/guest-engine.ts';
import type { Scheduler } from '#linux-user/scheduler.ts';
import { sendToTask } from '#linux-user/signal/send.ts';
import { createProcess } from '#linux-user/start.ts';
import type { SyscallResult, SyscallTable } from '#linux-user/syscall-table.ts';
import { Task } from '#linux-user/task.ts';
import { FileSystem } from '#linux-user/vfs/file-system.ts';
import { slotR } from '#target/arm/state.ts';
import { armTarget } from '#target/arm/target.ts';
import { ExitReason } from '#tcg/cpu-page.ts';
import type { CpuView, Target } from '#tcg/target.ts';
import { errnoNumbers } from '#util/errno.ts';
import { repoRoot } from './support/cache.ts';

const r = (n: number): number => slotR(n) >> 2;

/** An engine whose whole guest program is: count in r1, then make a system call. */
class CountingEngine implements GuestEngine {
  readonly cpu: CpuView;
  serveSyscall: () => boolean = () => false;
  textAt = (): null => null;
  constructor(memory: GuestMemory) {
    this.cpu = memory.cpu;
  }
  run(): ExitReason {
    do this.cpu.i32[r(1)]++;
    while (this.serveSyscall());
    return ExitReason.syscall;
  }
  runOne(): ExitReason {
    return this.run();
  }
  invalidate(): void {}
  setExactState(): void {}
  keepCode(): void {}
}

function start(table: SyscallTable): { first: Task; second: Task; scheduler: Scheduler } {
  const { process, task: first } = createProcess(
    {
      program: join(repoRoot, 'fixtures/arm/hello'),
      argv: ['hello'],
      environment: [],
      fs: new FileSystem({ cwd: repoRoot, umask: 0o022, prefix: null, entropy: createEntropy(1n) }),
      credentials: hostCredentials(),
      stackBytes: 1 << 20,
      addressSpaceEnd: null,
      protection: 'auto',
      seed: 1n,
      target: armTarget as Target,
      report: null,
    },
    table,
    (memory) => new CountingEngine(memory),
  );
  const buffer = new ArrayBuffer(2048);
  const cpu = {
    u8: new Uint8Array(buffer),
    i32: new Int32Array(buffer),
    f32: new Float32Array(buffer),
    f64: new Float64Array(buffer),
    i64: new BigInt64Array(buffer),
  };
  const second = new Task(first.tid + 1, process, first.abi, cpu, 'second');
  process.tasks.set(second.tid, second);
  const { scheduler } = process.kernel;
  scheduler.add(first);
  scheduler.add(second);
  return { first, second, scheduler };
}

const pause = (task: Task, ms: number): Promise<number> =>
  task.sleep<number>((wake) => {
    const timer = setTimeout(() => wake(0), ms);
    return () => clearTimeout(timer);
  }, 'EINTR');

test('tasks that sleep keep their registers while others run', async () => {
  const seen: [number, number, number][] = [];
  const dispatch = (task: Task): SyscallResult => {
    seen.push([task.tid - first.tid, task.cpu.i32[r(1)], task.cpu.i32[r(4)]]);
    if (seen.length === 8) task.process.terminate({ kind: 'exit', code: 0 });
    return pause(task, task === first ? 5 : 8);
  };
  const { first, second, scheduler } = start({ dispatch: (task) => settle(dispatch(task)) });
  first.cpu.i32[r(4)] = 1111;
  second.cpu.i32[r(4)] = 2222;
  await scheduler.run(() => first.process.zombie);
  for (const tid of [0, 1]) {
    const own = seen.filter(([each]) => each === tid);
    expect(own.length).toBeGreaterThanOrEqual(2);
    own.forEach(([, count, marker], i) => expect([count - own[0][1], marker]).toEqual([i, tid === 0 ? 1111 : 2222]));
  }
});

test('a signal ends a sleep with EINTR and enters the handler; others sleep on', async () => {
  const handler = 0x10100;
  const calls: number[] = [];
  let entered: [number, number, number] | null = null;
  const dispatch = (task: Task): SyscallResult => {
    calls.push(task.tid - first.tid);
    if (task === second && calls.filter((each) => each === 1).length === 2) {
      entered = [task.cpu.i32[r(0)], task.rawPc, task.cpu.i32[r(13)] >>> 0];
      task.process.terminate({ kind: 'exit', code: 0 });
      return 0;
    }
    if (task === second) {
      const info = { kind: 'kill', signo: 10, code: 0, pid: 1, uid: 0 } as const;
      setTimeout(() => sendToTask(second, info), 5);
    }
    return pause(task, 60_000);
  };
  const { first, second, scheduler } = start({ dispatch: (task) => settle(dispatch(task)) });
  first.process.signals.actions[10] = { handler, flags: 0, restorer: 0, mask: 0n };
  second.cpu.i32[r(13)] = first.cpu.i32[r(13)] - 65536;
  const sp = second.cpu.i32[r(13)];
  let frame: number[] = [];
  first.process.kernel.onProcessEnd = () => {
    frame = [second.memory.load32(entered![2] + 32), second.memory.load32(entered![2] + 84)];
  };
  await scheduler.run(() => first.process.zombie);
  expect(calls).toEqual([0, 1, 1]);
  expect(entered![0]).toBe(10);
  expect(entered![1]).toBe(handler);
  expect(frame).toEqual([2 ** 32 - errnoNumbers.EINTR, sp >>> 0]);
});

/** As the real table does: an Errno becomes its negative number. */
function settle(result: SyscallResult): SyscallResult {
  if (typeof result === 'number') return result;
  return result.catch((error: unknown) => -errnoNumbers[(error as { code: 'EINTR' }).code]);
}
