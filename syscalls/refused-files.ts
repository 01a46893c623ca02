import { address, dirfd, fd, hexWord, int, path, uint } from './arguments.ts';
import { absent, type Rows } from './row.ts';

/* Calls on files that are refused on purpose: what a kernel built without the feature, or an older one, says. */

const noFanotify = 'as without CONFIG_FANOTIFY; inotify is there';
const noHandles = 'as without CONFIG_FHANDLE';
const noQuota = 'as without CONFIG_QUOTACTL';
const newer = 'younger than the release that uname tells';

export const refusedFileCalls: Rows = {
  fanotify_init: absent(noFanotify, { flags: hexWord, events: hexWord }),
  fanotify_mark: absent(noFanotify, { fd, flags: hexWord, low: uint, high: uint, directory: dirfd, path }),
  name_to_handle_at: absent(noHandles, { directory: dirfd, path, handle: address, mount: address, flags: hexWord }),
  open_by_handle_at: absent(noHandles, { mount: fd, handle: address, flags: hexWord }),
  quotactl: absent(noQuota, { command: hexWord, device: path, id: int, data: address }),
  quotactl_fd: absent(noQuota, { fd, command: hexWord, id: int, data: address }),
  sysfs: absent('as without CONFIG_SYSFS_SYSCALL', { option: int, first: address, second: address }),
  cachestat: absent(newer, { fd, range: address, result: address, flags: hexWord }),
  statmount: absent(newer, { request: address, buffer: address, size: uint, flags: hexWord }),
  listmount: absent(newer, { request: address, ids: address, count: uint, flags: hexWord }),
  setxattrat: absent(newer, { directory: dirfd, path, flags: hexWord, name: path, arguments: address, size: uint }),
  getxattrat: absent(newer, { directory: dirfd, path, flags: hexWord, name: path, arguments: address, size: uint }),
  listxattrat: absent(newer, { directory: dirfd, path, flags: hexWord, list: address, size: uint }),
  removexattrat: absent(newer, { directory: dirfd, path, flags: hexWord, name: path }),
  file_getattr: absent(newer, { directory: dirfd, path, attributes: address, size: uint, flags: hexWord }),
  file_setattr: absent(newer, { directory: dirfd, path, attributes: address, size: uint, flags: hexWord }),
};
