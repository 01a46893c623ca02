/* C strings the plain way, a byte at a time: length, copy, compare, hash, upper case. */
#include "runtime.h"

enum { LENGTH = 4096 };

static char source[LENGTH], copied[LENGTH], scratch[LENGTH];

static NOINLINE u32 length_of(const char *s) {
  const char *end = s;
  while (*end) end++;
  return end - s;
}

static NOINLINE void copy_string(char *to, const char *from) {
  while ((*to++ = *from++)) {
  }
}

static NOINLINE int compare_strings(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return (u8)*a - (u8)*b;
}

static NOINLINE u32 hash_of(const char *s) {
  u32 hash = 5381;
  while (*s) hash = hash * 33 ^ (u8)*s++;
  return hash;
}

static NOINLINE void upper_case(char *to, const char *from) {
  for (; *from; from++) *to++ = *from >= 'a' && *from <= 'z' ? *from - 32 : *from;
  *to = 0;
}

static NOINLINE void copy_bytes(char *to, const char *from, u32 n) {
  while (n-- > 0) *to++ = *from++;
}

void run(void) {
  u32 sum = 0;
  for (int i = 0; i < 4000; i++) source[i] = (i % 3 ? 'a' : 'C') + i * 7 % 23;
  for (int round = 0; round < 26000 * SCALE; round++) {
    int offset = round & 63;
    copy_string(copied, source + offset);
    sum += length_of(copied);
    copy_bytes(scratch, copied, 2000);
    sum += compare_strings(copied, source + offset);
    sum ^= hash_of(scratch + offset);
    upper_case(scratch, copied + (round & 7));
    sum += scratch[round % 500];
  }
  print_hex(sum);
}
