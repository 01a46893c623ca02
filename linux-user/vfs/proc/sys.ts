import { hostname } from 'node:os';
import { Errno } from '#util/errno.ts';
import { ourVersion } from '../../kernel-name.ts';
import type { Process } from '../../process.ts';
import { type Inode, TreeDirectory } from '../inode.ts';
import { TextInode } from './text-inode.ts';

/* /proc/sys (proc_sys(5)): what programs ask for. Values that could be set are those of this kernel, and stay. */

const value = (text: string | number): Inode => new TextInode(() => `${text}\n`);
const made = (text: (viewer: Process) => string): Inode => new TextInode((viewer) => `${text(viewer)}\n`);

/** A value that root may write; nothing follows from it. */
function kept(initial: string): Inode {
  let now = initial;
  return new TextInode(
    () => `${now}\n`,
    (text, { credentials }) => {
      if (credentials.euid !== 0) throw new Errno('EPERM');
      now = text.trim();
    },
  );
}

/** RFC 9562, version 4. */
function uuid(viewer: Process): string {
  const bytes = new Uint8Array(16);
  viewer.kernel.options.entropy(bytes, 0, bytes.length);
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  return Buffer.from(bytes)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

const bootIds = new WeakMap<object, string>();

function bootId(viewer: Process): string {
  const known = bootIds.get(viewer.kernel) ?? uuid(viewer);
  bootIds.set(viewer.kernel, known);
  return known;
}

export function sysDirectory(): Inode {
  const random = new TreeDirectory({
    boot_id: made(bootId),
    entropy_avail: value(256),
    poolsize: value(256),
    uuid: made(uuid),
    urandom_min_reseed_secs: value(60),
    write_wakeup_threshold: value(256),
  });
  const kernel = new TreeDirectory({
    cap_last_cap: value(40),
    core_pattern: kept('core'),
    core_uses_pid: kept('0'),
    domainname: value('(none)'),
    hostname: made(() => hostname()),
    keys: new TreeDirectory({}),
    msgmax: value(8192),
    msgmnb: value(16384),
    msgmni: value(32000),
    ngroups_max: value(65536),
    osrelease: made((viewer) => viewer.kernel.release),
    ostype: value('Linux'),
    overflowgid: value(65534),
    overflowuid: value(65534),
    pid_max: value(4194304),
    random,
    randomize_va_space: kept('0'),
    sem: value('32000\t1024000000\t500\t32000'),
    shmall: value(4294967295),
    shmmax: value(4294967295),
    shmmni: value(4096),
    sched_child_runs_first: value(0),
    'threads-max': value(4096),
    version: value(ourVersion),
    yama: new TreeDirectory({ ptrace_scope: value(1) }),
  });
  const fs = new TreeDirectory({
    'file-max': value(1048576),
    'file-nr': value('0\t0\t1048576'),
    inotify: new TreeDirectory({
      max_queued_events: value(16384),
      max_user_instances: value(128),
      max_user_watches: value(65536),
    }),
    mqueue: new TreeDirectory({
      msg_default: value(10),
      msg_max: value(10),
      msgsize_default: value(8192),
      msgsize_max: value(8192),
      queues_max: value(256),
    }),
    nr_open: value(1048576),
    'pipe-max-size': value(1048576),
    'pipe-user-pages-hard': value(0),
    'pipe-user-pages-soft': value(16384),
    protected_hardlinks: value(1),
    protected_symlinks: value(1),
    epoll: new TreeDirectory({ max_user_watches: value(65536) }),
  });
  const net = new TreeDirectory({
    core: new TreeDirectory({
      somaxconn: value(4096),
      rmem_default: value(212992),
      rmem_max: value(212992),
      wmem_default: value(212992),
      wmem_max: value(212992),
    }),
    ipv4: new TreeDirectory({
      ip_local_port_range: value('32768\t60999'),
      ip_unprivileged_port_start: value(1024),
      tcp_fin_timeout: value(60),
      tcp_syncookies: value(1),
    }),
    ipv6: new TreeDirectory({ conf: new TreeDirectory({ all: new TreeDirectory({ disable_ipv6: value(0) }) }) }),
  });
  const vm = new TreeDirectory({
    max_map_count: value(65530),
    mmap_min_addr: value(65536),
    overcommit_memory: kept('1'),
    overcommit_ratio: kept('50'),
    swappiness: kept('60'),
  });
  return new TreeDirectory({ kernel, fs, net, vm });
}
