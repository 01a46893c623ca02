import type { Kernel } from './kernel.ts';
import { Signal } from './signal/numbers.ts';
import { SiCode } from './signal/siginfo.ts';

/** Milliseconds between two looks at what has been used. */
const interval = 50;

/** Ends all guest processes when they have used `seconds` of CPU time together; the returned function stops watching. */
export function limitCpuTime(kernel: Kernel, seconds: number): () => void {
  const timer = setInterval(() => {
    const { user, system } = process.cpuUsage();
    if (user + system < seconds * 1e6) return;
    const signo = Signal.SIGKILL;
    const info = { kind: 'kernel', signo, code: SiCode.SI_KERNEL } as const;
    for (const each of kernel.processes) each.terminate({ kind: 'signal', signo, core: false, info, task: null });
  }, interval);
  timer.unref();
  return () => clearInterval(timer);
}
