import { monotonic } from './clock.ts';

/** CPU time in microseconds. */
export interface CpuTime {
  readonly user: number;
  readonly system: number;
}

export const noCpuTime: CpuTime = { user: 0, system: 0 };

export const addCpuTime = (a: CpuTime, b: CpuTime): CpuTime => ({
  user: a.user + b.user,
  system: a.system + b.system,
});

/** What a process has used, and the children it has waited for. */
export interface CpuAccount {
  own: CpuTime;
  children: CpuTime;
}

export const newCpuAccount = (): CpuAccount => ({ own: noCpuTime, children: noCpuTime });

/**
 * Divides tsemu's CPU time among the guest's processes. Asking the host at each switch would cost too much: what it
 * tells at `settle` is shared out by the wall time that each has run since.
 */
export class CpuMeter {
  private account: CpuAccount | null = null;
  /** monotonic() when the running process came on. */
  private since = 0;
  private readonly ran = new Map<CpuAccount, number>();
  private booked: CpuTime = noCpuTime;

  /** From now on the time is `account`'s. */
  switchTo(account: CpuAccount): void {
    if (this.account === account) return;
    this.note();
    this.account = account;
  }

  /** tsemu goes on as another process of the host, which begins to count anew. */
  restart(): void {
    this.booked = process.cpuUsage();
  }

  private note(): void {
    const now = monotonic();
    const { account } = this;
    if (account !== null) this.ran.set(account, (this.ran.get(account) ?? 0) + now - this.since);
    this.since = now;
  }

  /** Books what has been used up to now. */
  settle(): void {
    this.note();
    const now = process.cpuUsage();
    const user = now.user - this.booked.user;
    const system = now.system - this.booked.system;
    this.booked = now;
    let total = 0;
    for (const time of this.ran.values()) total += time;
    if (total === 0) return;
    for (const [account, time] of this.ran) {
      const share = time / total;
      account.own = addCpuTime(account.own, { user: user * share, system: system * share });
    }
    this.ran.clear();
  }
}
