import type { Tree } from '../support/workdir.ts';

/** Debian programs whose output and files must be, byte for byte, those under qemu-arm. */
export interface CodecCase {
  readonly name: string;
  readonly packages: readonly string[];
  /** A command in each line: a program of the sysroot and its arguments, without quotes; `> file` takes its stdout. */
  readonly commands: string;
  readonly files?: Tree;
  /** Part of the slice that each test run does. */
  readonly ci?: true;
}

/** A test key of 1024 bits, good for nothing else. */
const key = `-----BEGIN RSA PRIVATE KEY-----
MIICXAIBAAKBgQCvneXh5b2zp3u5GKG2C8j2c11etw8TB4bC+CsYtDPLGKpHtSJ+
XCoMUq32tVGhBBnKqkI1QPjHoSFnggeBeiUzL4fE9qeYuhQHxYKi72To1b8Wv58R
muyY5ndKhtuD5mgVbLDHpK5JoQo6vAsnaAxQ9VMNBX+BTtDhcET6SoScyQIDAQAB
AoGAB9wELsDuZXzoX5dHnXMXklgFZLjClvJuSIl8vEVMUBmRfVYQ7iDHzPdiS7k/
pvodAWHvRpzaxWxjp1M9bMD/qyDJw59kqWMmMnsxaqjOl1LQgyNde1oOGXLD5xc7
RY96hLQETyrXcMv3B2jkw6y8RXF0VtqLo93Eh1/PyKSitYECQQDVmkg6KWaSsusD
Z1aBGuvuaNg4qQzYJ/MEA8+0oeJ27BJEiRCZylzqj8OHW2hnhPNyiBsRCykAxvyC
UmSWrC+5AkEA0nlz6DJdz8ipbH3EKcAR50OR5I+pJ4pMmzKkLnOEZGSEdoirghC7
czLcdd8XSdnU8ACY2XDnrLSxqjPVHtK9kQJANiSZUkTUPzMi5wX2o1sTmqbwx8vx
+YiGzOm6aGrwYHyOVNj5YEIvMzWltlWxLSxCGTHuym8twYiu0MnZvWd/4QJBAJWr
oGziRCvaOgDYfoJh/1lBh6HNNzDS/B7xKCeQJfluMXRJRA098M6+wF9hwaHWscHp
6sfVrin2ZNDwAwHkQsECQDOWysZE3h706R7ZmBlbcedts/CtpLoPvRTXEdn9pGtQ
Yt/O6wRw5Ob+4O/ueYW1cEmcdhW04CR8NlbzRkYOxyA=
-----END RSA PRIVATE KEY-----
`;

/** Reproducible noise in 0…1. */
function noise(seed: number): () => number {
  let x = seed;
  return () => {
    x = (Math.imul(x, 1103515245) + 12345) >>> 0;
    return x / 2 ** 32;
  };
}

/** A stereo WAV file of 16 bits: two tones that glide, and a little noise. */
function wav(seconds: number, rate = 44100): Buffer {
  const random = noise(7);
  const frames = Math.floor(seconds * rate);
  const out = Buffer.alloc(44 + 4 * frames);
  out.write('RIFF', 0, 'latin1');
  out.writeUInt32LE(36 + 4 * frames, 4);
  out.write('WAVEfmt ', 8, 'latin1');
  out.writeUInt32LE(16, 16);
  out.writeUInt16LE(1, 20);
  out.writeUInt16LE(2, 22);
  out.writeUInt32LE(rate, 24);
  out.writeUInt32LE(4 * rate, 28);
  out.writeUInt16LE(4, 32);
  out.writeUInt16LE(16, 34);
  out.write('data', 36, 'latin1');
  out.writeUInt32LE(4 * frames, 40);
  for (let i = 0; i < frames; i++) {
    const t = i / rate;
    const left = 0.5 * Math.sin(2 * Math.PI * (220 + 300 * t) * t) + 0.05 * (random() - 0.5);
    const right = 0.4 * Math.sin(2 * Math.PI * (660 - 100 * t) * t) + 0.05 * (random() - 0.5);
    out.writeInt16LE(Math.round(left * 32000), 44 + 4 * i);
    out.writeInt16LE(Math.round(right * 32000), 46 + 4 * i);
  }
  return out;
}

/** A picture as a PPM file: gradients, circles and noise. */
function ppm(width: number, height: number): Buffer {
  const random = noise(11);
  const head = Buffer.from(`P6\n${width} ${height}\n255\n`, 'latin1');
  const pixels = Buffer.alloc(3 * width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const ring = Math.hypot(x - width / 2, y - height / 3) % 24 < 12 ? 60 : 0;
      const at = 3 * (y * width + x);
      pixels[at] = (x * 255) / width;
      pixels[at + 1] = (y * 200) / height + ring * random();
      pixels[at + 2] = ring + 100 * random();
    }
  }
  return Buffer.concat([head, pixels]);
}

const text = Array.from({ length: 3000 }, (_, i) => `${i} ${(i * 7919) % 1009} fox ${i % 13}\n`).join('');
const sound: Tree = { 'in.wav': wav(1) };
const picture: Tree = { 'in.ppm': ppm(320, 200) };
const aesKey = '-K 000102030405060708090a0b0c0d0e0f -iv 101112131415161718191a1b1c1d1e1f';

const python = `
import math, cmath, struct, decimal, fractions, statistics, random
random.seed(12)
values = [random.uniform(-1e3, 1e3) for _ in range(400)] + [0.0, -0.0, 1e-310, 1e308, math.inf, 5e-324]
for f in (math.sin, math.cos, math.tan, math.atan, math.sinh, math.asinh, math.erf, math.expm1, math.cbrt):
    for v in values:
        try: print(f.__name__, repr(f(v)), struct.pack('<d', f(v)).hex())
        except (ValueError, OverflowError) as e: print(f.__name__, e)
for v in values: print(round(v, 3) if math.isfinite(v) else v, '%.17g %e' % (v, v), v.hex())
print(sum(values[:400]), math.fsum(values[:400]), math.prod(values[:40]), math.gamma(4.5), math.lgamma(1e5), math.hypot(3, 4, 5))
print(statistics.stdev(values[:400]), statistics.linear_regression(range(400), values[:400]))
print(cmath.sqrt(-2 + 3j), cmath.exp(1 + 2j), (1 + 2j) ** (3 - 1j))
decimal.getcontext().prec = 60
print(decimal.Decimal(2).sqrt(), decimal.Decimal(1).exp(), fractions.Fraction(math.pi).limit_denominator(10**6))
print(float('nan'), float('1e400'), int(1e22), 0.1 + 0.2, 1e16 + 1, 2**0.5, 7 // -2.0, -7 % 3.5, divmod(7.25, -2))
for fmt in ('e', 'f', 'd'): print(fmt, [struct.pack('<' + fmt, x).hex() for x in (0.1, -1.5, 65504.0, 1e-7, 3e-8)])
`;

const lua = `
local s = 0
for i = 1, 3000 do s = s + math.sin(i) * math.exp(-i / 1000) / math.sqrt(i) end
print(s, string.format('%.17g %a', s, s), math.pi, 2^53, 7 // 2.0, -7 % 3.5, 1e308 * 10, -(0/0), math.tointeger(3.0))
for i = -20, 20 do print(i, math.fmod(i, 3), i // 3, i / 7, 2^i, math.log(math.abs(i) + 0.5), math.floor(i / 3), math.ult(i, 3)) end
`;

const numpy = `
import numpy as np
print(np.__version__)
rng = np.random.default_rng(3)
a = rng.standard_normal((24, 24)); b = rng.standard_normal(24)
def show(name, x): print(name, np.asarray(x).tobytes().hex()[:400], np.asarray(x).dtype, np.asarray(x).shape)
show('dot', a @ a.T); show('solve', np.linalg.solve(a, b)); show('inv', np.linalg.inv(a)); show('svd', np.linalg.svd(a)[1])
show('eig', np.linalg.eigvalsh(a + a.T)); show('fft', np.fft.fft(b)); show('sort', np.sort(a, axis=None)); show('cumsum', np.cumsum(a))
for t in ('float16', 'float32', 'float64', 'int8', 'uint8', 'int16', 'int32', 'int64', 'complex64'):
    x = (a * 50).astype(t); show(t, x + x); show(t, x * x); show(t, x - 3 * x); show(t, np.abs(x))
    if t.startswith('f'):
        for f in (np.sqrt, np.exp, np.log, np.sin, np.tanh, np.floor, np.rint, np.reciprocal, np.maximum.accumulate):
            with np.errstate(all='ignore'): show(t + f.__name__, f(x))
with np.errstate(all='ignore'): show('special', np.array([1, -1, 0, np.nan, np.inf], 'f4') / np.array([0, 0, 0, 1, np.inf], 'f4'))
try:
    with np.errstate(all='raise'): np.float64(1) / np.zeros(2)
except FloatingPointError as e: print(e)
for kind in ('over', 'under', 'invalid'):
    with np.errstate(**{kind: 'raise'}):
        try: print({'over': lambda: np.float64(1e300) * np.array([1e300]), 'under': lambda: np.array([1e-300]) * 1e-300, 'invalid': lambda: np.array([np.inf]) - np.inf}[kind]())
        except FloatingPointError as e: print(kind, e)
`;

const each = (values: readonly string[], line: (value: string, index: number) => string): string =>
  values.map(line).join('\n');

export const codecCases: readonly CodecCase[] = [
  {
    name: 'openssl',
    packages: ['openssl'],
    files: { t: text, key },
    ci: true,
    commands: `${each(['md5', 'sha1', 'sha256', 'sha512', 'sha3-256', 'blake2s256', 'sm3'], (d) => `openssl dgst -${d} t`)}
${each(['aes-128-cbc', 'aes-128-ctr', 'aes-128-cfb', 'camellia-128-cbc'], (c) => `openssl enc -${c} ${aesKey} -in t -out ${c}`)}
openssl enc -aes-256-ctr -pbkdf2 -S 0102030405060708 -pass pass:x -in t -out ctr
openssl enc -chacha20 -K 000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f -iv 101112131415161718191a1b1c1d1e1f -in t -out chacha
openssl dgst -sha256 -sign key -out signature t
openssl dgst -sha256 -mac poly1305 -macopt hexkey:000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f t
openssl rsa -in key -check -noout
openssl prime 1000000007
openssl mac -cipher AES-128-CBC -macopt hexkey:000102030405060708090a0b0c0d0e0f -in t CMAC
openssl mac -cipher AES-128-GCM -macopt hexkey:000102030405060708090a0b0c0d0e0f -macopt hexiv:00112233445566778899aabb -in t GMAC`,
  },
  {
    name: 'libjpeg-turbo',
    packages: ['libjpeg-turbo-progs'],
    files: picture,
    ci: true,
    commands: each(
      ['-quality 85', '-quality 40 -progressive', '-dct float', '-dct fast -sample 1x1', '-arithmetic -grayscale'],
      (options, i) => `cjpeg ${options} -outfile ${i}.jpg in.ppm
djpeg -bmp -outfile ${i}.bmp ${i}.jpg
djpeg -fast -scale 3/8 -outfile ${i}s.ppm ${i}.jpg
djpeg -dct fast -nosmooth -outfile ${i}f.ppm ${i}.jpg
jpegtran -rotate 90 -outfile ${i}r.jpg ${i}.jpg`,
    ),
  },
  {
    name: 'webp',
    packages: ['webp'],
    files: picture,
    commands: each(
      ['-q 75', '-q 20 -m 6 -sharp_yuv', '-lossless -m 3', '-near_lossless 60'],
      (options, i) => `cwebp -quiet ${options} in.ppm -o ${i}.webp
dwebp -quiet ${i}.webp -ppm -o ${i}.ppm
dwebp -quiet -scale 100 70 ${i}.webp -ppm -o ${i}s.ppm`,
    ),
  },
  {
    name: 'flac',
    packages: ['flac'],
    files: sound,
    ci: true,
    commands: each(
      ['-0', '-5', '-8 -e'],
      (options, i) => `flac -s ${options} -f -o ${i}.flac in.wav\nflac -s -d -f -o ${i}.wav ${i}.flac`,
    ),
  },
  {
    name: 'lame',
    packages: ['lame'],
    files: sound,
    commands: each(
      ['-b 128', '-V 2', '-m m -q 0 --abr 90'],
      (options, i) => `lame --quiet ${options} in.wav ${i}.mp3\nlame --quiet --decode ${i}.mp3 ${i}.wav`,
    ),
  },
  {
    name: 'opus-tools',
    packages: ['opus-tools'],
    files: sound,
    commands: each(
      ['--bitrate 96', '--bitrate 24 --speech', '--bitrate 160 --cvbr'],
      (options, i) => `opusenc --quiet --serial 1 ${options} in.wav ${i}.opus
opusdec --quiet --no-dither ${i}.opus ${i}.wav
opusdec --quiet --float --rate 48000 ${i}.opus ${i}f.wav`,
    ),
  },
  {
    name: 'sox',
    packages: ['sox'],
    files: sound,
    commands: `sox -D -R in.wav a.wav rate -h 22050
sox -D -R in.wav b.wav reverb 40 equalizer 800 1q 6 compand 0.1,0.3 -60,-40,-10
sox -D in.wav -n stat
sox -D in.wav -e floating-point -b 64 c.wav tempo 1.3 pitch 200
sox -D in.wav -e u-law d.wav channels 1`,
  },
  {
    name: 'python',
    packages: ['python3-minimal', 'libpython3-stdlib'],
    files: { 't.py': python },
    commands: 'python3 t.py',
  },
  { name: 'numpy', packages: ['python3-numpy'], files: { 't.py': numpy }, commands: 'python3 t.py' },
  { name: 'lua', packages: ['lua5.4'], files: { 't.lua': lua }, ci: true, commands: 'lua5.4 t.lua' },
  {
    name: 'x265',
    packages: ['x265'],
    files: { 'in.yuv': Buffer.concat(Array.from({ length: 4 }, (_, i) => ppm(96, 64 + 32 * (i & 1)).subarray(-9216))) },
    commands:
      'x265 --input in.yuv --input-res 96x64 --fps 25 --preset veryfast --no-info --pools none --frame-threads 1 --log-level none -o a.hevc',
  },
];
