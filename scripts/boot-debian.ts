// Boots Debian for armhf from a disk in a machine, in this terminal: `npm run boot:debian -- -m 256`. Kernel and packages
// are fetched into the cache; the disk is a qcow2 image there, which keeps what is done to it (`--fresh` makes it anew).
// `--beside` boots under qemu-system-arm instead, for comparison.
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cachePath, repoRoot } from '../tests/support/cache.ts';
import { debianDisk } from '../tests/support/debian-disk.ts';
import { debianKernel, diskModules, testInitramfs } from '../tests/support/linux-machine.ts';

const args = process.argv.slice(2);
const take = (word: string): boolean => {
  const at = args.indexOf(word);
  if (at >= 0) args.splice(at, 1);
  return at >= 0;
};
const beside = take('--beside');
const fresh = take('--fresh');

const { image, zImage } = await debianKernel();
const initrd = await testInitramfs(diskModules);
const disk = cachePath('machine', 'debian.qcow2');
if (fresh) rmSync(disk, { force: true });
const run = (command: string, words: readonly string[]): number =>
  spawnSync(command, words, { stdio: 'inherit' }).status ?? 1;
const tsemu = (program: string): string => join(repoRoot, 'bin', `${program}.cjs`);
if (!existsSync(disk)) {
  const base = await debianDisk();
  run(process.execPath, [tsemu('tsemu-img'), 'create', '-q', '-f', 'qcow2', '-b', base, '-F', 'raw', disk]);
}
const machine = [
  ...['-M', 'virt', '-m', '256', '-nographic', '-no-reboot', '-initrd', initrd],
  ...['-append', 'console=ttyAMA0 cryptomgr.notests=1 ts.mods ts.root=vda'],
  ...['-drive', `file=${disk},format=qcow2,if=none,id=disk`, '-device', 'virtio-blk-device,drive=disk'],
  ...args,
];
// QEMU knows no uncompressed kernel, and has the legacy interface unless told otherwise.
const qemu = ['-cpu', 'cortex-a15', '-kernel', zImage, '-global', 'virtio-mmio.force-legacy=false', ...machine];
process.exit(
  beside
    ? run('qemu-system-arm', qemu)
    : run(process.execPath, [tsemu('tsemu-arm'), '--system', '-kernel', image, ...machine]),
);
