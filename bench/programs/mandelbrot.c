/* Double precision without memory: the Mandelbrot set. */
#include "runtime.h"

static NOINLINE u32 mandelbrot(int size, int limit) {
  u32 steps = 0;
  for (int row = 0; row < size; row++)
    for (int column = 0; column < size; column++) {
      double cr = 2.0 * column / size - 1.5, ci = 2.0 * row / size - 1.0, zr = 0, zi = 0;
      for (int i = 0; i < limit; i++, steps++) {
        double r2 = zr * zr, i2 = zi * zi;
        if (r2 + i2 > 4.0) break;
        zi = 2 * zr * zi + ci;
        zr = r2 - i2 + cr;
      }
    }
  return steps;
}

void run(void) {
  for (int i = 0; i < SCALE; i++) print_hex(mandelbrot(1200 + i, 120));
}
