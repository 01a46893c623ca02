import { address, dirfd, fd, hexWord, int, path, uint } from './arguments.ts';
import { absent, type Rows, refused } from './row.ts';

/*
 * Calls that are refused on purpose. EPERM: only a privileged process of the host could, and a guest never is one.
 * ENOSYS: what a kernel built without the feature says; every program that asks has another way.
 */

const notPrivileged = 'needs privileges over the host';
const replaced = 'removed from Linux, or kept for old binaries only';
const noKeys = 'as without CONFIG_KEYS';
const noNuma = 'as without CONFIG_NUMA';
const noAio = 'as without CONFIG_AIO; POSIX aio of the C library uses threads';
const noUring = 'as without CONFIG_IO_URING; programs fall back to epoll';
const noLandlock = 'as without CONFIG_SECURITY_LANDLOCK';
const noLsm = 'as without security modules';
const noKeysOfPages = 'the CPU has no protection keys';
const mounts = 'the guest cannot mount';
const noPci = 'as without CONFIG_PCI';

export const refusedCalls: Rows = {
  // ---- mounts and the machine
  mount: refused('EPERM', mounts, { source: path, target: path, type: path, flags: hexWord, data: address }),
  umount2: refused('EPERM', mounts, { target: path, flags: hexWord }),
  pivot_root: refused('EPERM', mounts, { newRoot: path, putOld: path }),
  open_tree: refused('EPERM', mounts, { directory: dirfd, path, flags: hexWord }),
  open_tree_attr: refused('EPERM', mounts, { directory: dirfd, path, flags: hexWord, attributes: address, size: uint }),
  move_mount: refused('EPERM', mounts, {
    fromDirectory: dirfd,
    from: path,
    toDirectory: dirfd,
    to: path,
    flags: hexWord,
  }),
  fsopen: refused('EPERM', mounts, { name: path, flags: hexWord }),
  fsconfig: refused('EPERM', mounts, { fd, command: uint, key: address, value: address, auxiliary: int }),
  fsmount: refused('EPERM', mounts, { fd, flags: hexWord, attributes: hexWord }),
  fspick: refused('EPERM', mounts, { directory: dirfd, path, flags: hexWord }),
  mount_setattr: refused('EPERM', mounts, { directory: dirfd, path, flags: hexWord, attributes: address, size: uint }),
  swapon: refused('EPERM', notPrivileged, { path, flags: hexWord }),
  swapoff: refused('EPERM', notPrivileged, { path }),
  acct: refused('EPERM', notPrivileged, { path: address }),
  vhangup: refused('EPERM', notPrivileged),
  syslog: refused('EPERM', notPrivileged, { type: int, buffer: address, length: int }),
  init_module: refused('EPERM', notPrivileged, { image: address, length: uint, parameters: path }),
  finit_module: refused('EPERM', notPrivileged, { fd, parameters: path, flags: hexWord }),
  delete_module: refused('EPERM', notPrivileged, { name: path, flags: hexWord }),
  kexec_load: refused('EPERM', notPrivileged, { entry: address, count: uint, segments: address, flags: hexWord }),
  kexec_file_load: refused('EPERM', notPrivileged, {
    kernel: fd,
    initrd: fd,
    length: uint,
    line: address,
    flags: hexWord,
  }),
  bpf: refused('EPERM', 'as with unprivileged_bpf_disabled', { command: int, attributes: address, size: uint }),
  pciconfig_iobase: absent(noPci, { which: int, bus: uint, device: uint }),
  pciconfig_read: absent(noPci, { bus: uint, device: uint, offset: uint, length: uint, buffer: address }),
  pciconfig_write: absent(noPci, { bus: uint, device: uint, offset: uint, length: uint, buffer: address }),

  // ---- what Linux itself has left behind
  uselib: absent(replaced, { library: path }),
  bdflush: absent(replaced, { function: int, data: address }),
  _sysctl: absent(replaced, { arguments: address }),
  nfsservctl: absent(replaced, { command: int, argument: address, result: address }),
  lookup_dcookie: absent(replaced),
  break: absent(replaced),
  stty: absent(replaced),
  gtty: absent(replaced),
  ftime: absent(replaced),
  prof: absent(replaced),
  lock: absent(replaced),
  mpx: absent(replaced),
  ulimit: absent(replaced),
  profil: absent(replaced),
  idle: absent(replaced),
  create_module: absent(replaced),
  get_kernel_syms: absent(replaced),
  query_module: absent(replaced),
  afs_syscall: absent(replaced),
  getpmsg: absent(replaced),
  putpmsg: absent(replaced),
  vm86old: absent('as without CONFIG_VM86', { info: address }),
  vm86: absent('as without CONFIG_VM86', { command: uint, info: address }),
  memfd_secret: absent('as without CONFIG_SECRETMEM', { flags: hexWord }),
  vserver: absent('never was in Linux'),

  // ---- subsystems that a kernel may be built without
  add_key: absent(noKeys, { type: path, description: path, payload: address, length: uint, keyring: int }),
  request_key: absent(noKeys, { type: path, description: path, callout: address, keyring: int }),
  keyctl: absent(noKeys, {
    operation: int,
    argument2: hexWord,
    argument3: hexWord,
    argument4: hexWord,
    argument5: hexWord,
  }),
  mbind: absent(noNuma, { address, length: uint, mode: int, mask: address, highest: uint, flags: hexWord }),
  get_mempolicy: absent(noNuma, { mode: address, mask: address, highest: uint, address, flags: hexWord }),
  set_mempolicy: absent(noNuma, { mode: int, mask: address, highest: uint }),
  set_mempolicy_home_node: absent(noNuma, { address, length: uint, node: uint, flags: hexWord }),
  move_pages: absent(noNuma, {
    pid: int,
    count: uint,
    pages: address,
    nodes: address,
    status: address,
    flags: hexWord,
  }),
  migrate_pages: absent(noNuma, { pid: int, highest: uint, from: address, to: address }),
  io_setup: absent(noAio, { events: uint, context: address }),
  io_destroy: absent(noAio, { context: hexWord }),
  io_getevents: absent(noAio, { context: hexWord, least: int, most: int, events: address, timeout: address }),
  io_submit: absent(noAio, { context: hexWord, count: int, blocks: address }),
  io_cancel: absent(noAio, { context: hexWord, block: address, result: address }),
  io_pgetevents: absent(noAio, { context: hexWord, least: int, most: int, events: address, timeout: address }),
  io_pgetevents_time64: absent(noAio, { context: hexWord, least: int, most: int, events: address, timeout: address }),
  io_uring_setup: absent(noUring, { entries: uint, parameters: address }),
  io_uring_enter: absent(noUring, { fd, submit: uint, complete: uint, flags: hexWord, argument: address, size: uint }),
  io_uring_register: absent(noUring, { fd, operation: uint, argument: address, count: uint }),
  landlock_create_ruleset: absent(noLandlock, { attributes: address, size: uint, flags: hexWord }),
  landlock_add_rule: absent(noLandlock, { fd, type: int, attributes: address, flags: hexWord }),
  landlock_restrict_self: absent(noLandlock, { fd, flags: hexWord }),
  lsm_get_self_attr: absent(noLsm, { attribute: uint, context: address, size: address, flags: hexWord }),
  lsm_set_self_attr: absent(noLsm, { attribute: uint, context: address, size: uint, flags: hexWord }),
  lsm_list_modules: absent(noLsm, { ids: address, size: address, flags: hexWord }),
  pkey_alloc: absent(noKeysOfPages, { flags: hexWord, rights: hexWord }),
  pkey_free: absent(noKeysOfPages, { key: int }),
  pkey_mprotect: absent(noKeysOfPages, { address, length: uint, prot: hexWord, key: int }),
  mseal: absent('Linux has it for 64-bit processes only', { address, length: uint, flags: hexWord }),
  perf_event_open: absent('as without CONFIG_PERF_EVENTS', {
    attributes: address,
    pid: int,
    cpu: int,
    group: fd,
    flags: hexWord,
  }),
  userfaultfd: absent('as without CONFIG_USERFAULTFD', { flags: hexWord }),
};
