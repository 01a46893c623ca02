import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { cachePath, Unavailable } from './support/cache.ts';
import { checkExt4, debianDisk, makeExt4, readExt4 } from './support/debian-disk.ts';
import { debianKernel, diskModules, runMachine, testInitramfs } from './support/linux-machine.ts';
import { tsemuImg } from './support/qemu-img.ts';

const modules = [...diskModules, 'virtio_rng', '9pnet_virtio', '9p'];

async function prepare() {
  try {
    const { image } = await debianKernel();
    return { image, initrd: await testInitramfs(modules), debian: await debianDisk(), reason: undefined };
  } catch (error) {
    if (error instanceof Unavailable) return { image: '', initrd: '', debian: '', reason: error.message };
    throw error;
  }
}

const { image, initrd, debian, reason } = await prepare();
if (reason !== undefined) console.warn(`system-disk: ${reason}`);

const folder = cachePath('work', 'system-disk');
mkdirSync(folder, { recursive: true });
const path = (name: string): string => join(folder, name);
const md5 = (...parts: Uint8Array[]): string => {
  const hash = createHash('md5');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
};

const machine = (words: string): string[] => {
  const append = `console=ttyAMA0 quiet nokaslr cryptomgr.notests=1 ts.mods ${words}`;
  return [
    '-M',
    'virt',
    '-m',
    '128',
    '-nographic',
    '-no-reboot',
    '-kernel',
    image,
    '-initrd',
    initrd,
    '-append',
    append,
  ];
};
const marks = (output: string): string[] => output.split(/\r?\n/).filter((line) => line.startsWith('@@'));

describe.skipIf(reason !== undefined)('a machine with disks', () => {
  test('reads and writes a raw disk, a qcow2 image on a base and a shared folder, and takes random numbers', {
    timeout: 900_000,
  }, async () => {
    const given = Uint8Array.from({ length: 1_500_000 }, (_, i) => (i * i) >> 7);
    mkdirSync(path('given'), { recursive: true });
    writeFileSync(path('given/given'), given);
    await makeExt4(path('raw.ext4'), path('given'), '16M');
    copyFileSync(path('raw.ext4'), path('base.ext4'));
    rmSync(path('shared'), { recursive: true, force: true });
    mkdirSync(path('shared/folder'), { recursive: true });
    writeFileSync(path('shared/given'), given);
    writeFileSync(path('shared/folder/gone'), '');
    // Its target is the guest's affair, whose own root has no such file.
    symlinkSync(path('base.ext4'), path('shared/folder/out'));
    const base = md5(readFileSync(path('base.ext4')));
    const img = tsemuImg(folder);
    await img('create', '-f', 'qcow2', '-b', 'base.ext4', '-F', 'raw', 'top.qcow2');
    const { output, errors, status } = await runMachine([
      ...machine('ts.rng ts.disk=vda ts.disk=vdb ts.shared'),
      ...['-drive', `file=${path('raw.ext4')},format=raw,if=none,id=one`],
      ...['-drive', `file=${path('top.qcow2')},format=qcow2,if=none,id=two,discard=unmap`],
      // The last one is found first, as on QEMU.
      ...['-device', 'virtio-blk-device,drive=two', '-device', 'virtio-blk-device,drive=one'],
      ...['-device', 'virtio-rng-device'],
      ...['-virtfs', `local,path=${path('shared')},mount_tag=shared,security_model=none`],
    ]);
    const lines = ['vda', 'vdb'].flatMap((name) => [
      `@@GIVEN ${name} ${md5(given)}  -`,
      `@@COPY ${name} ${md5(given, given)}  -`,
      `@@UMOUNT ${name}`,
    ]);
    expect({ marks: marks(output), errors, status }).toEqual({
      marks: [
        '@@INIT',
        ...lines,
        `@@SHARED ${md5(given)}  - 0`,
        `@@MADE 600 ${given.length + 5} regular file link moved `,
        '@@RNG virtio_rng.0 512',
      ],
      errors: '',
      status: 0,
    });
    expect(readFileSync(path('shared/made/moved')).toString('latin1')).toBe(
      `${Buffer.from(given).toString('latin1')}more\n`,
    );
    expect([readlinkSync(path('shared/made/link')), existsSync(path('shared/folder/gone'))]).toEqual(['moved', false]);
    await checkExt4(path('raw.ext4'));
    expect((await img('check', '-q', 'top.qcow2')).status).toBe(0);
    await img('convert', '-O', 'raw', 'top.qcow2', 'flat.ext4');
    await checkExt4(path('flat.ext4'));
    expect(md5(readFileSync(path('base.ext4')))).toBe(base);
  });

  test('Debian boots from its disk, logs in, runs Python and Perl, and leaves the disk clean', {
    timeout: 900_000,
  }, async () => {
    copyFileSync(debian, path('debian.ext4'));
    const python = 'python3 -c \'import sys; print("py", sum(i*i for i in range(20000)), sys.byteorder)\'';
    const perl = 'perl -e \'$s += $_ * $_ % 7 for 1..30000; print "perl $s\\n"\'';
    let squares = 0;
    let sevens = 0;
    for (let i = 0; i < 20000; i++) squares += i * i;
    for (let i = 1; i <= 30000; i++) sevens += (i * i) % 7;
    const { output, errors, status } = await runMachine(
      [...machine('ts.root=vda'), '-drive', `file=${path('debian.ext4')},format=raw`],
      [
        ['tsemu login: ', 'root\r'],
        ['# ', `${python}; ${perl} | tee /root/result\r`],
        [`perl ${sevens}`, 'poweroff\r'],
      ],
    );
    expect({ marks: marks(output), errors, status }).toEqual({
      marks: ['@@INIT', '@@ROOT armv7l /dev/vda ext4'],
      errors: '',
      status: 0,
    });
    expect(output).toContain(`py ${squares} little`);
    expect(output).toContain(`perl ${sevens}`);
    // After the shell's prompt, on its line
    expect(output).toContain('@@DOWN ro');
    expect(output).toContain('reboot: Power down');
    await checkExt4(path('debian.ext4'));
    expect(await readExt4(path('debian.ext4'), '/root/result')).toBe(`perl ${sevens}\n`);
  });
});

test.each([
  [['-drive', 'file=/nonexistent'], "Could not open '/nonexistent': No such file or directory"],
  [['-drive', 'file=README.md,if=ide'], '-drive file=README.md,if=ide: if: expected virtio|none|pflash'],
  [['-drive', 'file=README.md,format=qcow2'], 'README.md: no qcow2 image'],
  [['-device', 'virtio-blk-device,drive=x'], "-device: no drive 'x'"],
  [
    ['-device', 'virtio-rng-device,bus=virtio-mmio-bus.40'],
    '-device virtio-rng-device: no free slot virtio-mmio-bus.40',
  ],
  [
    ['-virtfs', 'local,path=/nonexistent,mount_tag=a'],
    '-virtfs local,path=/nonexistent,mount_tag=a: /nonexistent: ENOENT',
  ],
])('%j is refused in one line', async (args, message) => {
  const run = await runMachine(['-M', 'virt', '-kernel', 'README.md', ...args]);
  expect(run).toEqual({ output: '', errors: `tsemu-arm: ${message}\n`, status: 1 });
});
