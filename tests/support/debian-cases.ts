import { deflateRawSync, gzipSync } from 'node:zlib';
import type { Tree } from './workdir.ts';

/** The statically linked Debian programs: package and path inside it. */
export const packagePaths = {
  busybox: ['busybox-static', 'bin/busybox'],
  bash: ['bash-static', 'bin/bash-static'],
  zsh: ['zsh-static', 'bin/zsh-static'],
  e2fsck: ['e2fsck-static', 'sbin/e2fsck.static'],
  ldconfig: ['libc-bin', 'sbin/ldconfig'],
} as const satisfies Record<string, readonly [string, string]>;

export type DebianProgram = keyof typeof packagePaths;

/** One command whose output, exit code and files left behind are compared with qemu-arm's. */
export interface DebianCase {
  title: string;
  program: DebianProgram;
  args: string[];
  stdin?: string | Uint8Array;
  env?: Record<string, string>;
  /** Files in the working folder before the run. */
  files?: Tree;
  /** What differs between two runs by nature, as pattern and replacement, on stdout and stderr. */
  normalise?: [RegExp, string][];
  /** The order of lines is no part of the comparison: qemu-arm turns the environment around. */
  sortLines?: boolean;
  /** Runs under the interpreter alone and under regions alone too. */
  allTiers?: boolean;
  /** In regions alone it runs for one of the architectures only. */
  slowInRegions?: boolean;
}

// Text with repetition and with noise, the same in every run.
function sampleText(lines: number): string {
  let x = 12345;
  let text = '';
  for (let i = 0; i < lines; i++) {
    x = (Math.imul(x, 1103515245) + 12345) >>> 0;
    text += `${i} ${x.toString(36)} the quick brown fox ${x % 97} ${(x / 7919).toFixed(3)}\n`;
  }
  return text;
}

const text = sampleText(2000);
const shortText = sampleText(40);

// A .zip needs nothing more than its records, and unzip is a good customer of inflate.
function zipOf(name: string, content: Buffer): Buffer {
  const packed = deflateRawSync(content);
  const crc = crc32(content);
  const head = Buffer.alloc(26);
  head.writeUInt16LE(20, 0);
  head.writeUInt16LE(8, 4);
  head.writeUInt32LE(crc, 10);
  head.writeUInt32LE(packed.length, 14);
  head.writeUInt32LE(content.length, 18);
  head.writeUInt16LE(name.length, 22);
  const local = Buffer.concat([Buffer.from('PK\x03\x04'), head, Buffer.from(name), packed]);
  const central = Buffer.concat([Buffer.from('PK\x01\x02\x14\0'), head, Buffer.alloc(14), Buffer.from(name)]);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(local.length, 16);
  return Buffer.concat([local, central, end]);
}

function crc32(bytes: Buffer): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

// xz -d and bunzip2 need streams that Node cannot make: these were made by the tools, from 40 lines of `yes tsemu`.
const xzStream = Buffer.from(
  '/Td6WFoAAATm1rRGAgAhARwAAAAQz1jM4ADvAA1dADocyM59dAMSeWMcAAAAAAAAcgy3yf/+R0kAASnwAQAAABu3fhOxxGf7AgAAAAAEWVo=',
  'base64',
);
const bzip2Stream = Buffer.from('QlpoOTFBWSZTWYu09EEAAGPBgAAQAgIOACAAMMAClQyaJgnhNEwTRPi7kinChIRdp6II', 'base64');

const busybox = (title: string, args: string[], more: Partial<DebianCase> = {}): DebianCase => ({
  title: `busybox ${title}`,
  program: 'busybox',
  args,
  ...more,
});

// Debian's busybox has an awk without sin() and friends: what is left is arithmetic, conversion and printf.
const awkFloat = `function root(x, i, r) { r = x; for (i = 0; i < 40; i++) r = (r + x / r) / 2; return r }
BEGIN {
  for (i = 1; i <= 12; i++) printf "%d %.10g %e %f %s\\n", i, root(i), 1 / (i * i * i), i * 1.1 - 7, i / 7
  x = 0.1; for (i = 0; i < 60; i++) x = x * 1.7 - int(x); print x, root(2), 1e300 * 1e10, -1e-320, int(-3.7), -7 % 3
  print 1/3, 100000 * 100000, 1e6, 1e16, 0.1 + 0.2, 123456789012345678, "3.25abc" + 1, 0x1f, 1e-5
  printf "%5.1f|%-10d|%+.3e|%g|%c|%i\\n", 2.25, 42.9, 0.00012345, 1e100, 65, -0.5
}`;

const tree: Tree = {
  'a.txt': text,
  'b/c.txt': shortText,
  'b/d/e.txt': 'deep\n',
  'b/link': { link: 'c.txt' },
  empty: null,
  'run.sh': '#!/bin/sh\necho hi\n',
};

const statNormal: [RegExp, string][] = [
  [/(Inode: )\d+/g, '$1N'],
  [/(Device: )\S+/g, '$1D'],
  [/^(Access|Change): \d{4}-.*$/gm, '$1: T'],
];

const shellScript = `
set -u
declare -A seen
sum=0
for i in {1..200}; do (( sum += i * i % 7 )); seen[$((i % 13))]=$i; done
echo "sum $sum keys \${#seen[@]}"
f() { local n=$1; if (( n < 2 )); then REPLY=$n; return; fi; f $((n-1)); local a=$REPLY; f $((n-2)); REPLY=$((a + REPLY)); }
f 12; echo "fib $REPLY"
s="The Quick Brown Fox"
echo "\${s^^} \${s,,} \${s// /_} \${#s} \${s:4:5} \${s%Fox}end \${s#The }"
case $s in *Brown*) echo matched;; esac
[[ $s =~ ([A-Z])rown ]] && echo "re \${BASH_REMATCH[1]}"
printf '%05d|%-8s|%x|%o|%q|%b\\n' 42 abc 255 8 'a b' 'x\\ty'
printf '%.3f %e %g\\n' 3.14159 12345.678 0.0001
while read -r line; do echo "<$line>"; done < in.txt
a=(z y x); a+=(w); echo "\${a[@]:1:2} \${!a[@]}"
trap 'echo bye $?' EXIT
cd b && pwd -P > /dev/null && echo * && [ -d d ] && [ ! -e nope ] && echo tests
echo err >&2
exit 3
`;

const zshScript = `
typeset -A h; h=(one 1 two 2)
for k in \${(ok)h}; do print "$k=$h[$k]"; done
integer s=0; for i in {1..100}; do (( s += i ** 2 % 11 )); done; print $s
t="a:b:c"; print -l \${(s.:.)t}; print \${(U)t} \${#t}
print $(( 22.0 / 7 )) $(( 2 ** 40 )) $(( 0x1f ))
print -r -- **/*.txt(.N)
f() { print "args $# $*"; return 4 }; f x y; print $?
printf "%6.2f|%s\\n" 2.5 end
exit 5
`;

export const debianCases: DebianCase[] = [
  busybox('sha512sum', ['sha512sum', 'a.txt', '-'], { files: tree, stdin: text, allTiers: true }),
  busybox('sha256sum -c', ['sha256sum', '-c', 'sums'], {
    files: { f: 'abc', sums: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  f\n00  g\n' },
  }),
  busybox('md5sum', ['md5sum', 'a.txt', 'nope'], { files: tree, allTiers: true }),
  busybox('sha3sum', ['sha3sum', '-a', '256'], { stdin: text }),
  busybox('gzip', ['gzip', '-9', 'a.txt'], { files: tree, allTiers: true }),
  busybox('gzip -c to stdout', ['gzip', '-c', '-n'], { stdin: text }),
  busybox('gunzip', ['gunzip', 'a.txt.gz'], { files: { 'a.txt.gz': gzipSync(text) }, allTiers: true }),
  busybox('gunzip of damaged data', ['gunzip', '-c', 'x.gz'], { files: { 'x.gz': gzipSync(text).subarray(0, 300) } }),
  busybox('bzip2', ['bzip2', '-c'], { stdin: text }),
  busybox('bunzip2', ['bunzip2', '-c'], { stdin: bzip2Stream }),
  busybox('xz -d', ['xz', '-d', '-c'], { stdin: xzStream, allTiers: true }),
  busybox('unzip', ['unzip', '-o', 'x.zip'], { files: { 'x.zip': zipOf('inside.txt', Buffer.from(text)) } }),
  busybox('awk with floating point', ['awk', awkFloat], { allTiers: true }),
  busybox(
    'awk on fields',
    [
      'awk',
      '{ n[$2 % 7] += $NF; s += length($0) } END { for (i = 0; i < 7; i++) print i, n[i]; print s, NR }',
      'a.txt',
    ],
    {
      files: tree,
    },
  ),
  busybox('sort', ['sort', '-k2', 'a.txt'], { files: tree, allTiers: true }),
  busybox('sort -n -r -u', ['sort', '-n', '-r', '-u', '-k7'], { stdin: text }),
  busybox('sed', ['sed', '-E', 's/([a-z]+) fox ([0-9]+)/\\2:\\1/;/^1/d;$!N;P;D'], { stdin: shortText }),
  busybox('sed -i', ['sed', '-i', 's/quick/slow/g', 'b/c.txt'], { files: tree }),
  busybox('grep -E', ['grep', '-n', '-E', '(q|b)[a-z]+ .*9{2}|^3.5', 'a.txt'], { files: tree, allTiers: true }),
  busybox('grep -r', ['grep', '-r', '-l', 'deep', 'b'], { files: tree }),
  busybox('grep without a match', ['grep', 'zzzzzz', 'a.txt'], { files: tree }),
  busybox('bc', ['bc', '-l'], { stdin: 'scale=40\n4*a(1)\n2^200\ne(1)\nsqrt(2)\n17%5\nl(2)\n', allTiers: true }),
  busybox('dc', ['dc'], { stdin: '20 k 2 v p 3 4 ^ p 7 3 / p\n' }),
  busybox('tar c', ['tar', 'cf', 'out.tar', 'a.txt', 'run.sh'], { files: tree }),
  busybox('tar t', ['tar', 'tvf', '-'], { stdin: tarOf('x/y.txt', 'hello\n') }),
  busybox('tar x', ['tar', 'xf', '-', '-v'], { stdin: tarOf('x/y.txt', 'hello\n') }),
  busybox('find -name', ['find', '.', '-name', '*.txt', '-size', '-100k', '-maxdepth', '2'], {
    files: { 'b/c.txt': 'x' },
  }),
  busybox('find -type', ['find', 'b', '-type', 'l'], { files: tree }),
  busybox('od', ['od', '-A', 'x', '-t', 'x1', '-t', 'd4', '-t', 'c', '-N', '100', 'a.txt'], { files: tree }),
  busybox('od of floats', ['od', '-t', 'f8', '-t', 'f4', '-N', '64', 'a.txt'], { files: tree }),
  busybox('xxd', ['xxd', '-s', '10', '-l', '64', 'a.txt'], { files: tree, allTiers: true }),
  busybox('hexdump -C', ['hexdump', '-C', '-n', '80', 'a.txt'], { files: tree }),
  busybox('diff', ['diff', '-u', 'one', 'two'], {
    files: { one: shortText, two: shortText.replace('quick', 'slow').replace(/^7 .*\n/m, '') },
    normalise: [[/^(---|\+\+\+) (\S+)\t.*$/gm, '$1 $2']],
  }),
  busybox('diff -r', ['diff', '-r', 'p', 'q'], { files: { 'p/a': '1\n', 'p/b': '2\n', 'q/a': '1\n', 'q/b': '3\n' } }),
  busybox('cmp', ['cmp', '-l', 'one', 'two'], { files: { one: 'abcdef', two: 'abXdeY' } }),
  busybox('dd', ['dd', 'if=a.txt', 'of=part', 'bs=100', 'skip=3', 'count=7'], {
    files: tree,
    normalise: [[/, [\d.]+ seconds.*$/gm, ', T']],
  }),
  busybox('dd conv', ['dd', 'if=a.txt', 'of=part', 'bs=1', 'seek=5', 'count=9', 'conv=notrunc'], {
    files: { 'a.txt': 'abcdefghijklmnop', part: '0123456789012345678901234567890' },
    normalise: [[/, [\d.]+ seconds.*$/gm, ', T']],
  }),
  busybox('ls -la', ['ls', '-la', '.', 'b', 'nope'], { files: tree, allTiers: true }),
  busybox('ls -R1F', ['ls', '-R', '-1', '-F'], { files: tree }),
  busybox('stat', ['stat', 'a.txt', 'b/link', 'b'], { files: tree, normalise: statNormal, allTiers: true }),
  busybox('stat -f', ['stat', '-c', '%n %s %F %a %h %Y %u', 'a.txt', 'b', '/dev/null'], {
    files: tree,
    normalise: [[/(\/dev\/null .*) \d+ (\d+)$/gm, '$1 T $2']],
  }),
  busybox('date', ['date', '-u', '-d', '@1234567890', '+%Y-%m-%d %H:%M:%S %a %j %s'], { allTiers: true }),
  busybox('date in a zone', ['date', '-d', '2024-02-29 12:00', '+%c %Z'], {
    env: { TZ: 'CET-1CEST,M3.5.0,M10.5.0/3' },
  }),
  busybox('env', ['env'], { env: { ZED: 'last', SPACE: 'a b', EQ: 'x=y' }, sortLines: true, allTiers: true }),
  busybox('env -i', ['env', '-i', 'A=1']),
  busybox('uname -s -n -o', ['uname', '-s', '-n', '-o']),
  busybox('uname -r -v -m', ['uname', '-rvm'], { normalise: [[/^.* (arm)v[78]l$/gm, 'RELEASE VERSION $1']] }),
  busybox('id', ['id']),
  busybox('pwd', ['pwd']),
  busybox('cat', ['cat', '-', 'b/c.txt', 'nope'], { files: tree, stdin: 'from stdin\n' }),
  busybox('cp -a', ['cp', '-a', 'b', 'copy'], { files: tree }),
  busybox('mv', ['mv', 'a.txt', 'b/moved'], { files: tree }),
  busybox('rm -r', ['rm', '-r', 'b', 'nope'], { files: tree }),
  busybox('mkdir -p', ['mkdir', '-p', '-m', '750', 'x/y/z']),
  busybox('ln', ['ln', 'a.txt', 'hard'], { files: tree }),
  busybox('ln -s', ['ln', '-s', 'nowhere', 'soft']),
  busybox('readlink -f', ['readlink', '-f', 'b/link'], { files: tree }),
  busybox('touch -d', ['touch', '-d', '2020-01-02 03:04:05', 'new', 'a.txt'], { files: tree }),
  busybox('chmod', ['chmod', '-R', 'go-r,u+x', 'b'], { files: tree }),
  busybox('truncate', ['truncate', '-s', '100', 'b/c.txt'], { files: tree }),
  busybox('du', ['du', '-a', '-b', 'b/d'], { files: tree, normalise: [[/^\d+(\tb\/d)$/gm, 'N$1']] }),
  busybox('wc', ['wc', 'a.txt', 'b/c.txt'], { files: tree }),
  busybox('head and tail', ['tail', '-n', '3', 'a.txt'], { files: tree }),
  busybox('cut', ['cut', '-d', ' ', '-f', '2,4-5'], { stdin: shortText }),
  busybox('tr', ['tr', 'a-z', 'A-Z'], { stdin: shortText, allTiers: true }),
  busybox('uniq -c', ['uniq', '-c'], { stdin: 'a\na\nb\nc\nc\nc\n' }),
  busybox('paste', ['paste', '-s', '-d', ',', 'one'], { files: { one: 'a\nb\nc\n' } }),
  busybox('fold', ['fold', '-w', '13', '-s'], { stdin: shortText }),
  busybox('expr', ['expr', '17', '*', '(', '4', '+', '3', ')', '%', '10']),
  busybox('factor', ['factor', '1234567890123', '4294967291', '600851475143']),
  busybox('seq', ['seq', '-w', '0.5', '0.25', '3']),
  busybox('printf', [
    'printf',
    '%s %d %x %o %c %e %g %5.2f\\n',
    'str',
    '42',
    '255',
    '8',
    'z',
    '1234.5',
    '1e-10',
    '2.345',
  ]),
  busybox('base64', ['base64', '-w', '40'], { stdin: text.slice(0, 1000) }),
  busybox('base64 -d', ['base64', '-d'], { stdin: Buffer.from(text).toString('base64') }),
  busybox('uuencode', ['uuencode', 'name'], { stdin: shortText }),
  busybox('cpio -t', ['cpio', '-t'], { stdin: cpioOf('some/file', 'content\n') }),
  busybox('patch', ['patch', '-p1'], {
    files: { f: 'one\ntwo\nthree\n' },
    stdin: '--- a/f\n+++ b/f\n@@ -1,3 +1,3 @@\n one\n-two\n+TWO\n three\n',
  }),
  busybox('cal', ['cal', '2', '2024']),
  busybox('test', ['test', 'a.txt', '-nt', 'nope'], { files: tree }),
  busybox('sleep', ['sleep', '0.05']),
  busybox('usleep', ['usleep', '1000']),
  busybox('mktemp -u', ['mktemp', '-u', 'x.XXXXXX'], { normalise: [[/^x\.\w{6}$/gm, 'x.R']] }),
  busybox(
    'sh without fork',
    [
      'sh',
      '-c',
      'i=0; while [ $i -lt 300 ]; do i=$((i+1)); done; echo $i ${i%0}; x=$((7*6)); echo "$x" > f; read y < f; exit $y',
    ],
    {
      allTiers: true,
    },
  ),
  busybox('unknown applet', ['nonesuch']),
  busybox('--list', ['--list']),
  {
    title: 'bash script',
    program: 'bash',
    args: ['-c', shellScript],
    files: { 'in.txt': 'l1\n  l2 \nl3\n', 'b/d/x': '' },
    allTiers: true,
    slowInRegions: true,
  },
  { title: 'bash --version', program: 'bash', args: ['--version'] },
  { title: 'bash syntax error', program: 'bash', args: ['-c', 'if then'] },
  {
    title: 'bash here string and file',
    program: 'bash',
    args: ['s.sh', 'x', 'y z'],
    files: {
      's.sh':
        'read a b <<< "p q r"; echo "$b|$a|$#|$2"\nexec 3< s.sh; read -u 3 l; echo "$l"; mapfile -t m < s.sh; echo ${#m[@]}; kill -0 $$; echo $?; echo ${RANDOM:+r} $((2**62)) $((-7/2)) $((-7%3))\n',
    },
  },
  {
    title: 'bash signal trap',
    program: 'bash',
    args: ['-c', "trap 'echo usr1' USR1; kill -USR1 $$; echo after; kill -TERM $$; echo not reached"],
  },
  {
    title: 'zsh script',
    program: 'zsh',
    args: ['-f', '-c', zshScript],
    files: tree,
    allTiers: true,
    slowInRegions: true,
  },
  { title: 'zsh --version', program: 'zsh', args: ['--version'] },
  { title: 'e2fsck -V', program: 'e2fsck', args: ['-V'], allTiers: true },
  { title: 'e2fsck of a bad image', program: 'e2fsck', args: ['-n', 'img'], files: { img: '\0'.repeat(4096) } },
  { title: 'ldconfig -V', program: 'ldconfig', args: ['-V'], allTiers: true },
  { title: 'ldconfig -p of no cache', program: 'ldconfig', args: ['-p', '-C', 'nope'] },
];

function tarOf(name: string, content: string): Buffer {
  const head = Buffer.alloc(512);
  head.write(name, 0);
  head.write('0000644\0' + '0001750\0' + '0001750\0', 100);
  head.write(content.length.toString(8).padStart(11, '0'), 124);
  head.write('07236700262', 136);
  head.write('        0', 148);
  head.write('ustar\x0000', 257);
  const sum = head.reduce((a, b) => a + b, 0);
  head.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  const body = Buffer.alloc(Math.ceil(content.length / 512) * 512);
  body.write(content);
  return Buffer.concat([head, body, Buffer.alloc(1024)]);
}

function cpioOf(name: string, content: string): Buffer {
  const member = (memberName: string, mode: number, body: string): Buffer => {
    const fields = [1, mode, 0, 0, 1, 981_173_106, body.length, 0, 0, 0, 0, memberName.length + 1, 0];
    const head = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${memberName}\0`;
    const pad = (s: string): string => s.padEnd(Math.ceil(s.length / 4) * 4, '\0');
    return Buffer.from(pad(head) + pad(body), 'latin1');
  };
  return Buffer.concat([member(name, 0o100644, content), member('TRAILER!!!', 0, '')]);
}
