import type { ProgramCase } from './case.ts';

const posix = `
x=1; while [ $x -lt 5 ]; do x=$((x + 1)); done; echo $x
echo a b c | tr a-z A-Z | { read p q; echo $q; }
f() { local y=$1; (exit $y); echo st $?; }; f 3
for w in one two; do echo $w; done | sort -r
cat <<EOF
here $((6 * 7))
EOF
trap 'echo usr1' USR1; kill -USR1 $$; echo after
sleep 0.05 & wait $!; echo waited
`;
const posixOutput = '5\nB C\nst 3\ntwo\none\nhere 42\nusr1\nafter\nwaited\n';

export const shellCases: ProgramCase[] = [
  { name: 'dash', packages: ['dash', 'coreutils'], script: posix, expected: posixOutput, ci: true },
  {
    name: 'bash',
    packages: ['bash', 'coreutils'],
    files: {
      s: `${posix}a=(x y z); echo \${a[@]:1}; coproc cat; echo co >&\${COPROC[1]}; read -u \${COPROC[0]} l; echo $l; cat <(echo sub); shopt -s extglob; [[ abc =~ b(.) ]] && echo \${BASH_REMATCH[1]}\n`,
    },
    script: 'bash s',
    expected: `${posixOutput}y z\nco\nsub\nc\n`,
    ci: true,
  },
  {
    name: 'zsh',
    packages: ['zsh', 'coreutils'],
    files: {
      s: `${posix}typeset -A h; h=(a 1); print $h[a]; zmodload zsh/datetime && print \${#EPOCHSECONDS}; zmodload zsh/mathfunc; print $(( int(sqrt(16.0)) ))\n`,
    },
    script: 'zsh -f s',
    expected: `${posixOutput}1\n10\n4\n`,
  },
  {
    name: 'mksh',
    packages: ['mksh', 'coreutils'],
    files: { s: posix.replace('local', 'typeset') },
    script: 'mksh s',
    expected: posixOutput,
  },
  {
    name: 'ksh93',
    packages: ['ksh93u+m', 'coreutils'],
    files: { s: posix.replace('local ', '') },
    script: 'ksh93 s',
    expected: posixOutput,
  },
  { name: 'yash', packages: ['yash', 'coreutils'], files: { s: posix }, script: 'yash s', expected: posixOutput },
  {
    name: 'fish',
    packages: ['fish', 'coreutils'],
    script: `HOME=$PWD fish -c 'for i in 1 2; echo $i; end | sort -r; set x (math 6 x 7); echo $x; string upper abc; true; and echo yes'`,
    expected: '2\n1\n42\nABC\nyes\n',
  },
  {
    name: 'tcsh',
    packages: ['tcsh', 'coreutils'],
    script: `tcsh -f -c 'set x = 5; @ x = $x * 2; echo $x; foreach i (a b); echo $i; end' | cat`,
    files: {},
    expected: /^10\n/,
  },
  {
    name: 'busybox',
    packages: ['busybox'],
    script: `busybox sh -c 'busybox seq 5 | busybox awk "{ s += \\$1 } END { print s }"; echo hi | busybox md5sum'`,
    expected: '15\n764efa883dda1e11db47671c4a3bbd9e  -\n',
  },
  {
    name: 'make',
    packages: ['make', 'dash', 'coreutils'],
    files: { Makefile: 'all: a b c d e f\n\tcat $^ > all\n%:\n\tsleep 0.02; echo $@ > $@; echo made\n' },
    script: 'make -s -j4 && cat all',
    expected: 'made\nmade\nmade\nmade\nmade\nmade\na\nb\nc\nd\ne\nf\n',
    ci: true,
  },
  {
    name: 'parallel',
    packages: ['parallel', 'bash', 'hostname'],
    script: `HOME=$PWD parallel -k -j3 'echo {} {#}' ::: a b c 2>/dev/null`,
    expected: 'a 1\nb 2\nc 3\n',
  },
  {
    name: 'fakeroot',
    packages: ['fakeroot'],
    script: 'fakeroot-sysv sh -c "touch f; chown 12:34 f; stat -c %u:%g f; id -u"',
    expected: '12:34\n0\n',
  },
];
