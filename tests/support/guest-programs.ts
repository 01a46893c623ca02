import { join } from 'node:path';
import { repoRoot } from './cache.ts';
import { muslStaticPie } from './musl.ts';
import type { Tier } from './run.ts';
import type { Build, Triple } from './toolchain.ts';
import type { Tree } from './workdir.ts';

/** A guest program of ours for a hosted C library. */
export interface GuestProgram {
  name: string;
  source: string;
  args?: string[];
  files?: Tree;
  stdin?: string;
  /** Lines that qemu-arm gets wrong, and what Linux answers. */
  oracleErrors?: [wrong: string, right: string][];
}

const program = (source: string, more: Partial<GuestProgram> = {}): GuestProgram => ({
  name: source.replace(/\.\w+$/, ''),
  source: join(repoRoot, 'fixtures/c', source),
  ...more,
});

export const guestPrograms: GuestProgram[] = [
  program('doubles.c'),
  program('nans.c'),
  program('sorting.c'),
  program('integers.c'),
  program('strings.c'),
  program('exceptions.cc'),
  program('signals.c'),
  program('memory.c', { oracleErrors: [['noreplace 0 0', 'noreplace 1 1']] }),
  program('files.c', {
    // On file systems whose directory offsets need 64 bits (ext4, overlayfs) a 32-bit readdir fails under qemu-arm.
    oracleErrors: [
      ['list dir:', 'list dir: ..:4 .:4 hard:8 soft:10'],
      ['list .:', 'list .: ..:4 .:4 folder:4 moved:8 one:8'],
      ['list folder:', 'list folder: ..:4 .:4'],
      ['list .:', 'list .: ..:4 .:4'],
    ],
  }),
  program('system.c', { args: ['one', '', 'x'.repeat(60_000), 'last arg'] }),
];

/** What the kernel layer does, seen from a program: for tests/signals.test.ts. */
export const kernelPrograms: GuestProgram[] = [
  program('signal-calls.c', {
    oracleErrors: [
      ['null: signal 11 code 1 at 16 trap 0 write 0', 'null: signal 11 code 1 at 16 trap 14 write 800'],
      ['read-only: signal 11 code 2 at 7 trap 0 write 0', 'read-only: signal 11 code 2 at 7 trap 14 write 800'],
      // ILL_ILLOPC: arch/arm/kernel/traps.c, do_undefinstr.
      ['undefined: signal 4 code 2', 'undefined: signal 4 code 1'],
    ],
  }),
  program('mappings.c', {
    oracleErrors: [
      [
        'length 0 EINVAL, bad address EINVAL, bad descriptor EBADF, over another ok',
        'length 0 EINVAL, bad address EINVAL, bad descriptor EBADF, over another EEXIST',
      ],
      ['mprotect of nothing ok', 'mprotect of nothing ENOMEM'],
      ['madvise 77 ok', 'madvise 77 EINVAL'],
      ['maps: stack 0 heap 0', 'maps: stack 1 heap 1'],
    ],
  }),
];

/** Sockets and epoll: for tests/network.test.ts. */
export const networkPrograms: GuestProgram[] = [
  program('unix-sockets.c', {
    oracleErrors: [
      // Twice: for streams and for records. qemu-arm has room for 64-bit headers, and does not look at their lengths.
      ['truncated 4 flags 0 control 16', 'truncated 4 flags 8 control 16'],
      ['truncated 4 flags 0 control 16', 'truncated 4 flags 8 control 16'],
      ['bad descriptors EBADF bad length 4 bad type EINVAL', 'bad descriptors EBADF bad length EINVAL bad type EINVAL'],
      ['bad descriptors EBADF bad length 4 bad type EINVAL', 'bad descriptors EBADF bad length EINVAL bad type EINVAL'],
    ],
  }),
  program('inet-sockets.c', {
    oracleErrors: [
      [
        '0 hops: set 0 get 0 9 length 4\n0 level: set ENOPROTOOPT get EOPNOTSUPP -1 length 4',
        '0 hops: set 0 get 0 9 length 4\n0 level: set ENOPROTOOPT get ENOPROTOOPT -1 length 4',
      ],
      [
        '1 hops: set 0 get 0 9 length 4\n1 level: set ENOPROTOOPT get EOPNOTSUPP -1 length 4',
        '1 hops: set 0 get 0 9 length 4\n1 level: set ENOPROTOOPT get ENOPROTOOPT -1 length 4',
      ],
      ['socket 2 99 0: EPROTONOSUPPORT', 'socket 2 99 0: EINVAL'],
      ['socket 2 1048577 0: ok', 'socket 2 1048577 0: EINVAL'],
      // IP_MULTICAST_IF is not there.
      [
        'join 0 again EADDRINUSE interface ENOPROTOOPT ttl 0 send 6',
        'join 0 again EADDRINUSE interface 0 ttl 0 send 6',
      ],
      [
        'poll 0 received EAGAIN from 0.0.0.0 leave 0 again EADDRNOTAVAIL no group EINVAL',
        'poll 1 received 6 from 127.0.0.1 leave 0 again EADDRNOTAVAIL no group EINVAL',
      ],
    ],
  }),
  program('epoll.c', {
    oracleErrors: [
      [
        'wait: max 0 EINVAL max -1 EINVAL not epoll EINVAL bad fd EBADF null without events EFAULT',
        'wait: max 0 EINVAL max -1 EINVAL not epoll EINVAL bad fd EBADF null without events 0',
      ],
      ['time out 0 ENOSYS bad ENOSYS', 'time out 0 0 bad EINVAL'],
    ],
  }),
  program('socket-errors.c', {
    // What native Linux answers (x86-64).
    oracleErrors: [
      ['getpeername(local, NULL, NULL): EFAULT', 'getpeername(local, NULL, NULL): ENOTCONN'],
      ['sendto(udp, bad, 1, 0, to, 3): EFAULT', 'sendto(udp, bad, 1, 0, to, 3): EINVAL'],
      [
        'sendmsg(pair[0], &m, 0): EFAULT\nrecvmsg(pair[0], &m, 0): EFAULT\nsendmsg(pair[0], &m, 0): EFAULT\nsendmsg(udp, &m, 0): EFAULT',
        'sendmsg(pair[0], &m, 0): EFAULT\nrecvmsg(pair[0], &m, 0): EAGAIN\nsendmsg(pair[0], &m, 0): EFAULT\nsendmsg(udp, &m, 0): EFAULT',
      ],
      ['recvmsg(pair[0], &m, 0): 0', 'recvmsg(pair[0], &m, 0): EAGAIN'],
      ['sendmmsg(99, mm, 1, 0): 1', 'sendmmsg(99, mm, 1, 0): EBADF'],
      ['recvmmsg(99, mm, 1, 0, NULL): 1', 'recvmmsg(99, mm, 1, 0, NULL): EBADF'],
      [
        'setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &value, -1): 0',
        'setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &value, -1): EINVAL',
      ],
      [
        'setsockopt(udp, IPPROTO_IP, IP_MULTICAST_TTL, &value, 0): 0',
        'setsockopt(udp, IPPROTO_IP, IP_MULTICAST_TTL, &value, 0): EINVAL',
      ],
      [
        'getsockopt(tcp, SOL_SOCKET, SO_TYPE, NULL, &length): EFAULT',
        'getsockopt(tcp, SOL_SOCKET, SO_TYPE, NULL, &length): 0',
      ],
    ],
  }),
];

/** One way to build a program. */
export interface Variant {
  name: string;
  triple: Triple;
  flags: string[];
  /** Position-independent, with musl: for the programs that need nothing of glibc. */
  staticPie: boolean;
  /** Runs in regions alone too, which takes seconds: everything is compiled, however rarely it runs. */
  regions: boolean;
  /** The tier that runs it with protection by checks too: elsewhere the host's pages protect, where they can. */
  checks?: Tier;
}

const hard = 'arm-linux-gnueabihf' satisfies Triple;
const soft = 'arm-linux-gnueabi' satisfies Triple;

const variant = (triple: Triple, code: string, level: string, link: string, ...more: string[]): Variant => ({
  name: [triple === hard ? 'hard' : 'soft', code, level, link, ...more].join(' '),
  triple,
  flags: [`-m${code}`, level, ...more],
  staticPie: link === 'static-pie',
  regions: false,
});

const inRegions = (one: Variant): Variant => ({ ...one, regions: true });

/**
 * Every pair of {A32, Thumb-2}, {hard, soft float}, {-O0 … -O3} and {static, static-pie} occurs in some variant. The
 * soft-float compiler makes ARMv5 code by default, which calls the kernel's helpers for atomics and TLS.
 */
export const variants: Variant[] = [
  { ...inRegions(variant(hard, 'arm', '-O2', 'static')), checks: 'auto' },
  variant(hard, 'thumb', '-O0', 'static'),
  { ...inRegions(variant(hard, 'thumb', '-O3', 'static', '-mfpu=neon-vfpv4', '-ftree-vectorize')), checks: 'region' },
  inRegions(variant(soft, 'arm', '-O0', 'static')),
  variant(soft, 'arm', '-O3', 'static'),
  variant(soft, 'thumb', '-O2', 'static', '-march=armv7-a+fp', '-mfloat-abi=softfp'),
  variant(hard, 'arm', '-O1', 'static-pie'),
  inRegions(variant(hard, 'thumb', '-O2', 'static-pie')),
  variant(soft, 'arm', '-O2', 'static-pie'),
];

// The soft-float libatomic picks its code by IRELATIVE relocations, which musl does not apply: no `integers` there.
const runsOnMusl: Record<Triple, string[]> = {
  [hard]: ['doubles', 'nans', 'sorting', 'integers', 'signals'],
  [soft]: ['doubles', 'sorting', 'signals'],
  'i686-linux-gnu': [],
};

/** Whether the program can be built in the variant. */
export const fits = (program: GuestProgram, { staticPie, triple }: Variant): boolean =>
  !staticPie || runsOnMusl[triple].includes(program.name);

/** What to build for a program in a variant. */
export async function buildOf({ source }: GuestProgram, { triple, flags, staticPie }: Variant): Promise<Build> {
  const common = [...flags, '-D_GNU_SOURCE', '-w', '-ffp-contract=off'];
  if (!staticPie) return { triple, sources: [source], flags: [...common, '-static'] };
  const musl = await muslStaticPie(triple);
  return { triple, sources: [source], flags: [...common, ...musl.flags], libraries: musl.libraries };
}
