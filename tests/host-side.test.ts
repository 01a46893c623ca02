import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { repoRoot, Unavailable } from './support/cache.ts';
import { debianFile, onPath } from './support/debian.ts';
import { packagePaths } from './support/debian-cases.ts';
import { qemuArm } from './support/oracle.ts';
import { plainEnvironment, run, tsemuCommand } from './support/run.ts';
import { onTerminal, shellCommand } from './support/terminal.ts';
import { buildGuest } from './support/toolchain.ts';
import { freshWorkdir } from './support/workdir.ts';

interface Ready {
  qemu: string;
  busybox: string;
  streams: string;
  locks: string;
}

const build = (source: string): Promise<string> =>
  buildGuest({
    triple: 'arm-linux-gnueabihf',
    sources: [join(repoRoot, 'fixtures/c', source)],
    flags: ['-O1', '-D_GNU_SOURCE', '-static'],
  });

async function prepare(): Promise<Ready | string> {
  try {
    return {
      qemu: await qemuArm(),
      busybox: await debianFile(packagePaths.busybox[0], 'armhf', packagePaths.busybox[1]),
      streams: await build('streams.c'),
      locks: await build('record-lock.c'),
    };
  } catch (error) {
    if (error instanceof Unavailable) return error.message;
    throw error;
  }
}

const ready = await prepare();
const reason = typeof ready === 'string' ? ready : undefined;
const { qemu, busybox, streams, locks } =
  typeof ready === 'string' ? { qemu: '', busybox: '', streams: '', locks: '' } : ready;
const [node, tsemuArguments] = tsemuCommand([]);
const runners = { qemu, tsemu: shellCommand([node, ...tsemuArguments]) };

/**
 * Shell scripts that mean the same under both: $RUN runs a guest program, $PEER one of the other emulator; $B is busybox, $S
 * fixtures/c/streams.c, $L record-lock.c.
 */
const scripts: [string, string][] = [
  ['a reader that goes away ends it by SIGPIPE', '{ $RUN $B yes; echo "status $?" >&2; } | head -n 1'],
  ['many arguments', '$RUN $B echo $(seq 1 20000) | cksum'],
  ['closed stderr', '$RUN $B ls nope 2>&-; echo "status $?"'],
  ['all closed', '$RUN $B sh -c "exit 5" <&- >&- 2>&-; echo "status $?"'],
  [
    'a file beyond 4 GiB',
    `$RUN $B dd if=/dev/zero of=big bs=1M seek=5000 count=1 2>/dev/null; stat -c %s big
     printf tail >> big; $RUN $B tail -c 6 big | od -c; $RUN $B dd if=big bs=1M skip=4999 2>/dev/null | wc -c
     $RUN $B truncate -s 6G big; $RUN $B stat -c %s big; rm big`,
  ],
  ['a slow pipe', '(echo a; sleep 0.3; echo b; sleep 0.3; echo c) | $RUN $B cat'],
  ['output between that of others', '(echo a; $RUN $B echo b; echo c) > log; $RUN $B echo d >> log; cat log'],
  ['input shared with others', 'printf "1\\n2\\n3\\n" > f; ($RUN $B sh -c "read x; echo got \\$x"; cat) < f'],
  [
    'descriptors above 2',
    `printf "1\\n2\\n" > f; mkdir -p d/e
     ($RUN $B sh -c 'read x <&5; echo "got $x"; echo out >&3; echo log >&9'; cat <&5) 3>&1 5<f 9>>log; cat log
     $RUN $B ls /proc/self/fd/7/ 7<d; $RUN $B sh -c 'exec 3>&-; echo closed' 3>&1; $RUN $B sh -c 'echo x >&3'
     $RUN $B sh -c 'cat <&4; cat /dev/fd/6' 4<f 6<f`,
  ],
  [
    'both ends of a pipe, as make gives them to its programs',
    `sleep 0 | { exec 3<&0 4>/proc/self/fd/0 <&-; $RUN $B sh -c 'echo token >&4; read x <&3; echo "got $x"; echo t >&4'
     read y <&3; echo "left $y"; }`,
  ],
  ['a pipe above 2 ends with the program', '($RUN $B sh -c "echo to5 >&5; exec 5>&-; echo more" 5>&1 >&2) | cat'],
  [
    'what a program leaves running does not hold its caller',
    `later() { while [ ! -e $1 ]; do sleep 0.1; done; cat $1; }
     $RUN $B sh -c '(until [ -e go ]; do sleep 0.1; done; echo late > n; mv n f) & echo started; exit 7'
     echo "status $?"; echo > go; later f
     x=$($RUN $B sh -c '(until [ -e on ]; do sleep 0.1; done; echo over > n; mv n g) >/dev/null 2>&1 & echo begun')
     echo "got $x"; echo > on; later g`,
  ],
  [
    'record locks hold between its programs and those of others',
    `mkfifo p; ready() { until grep -q r: $1 2>/dev/null; do sleep 0.1; done; }
     $RUN $L f w 10 10 u 12 2 r 100 0 <p >log & exec 3>p; ready log
     echo | $PEER $L f tw 0 0 w 5 5 w 10 1 r 100 1 w 100 1 w 12 2 r 14 1; exec 3>&-; wait
     $PEER $L f w 0 10 r 20 5 <p >log2 & exec 3>p; ready log2
     echo | $RUN $L f tw 0 0 w 0 1 w 20 1 r 20 1 w 10 5
     (sleep 1) & exec 3>&-; echo | $RUN $L f wW 0 1; wait; cat log log2`,
  ],
  ['much through pipes', 'seq 1 600000 | $RUN $B cat | $RUN $B gzip -1 | gunzip | cksum; seq 1 600000 | cksum'],
  ['no permission', 'echo x > f; chmod 0 f; [ -r f ] && chmod 700 f; $RUN $B cat f; echo "status $?"'],
  ['non-blocking input', '(printf abc; sleep 1; printf defg; sleep 1) | $RUN $S'],
  ...['TERM', 'HUP', 'USR1', 'KILL', 'ALRM'].map((signal): [string, string] => [
    `SIG${signal} ends a busy program`,
    `$RUN $B sh -c 'while :; do :; done' & sleep 1; kill -${signal} $!; wait $! 2>/dev/null; echo "status $?"`,
  ]),
];

describe.skipIf(reason !== undefined)(`host side${reason ? ` (skipped: ${reason})` : ''}`, () => {
  test.each(scripts)(
    '%s',
    async (_title, script) => {
      const observe = async (runner: string): Promise<object> => {
        const cwd = freshWorkdir('host-side', {});
        const env = { ...plainEnvironment, B: busybox, S: streams, L: locks, PEER: qemu };
        const { status, stdout, stderr } = await run('/bin/sh', ['-c', script.replaceAll('$RUN', runner)], {
          cwd,
          env,
        });
        return { status, stdout: stdout.toString('latin1'), stderr: stderr.toString('latin1') };
      };
      expect(await observe(runners.tsemu)).toEqual(await observe(runners.qemu));
    },
    60_000,
  );

  describe.skipIf(!onPath('script'))('on a terminal', () => {
    const program = (runner: string, ...args: string[]): string => `${runner} ${shellCommand([busybox, ...args])}`;

    const compare = async (args: string[], keys: string[]): Promise<string> => {
      const cwd = freshWorkdir('host-side', {});
      const on = (runner: string) => onTerminal(`echo; ${program(runner, ...args)}; echo "status $?"`, cwd, keys);
      const expected = await on(runners.qemu);
      expect(await on(runners.tsemu)).toEqual(expected);
      return expected.screen;
    };

    test('lines are edited and read', async () => {
      expect(await compare(['sh', '-c', 'echo ready; read x; echo "got $x"'], ['abc\x7fd\n'])).toContain('got abd');
    }, 30_000);

    test('^D ends the input', async () => {
      expect(await compare(['cat'], ['hello\n', '\x04'])).toContain('status 0');
    }, 30_000);

    test('^C ends a busy loop by SIGINT', async () => {
      const cwd = freshWorkdir('host-side', {});
      // The shell has a handler of its own, so that it lives to tell.
      const loop = program(runners.tsemu, 'sh', '-c', 'echo ready; while :; do :; done');
      const { screen } = await onTerminal(`trap : INT; ${loop}; echo "status $?"`, cwd, ['\x03']);
      expect(screen).toContain('status 130');
    }, 30_000);

    test('^Z stops it, fg lets it go on', async () => {
      const cwd = freshWorkdir('host-side', {});
      const nap = program(runners.tsemu, 'sleep', '2');
      const { screen } = await onTerminal(`set -m; echo; ${nap}; echo "was $?"; fg; echo "is $?"`, cwd, ['\x1a']);
      expect(screen).toMatch(/was 148[^]*is 0/);
    }, 30_000);
  });
});
