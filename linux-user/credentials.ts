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
  const groups = process.getgroups?.() ?? [gid];
  return { uid, euid, suid: euid, fsuid: euid, gid, egid, sgid: egid, fsgid: egid, groups };
}
