import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { debianPackage } from './debian.ts';
import { run } from './run.ts';
import { type Triple, toolchain } from './toolchain.ts';

/** What a compiler needs to make a static-pie program with musl: Debian's ARM glibc has no start file for one. */
export interface MuslFlags {
  flags: string[];
  libraries: string[];
}

/** Flags for a static-pie C program with musl, whose Debian package is fetched into the cache. */
export async function muslStaticPie(triple: Triple): Promise<MuslFlags> {
  const root = await debianPackage('musl-dev', triple === 'arm-linux-gnueabihf' ? 'armhf' : 'armel');
  const name = readdirSync(join(root, 'usr/lib')).find((dir) => dir.includes('-musl'));
  const lib = join(root, 'usr/lib', name ?? '');
  if (!existsSync(join(lib, 'rcrt1.o'))) throw new Error(`musl-dev has no rcrt1.o in ${lib}`);
  const tools = await toolchain(triple);
  const builtin = await run(tools.cc, ['-print-file-name=include'], { env: tools.env });
  const headers = [join(root, 'usr/include', name ?? ''), builtin.stdout.toString().trim()];
  return {
    flags: [
      '-fPIE',
      '-static',
      '-Wl,-pie,--no-dynamic-linker,-z,text',
      '-nostdinc',
      ...headers.flatMap((dir) => ['-isystem', dir]),
      '-nostartfiles',
      '-nodefaultlibs',
      join(lib, 'rcrt1.o'),
      join(lib, 'crti.o'),
    ],
    libraries: [
      '-Wl,--start-group',
      join(lib, 'libc.a'),
      '-lgcc',
      '-lgcc_eh',
      '-latomic',
      '-Wl,--end-group',
      join(lib, 'crtn.o'),
    ],
  };
}
