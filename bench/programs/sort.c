/* Quicksort through a comparison pointer, and a sieve of Eratosthenes: calls and long strides over memory. */
#include "runtime.h"

enum { COUNT = 200000, LIMIT = 1000000 };

static i32 numbers[COUNT];
static u8 composite[LIMIT];

typedef int comparison(const i32 *, const i32 *);

static NOINLINE int ascending(const i32 *a, const i32 *b) { return *a < *b ? -1 : *a > *b; }

static comparison *volatile chosen = ascending;

static NOINLINE void quicksort(i32 *v, int low, int high, comparison *compare) {
  while (low < high) {
    int i = low, j = high;
    i32 pivot = v[low + (high - low) / 2];
    while (i <= j) {
      while (compare(&v[i], &pivot) < 0) i++;
      while (compare(&v[j], &pivot) > 0) j--;
      if (i > j) break;
      i32 swapped = v[i];
      v[i++] = v[j];
      v[j--] = swapped;
    }
    if (j - low < high - i) {
      quicksort(v, low, j, compare);
      low = i;
    } else {
      quicksort(v, i, high, compare);
      high = j;
    }
  }
}

static NOINLINE int count_primes(int limit) {
  int primes = 0;
  for (int i = 0; i < limit; i++) composite[i] = 0;
  for (int i = 2; i < limit; i++) {
    if (composite[i]) continue;
    primes++;
    for (int multiple = 2 * i; multiple < limit; multiple += i) composite[multiple] = 1;
  }
  return primes;
}

void run(void) {
  u32 random = 1, hash = 0;
  for (int round = 0; round < 7 * SCALE; round++) {
    for (int i = 0; i < COUNT; i++) numbers[i] = next_random(&random) >> 3;
    quicksort(numbers, 0, COUNT - 1, chosen);
    for (int i = 0; i < COUNT; i += 997) hash = hash * 31 + numbers[i];
    for (int k = 0; k < 6; k++) hash += count_primes(LIMIT - k);
  }
  print_hex(hash);
}
