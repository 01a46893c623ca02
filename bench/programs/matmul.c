/* Double precision: products of matrices, row by row (the inner loop runs along rows: no strided access). */
#include "runtime.h"

enum { N = 192 };

static double a[N][N], b[N][N], c[N][N];

static NOINLINE void multiply(void) {
  for (int i = 0; i < N; i++) {
    for (int j = 0; j < N; j++) c[i][j] = 0;
    for (int k = 0; k < N; k++) {
      double scale = a[i][k];
      for (int j = 0; j < N; j++) c[i][j] += scale * b[k][j];
    }
  }
}

/* The same with the sum in a register, along a column. */
static NOINLINE double trace(void) {
  double sum = 0;
  for (int i = 0; i < N; i++) {
    double entry = 0;
    for (int k = 0; k < N; k++) entry += a[i][k] * c[k][i];
    sum += entry;
  }
  return sum;
}

void run(void) {
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) {
      a[i][j] = (i * 7 + j * 13) % 101 / 64.0;
      b[i][j] = (i * 5 - j * 3) % 97 / 128.0;
    }
  double sum = 0;
  for (int round = 0; round < 24 * SCALE; round++) {
    multiply();
    sum += trace();
    a[round % N][(round * 3) % N] += 0.25;
  }
  union {
    double value;
    u32 words[2];
  } bits = {sum};
  print_hex(bits.words[0]);
  print_hex(bits.words[1]);
}
