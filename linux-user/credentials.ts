import { readFileSync } from 'node:fs';

/** CAP_* (include/uapi/linux/capability.h): those that something here asks for. */
export const Capability = {
  KILL: 5,
  SETGID: 6,
  SETUID: 7,
  SETPCAP: 8,
  IPC_OWNER: 15,
  SYS_PTRACE: 19,
  SYS_ADMIN: 21,
  SYS_NICE: 23,
  SYS_RESOURCE: 24,
} as const;

/** CAP_LAST_CAP. */
export const lastCapability = 40;

export const allCapabilities: bigint = (1n << BigInt(lastCapability + 1)) - 1n;

/** Who a thread is (credentials(7)), and what it may (capabilities(7)). Ids are u32, sets of capabilities bit masks. */
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
  effective: bigint;
  permitted: bigint;
  inheritable: bigint;
  bounding: bigint;
  ambient: bigint;
  /** PR_SET_KEEPCAPS, and the SECBIT_* of PR_SET_SECUREBITS. */
  keepCapabilities: boolean;
  secureBits: number;
}

/** The sets of a process that begins: all for uid 0, none for others. */
export function initialCapabilities(
  euid: number,
): Pick<
  Credentials,
  'effective' | 'permitted' | 'inheritable' | 'bounding' | 'ambient' | 'keepCapabilities' | 'secureBits'
> {
  const own = euid === 0 ? allCapabilities : 0n;
  return {
    effective: own,
    permitted: own,
    inheritable: 0n,
    bounding: allCapabilities,
    ambient: 0n,
    keepCapabilities: false,
    secureBits: 0,
  };
}

/** The host process's own; a host without user ids (Windows) shows the guest user 1000. */
export function hostCredentials(): Credentials {
  const uid = process.getuid?.() ?? 1000;
  const euid = process.geteuid?.() ?? uid;
  const gid = process.getgid?.() ?? 1000;
  const egid = process.getegid?.() ?? gid;
  const groups = supplementaryGroups() ?? process.getgroups?.() ?? [gid];
  const ids = { uid, euid, suid: euid, fsuid: euid, gid, egid, sgid: egid, fsgid: egid, groups };
  return { ...ids, ...initialCapabilities(euid) };
}

/** root in a tree of its own. */
export const rootCredentials = (): Credentials => ({
  ...{ uid: 0, euid: 0, suid: 0, fsuid: 0 },
  ...{ gid: 0, egid: 0, sgid: 0, fsgid: 0 },
  groups: [0],
  ...initialCapabilities(0),
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

export const capable = ({ effective }: Credentials, capability: number): boolean =>
  ((effective >> BigInt(capability)) & 1n) !== 0n;

/** SECBIT_NO_SETUID_FIXUP. */
const noSetuidFixup = 4;

/** What a change of user ids does to the capabilities (cap_emulate_setxuid); `before` are the ids it changed from. */
export function followUserIds(now: Credentials, before: Pick<Credentials, 'uid' | 'euid' | 'suid'>): void {
  if ((now.secureBits & noSetuidFixup) !== 0) return;
  const anyRoot = [before.uid, before.euid, before.suid].includes(0);
  const stillRoot = [now.uid, now.euid, now.suid].includes(0);
  if (anyRoot && !stillRoot) {
    if (!now.keepCapabilities) now.permitted = now.effective = 0n;
    now.ambient = 0n;
  }
  if (before.euid === 0 && now.euid !== 0) now.effective = 0n;
  if (before.euid !== 0 && now.euid === 0) now.effective = now.permitted;
}

/** execve: saved ids are the effective ones, and the capabilities those of a file without any (cap_bprm_creds_from_file). */
export function credentialsOfExec(old: Credentials): Credentials {
  const root = old.uid === 0 || old.euid === 0;
  const permitted = root ? old.bounding | old.inheritable : old.ambient;
  return {
    ...old,
    suid: old.euid,
    fsuid: old.euid,
    sgid: old.egid,
    fsgid: old.egid,
    permitted,
    effective: root && old.euid !== 0 ? 0n : permitted,
    keepCapabilities: false,
  };
}
