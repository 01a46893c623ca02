/* Doubly recursive Fibonacci numbers: nothing but calls and returns. */
#include "runtime.h"

#if defined(__wasm__)
#define KEEP(value) (void)(value)
#else
/* Hides the value, so that the recursion is not turned into a loop. */
#define KEEP(value) asm volatile("" : "+r"(value))
#endif

static NOINLINE i32 fibonacci(i32 n) {
  if (n < 2) return n;
  i32 first = fibonacci(n - 1);
  KEEP(first);
  i32 second = fibonacci(n - 2);
  KEEP(second);
  return first + second;
}

void run(void) {
  u32 sum = 0;
  for (int i = 0; i < 3 * SCALE; i++) sum = sum * 3 + fibonacci(35);
  print_hex(sum);
}
