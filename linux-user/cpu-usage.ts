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

/** Divides tsemu's CPU time among the guest's processes: all of it goes to the one that runs. */
export class CpuMeter {
  private account: CpuAccount | null = null;
  private last: CpuTime = noCpuTime;

  /** From now on the time is `account`'s. */
  switchTo(account: CpuAccount): void {
    if (this.account === account) return;
    this.settle();
    this.account = account;
  }

  /** Books what has been used up to now. */
  settle(): void {
    const now = process.cpuUsage();
    if (this.account !== null) {
      const { user, system } = this.last;
      this.account.own = addCpuTime(this.account.own, { user: now.user - user, system: now.system - system });
    }
    this.last = now;
  }
}
