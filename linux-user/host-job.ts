import { readFileSync } from 'node:fs';

/** Where tsemu stands in the host's job control: what the guest sees as its own. */
export interface HostJob {
  readonly group: number;
  readonly session: number;
  /** Foreground group of the controlling terminal; -1 without one. */
  readonly foreground: number;
}

/** Fields 5, 6 and 8 of /proc/self/stat (proc(5)); a host without it shows a process of its own group. */
export function hostJob(): HostJob {
  try {
    const text = readFileSync('/proc/self/stat', 'latin1');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { group: Number(fields[2]), session: Number(fields[3]), foreground: Number(fields[5]) };
  } catch {
    return { group: process.pid, session: process.pid, foreground: process.pid };
  }
}
