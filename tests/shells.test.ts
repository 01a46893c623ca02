import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Unavailable } from './support/cache.ts';
import { debianFile } from './support/debian.ts';
import { plainEnvironment, runTsemu, type Tier } from './support/run.ts';
import { freshWorkdir } from './support/workdir.ts';

/*
 * Shell scripts that live on processes, run by Debian's static shells with busybox as their commands. The outputs are
 * those of the same shells on Linux.
 */

const applets = 'cat cp echo env find head kill mkdir rm sed seq sh sleep sort tail tee timeout tr true wc xargs yes';

interface Shells {
  readonly busybox: string;
  readonly bash: string;
  readonly zsh: string;
}

async function shells(): Promise<Shells | { reason: string }> {
  try {
    return {
      busybox: await debianFile('busybox-static', 'armhf', 'bin/busybox'),
      bash: await debianFile('bash-static', 'armhf', 'bin/bash-static'),
      zsh: await debianFile('zsh-static', 'armhf', 'bin/zsh-static'),
    };
  } catch (error) {
    if (error instanceof Unavailable) return { reason: error.message };
    throw error;
  }
}

const found = await shells();
const reason = 'reason' in found ? found.reason : undefined;

/** Runs a script and returns its output and status, both streams together. */
async function script(
  shell: keyof Shells,
  text: string,
  { tier = 'auto', path = null }: { tier?: Tier; path?: string | null } = {},
): Promise<string> {
  const paths = found as Shells;
  const cwd = freshWorkdir(`shells-${shell}-${tier}`, {});
  const bin = join(cwd, 'bin');
  mkdirSync(bin);
  for (const name of applets.split(' ')) symlinkSync(paths.busybox, join(bin, name));
  writeFileSync(join(cwd, 'script'), `exec 2>&1\n${text}`);
  const command = shell === 'busybox' ? [paths.busybox, 'sh'] : [paths[shell]];
  const env = { ...plainEnvironment, PATH: path ?? bin };
  const { stdout, status } = await runTsemu([...command, 'script'], { cwd, env, tier, timeout: 100_000 });
  rmSync(bin, { recursive: true });
  return `${stdout.toString()}status ${status}\n`;
}

const portable = `
echo a b c | tr a-z A-Z | cat | wc -c
for i in 1 2 3; do (echo sub $i; exit $i); echo st $?; done
x=$(echo one; (echo two; echo three)); echo "$x" | tail -n 1
sleep 0.05 & wait $!; echo waited $?
(sleep 0.02; exit 7) & p=$!; sleep 0.05; wait $p; echo $?
cat <<EOF
here $((1 + 2)) $(echo inner)
EOF
yes | head -n 2
false || echo or
sh -c 'kill -9 $$'; echo killed $?
sh -c 'exit 200'; echo $?
nosuchcommand; echo missing $?
trap 'echo trapped' USR1; kill -USR1 $$; echo after
sh -c 'trap "echo term; exit 5" TERM; (sleep 0.05; kill -TERM $$) & while :; do sleep 0.02; done'; echo r $?
{ echo out; echo err >&2; } | sort
echo file > f; cat < f | tee g > /dev/null; cat g
seq 5 | while read n; do [ $n = 3 ] && continue; echo n$n; done
find bin -name cat -exec echo found {} \\;
seq 1 8 | xargs -n 1 -P 4 sh -c 'sleep 0.01; echo job $0' | sort
mkdir d; for i in 1 2 3 4; do (for j in 1 2 3; do echo $i$j; done > d/$i) & done; wait; cat d/*
timeout 1 sh -c 'exit 3'; echo $?
timeout -s KILL 0.1 sleep 5; echo timed out $?
`;
const portableOutput = `6
sub 1
st 1
sub 2
st 2
sub 3
st 3
three
waited 0
7
here 3 inner
y
y
or
killed 137
200
MISSING
missing 127
trapped
after
term
r 5
err
out
file
n1
n2
n4
n5
found bin/cat
job 1
job 2
job 3
job 4
job 5
job 6
job 7
job 8
11
12
13
21
22
23
31
32
33
41
42
43
3
timed out 137
status 0
`;

describe.skipIf(reason !== undefined)(`shell scripts${reason ? ` (skipped: ${reason})` : ''}`, () => {
  test.each([
    ['busybox', 'auto'],
    ['busybox', 'interp'],
    ['bash', 'auto'],
    ['zsh', 'auto'],
  ] as const)(
    'pipelines, subshells, traps and jobs: %s, tier %s',
    async (shell, tier) => {
      const output = await script(shell, portable, { tier });
      // Each shell has its own words for a command that is not there, and for a child that was killed.
      const plain = output.replace(/^.*nosuchcommand.*$/m, 'MISSING').replace(/^.*\bKilled\b.*\n/gm, '');
      expect(plain.replace(/^.*: killed .*\n/gm, '')).toBe(portableOutput);
    },
    120_000,
  );

  test('bash: process substitution, coprocesses, stopped jobs', async () => {
    const output = await script(
      'bash',
      `
cat <(echo one) <(echo two)
coproc cat; echo hey >&\${COPROC[1]}; read l <&\${COPROC[0]}; echo "got $l"; kill $COPROC_PID; wait $COPROC_PID; echo $?
mapfile -t a < <(seq 3); echo "\${a[@]}"
f() { local x=$1; [ $x -le 0 ] && return; (f $((x-1))); echo -n "$x "; }; f 8; echo
set -o pipefail; false | true; echo pf $?
sleep 10 & p=$!; kill -STOP $p; sleep 0.05; sed -n 's/^State:.//p' /proc/$p/status; kill -CONT $p; kill $p; wait $p; echo $?
trap 'echo bye' EXIT
(echo $BASH_SUBSHELL $(echo $BASH_SUBSHELL))
echo "\${PIPESTATUS[@]}" | cat
`,
    );
    expect(output).toBe(
      'one\ntwo\ngot hey\n143\n1 2 3\n1 2 3 4 5 6 7 8 \npf 1\nT (stopped)\n143\n1 2\n0\nbye\nstatus 0\n',
    );
  }, 60_000);

  test('a fork bomb ends at RLIMIT_NPROC', async () => {
    const output = await script(
      'bash',
      `ulimit -u 12
for i in {1..20}; do sleep 0.3 & done
wait
echo done`,
    );
    expect(output).toMatch(/fork: .*Resource temporarily unavailable/);
  }, 60_000);

  test.skipIf(process.platform !== 'linux')(
    'hundreds of forks leave no memory behind',
    async () => {
      // The first shell has tsemu's own pid, so that the host's file tells of all.
      const output = await script(
        'bash',
        `run() { i=0; while [ $i -lt 300 ]; do (exit 3); i=$((i+1)); done; }
pages() { read size resident rest < /proc/$$/task/$$/statm; echo $resident; }
run; first=$(pages); run; run; second=$(pages)
[ $((second - first)) -lt $((100 * 256)) ] && echo flat || echo $first $second`,
      );
      // A process's own memory would be two megabytes each.
      expect(output).toBe('flat\nstatus 0\n');
    },
    60_000,
  );

  test.skipIf(process.platform !== 'linux')(
    'programs of the host run with the files and pipes of the guest',
    async () => {
      const output = await script(
        'bash',
        `
printf 'b\\na\\n' | sort | /bin/cat
x=$(/bin/echo from the host); echo "$x"
(echo one; /bin/echo two; echo three) > file; /bin/cat < file
/bin/sh -c 'exit 9'; echo $?
/bin/sh -c 'kill -TERM $$'; echo $?
/bin/sleep 10 & kill $!; wait $!; echo $?
cd /usr; /bin/pwd; A=b /usr/bin/env | grep '^A='
/bin/cat /dev/zero | head -c 3 | wc -c
`,
        { path: '/usr/bin:/bin' },
      );
      const plain = output.replace(/^.*Terminated.*\n/gm, '');
      expect(plain).toBe('a\nb\nfrom the host\none\ntwo\nthree\n9\n143\n143\n/usr\nA=b\n3\nstatus 0\n');
    },
    60_000,
  );
});
