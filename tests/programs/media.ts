import type { ProgramCase } from './case.ts';

const base = ['coreutils', 'dash'];

/** Programs for pictures, sound and numbers. Their bytes are compared with qemu-arm's in tests/codecs/. */
export const mediaCases: ProgramCase[] = [
  {
    name: 'ffmpeg',
    packages: ['ffmpeg', ...base],
    script: `export LD_LIBRARY_PATH=/usr/lib/$TRIPLET/pulseaudio:/usr/lib/$TRIPLET/blas:/usr/lib/$TRIPLET/lapack
ffmpeg -v error -f lavfi -i testsrc=d=1:s=96x64:r=5 -f lavfi -i sine=d=1 -c:v mpeg4 -threads 2 -c:a aac -shortest x.mkv; ffprobe -v error -show_entries stream=codec_name,width -of csv=p=0 x.mkv; ffmpeg -v error -i x.mkv -an -f framecrc - | grep -vc '#'`,
    expected: 'mpeg4,96\naac\n5\n',
    timeout: 180,
  },
  {
    name: 'imagemagick',
    packages: ['imagemagick', ...base],
    script: `convert -size 64x48 gradient:red-blue -resize 50% -blur 0x2 -rotate 90 x.png; identify -format '%m %wx%h\\n' x.png; convert x.png -quality 90 x.jpg; convert x.jpg -colorspace Gray -format '%[fx:mean > 0.1]\\n' info:`,
    expected: 'PNG 24x32\n1\n',
    timeout: 120,
  },
  {
    name: 'graphviz',
    packages: ['graphviz', ...base],
    script: `echo 'digraph { a -> b -> c; a -> c }' | dot -Kdot -Tplain 2> log | grep -c '^edge'; cat log | grep -v Warning`,
    expected: /^3\n/,
  },
  {
    name: 'gnuplot',
    packages: ['gnuplot-nox', ...base],
    script: `gnuplot -e 'set terminal dumb 40 12; plot sin(x) notitle' | grep -c '\\*'; gnuplot -e 'print gamma(5), besj0(1.0), 2**0.5'`,
    expected: /^\d+\n24\.?0? 0\.765197\d* 1\.414213\d*\n$/,
  },
  {
    name: 'ghostscript',
    packages: ['ghostscript', ...base],
    files: { 'a.ps': '%!\n/x 6 7 mul def x = 2 sqrt = 100 100 moveto 200 0 rlineto 10 setlinewidth stroke showpage\n' },
    script: `gs -q -dSAFER -dBATCH -dNOPAUSE -sDEVICE=pgmraw -r20 -o o.pgm a.ps; head -c 2 o.pgm; echo; od -An -v -tu1 o.pgm | tr -s ' ' '\\n' | grep -cx 0`,
    expected: /^42\n1\.41421354\nP5\n[1-9]\d*\n$/,
    timeout: 120,
  },
  {
    name: 'pari-gp',
    packages: ['pari-gp', ...base],
    script: `echo 'print(factor(2^101-1)); print(zeta(3)); print(ellap(ellinit([0,0,1,-1,0]),10007)); print(matdet(mathilbert(8)))' | gp -q -f`,
    expected:
      /^\[7432339208719, 1; 341117531003194129, 1\]\n1\.2020569031595942853997381615114499907\d*\n-?\d+\n1\/\d+\n$/,
  },
  {
    name: 'R',
    packages: ['r-base-core', 'grep', 'sed', ...base],
    script: `export R_HOME=/usr/lib/R LD_LIBRARY_PATH=/usr/lib/$TRIPLET/blas:/usr/lib/$TRIPLET/lapack:/usr/lib/R/lib; R_DEFAULT_PACKAGES=base,stats,methods,utils /usr/lib/R/bin/exec/R --vanilla --no-echo -e 'cat(sum(1:100), sd(c(1, 2, 4)), "\\n"); x <- 1:10; print(coef(lm(c(3, 5, 7, 9, 11, 13, 15, 17, 19, 21) ~ x))); set.seed(1); cat(runif(2), rnorm(1), "\\n"); print(solve(matrix(c(2, 1, 1, 3), 2)))'`,
    expected: /^5050 1.527525 \n\(Intercept\) +x \n +1 +2 \n0.2655087 0.3721239 \S+ \n(.*\n){3}$/,
    timeout: 180,
  },
  {
    name: 'python3-scipy',
    packages: ['python3-scipy'],
    script: `export LD_LIBRARY_PATH=/usr/lib/$TRIPLET/blas:/usr/lib/$TRIPLET/lapack; python3 -c 'import numpy as np
from scipy import integrate, optimize, linalg, special, sparse
print(round(integrate.quad(np.sin, 0, np.pi)[0], 12), optimize.brentq(lambda x: x * x - 2, 0, 2).__round__(9), special.gamma(4.5).round(9), linalg.expm(np.zeros((2, 2))).tolist(), sparse.eye(3).sum())'`,
    expected: '2.0 1.414213562 11.631728397 [[1.0, 0.0], [0.0, 1.0]] 3.0\n',
    timeout: 120,
  },
];
