import { readFileSync } from 'node:fs';

/** Who a process is (credentials(7)). Ids are u32. */
export interface Credentials {
  uid: number;
  euid: number;
  suid: number;
  fsuid: number;
  gid: number;
  egid: number;
  sgid: number;
  fsgid: number;
  groups: readonly number[];
}

/** The host process's own; a host without user ids (Windows) shows the guest user 1000. */
export function hostCredentials(): Credentials {
  const uid = process.getuid?.() ?? 1000;
  const euid = process.geteuid?.() ?? uid;
  const gid = process.getgid?.() ?? 1000;
  const egid = process.getegid?.() ?? gid;
  const groups = supplementaryGroups() ?? process.getgroups?.() ?? [gid];
  return { uid, euid, suid: euid, fsuid: euid, gid, egid, sgid: egid, fsgid: egid, groups };
}

/** root in a tree of its own. */
export const rootCredentials = (): Credentials => ({
  ...{ uid: 0, euid: 0, suid: 0, fsuid: 0 },
  ...{ gid: 0, egid: 0, sgid: 0, fsgid: 0 },
  groups: [0],
});

/** The kernel's own list: Node puts the effective group into its answer. Null where there is no /proc. */
function supplementaryGroups(): number[] | null {
  try {
    const line = /^Groups:(.*)$/m.exec(readFileSync('/proc/self/status', 'latin1'));
    return line === null
      ? null
      : line[1]
          .split(/\s+/)
          .filter((text) => text !== '')
          .map(Number);
  } catch {
    return null;
  }
}
