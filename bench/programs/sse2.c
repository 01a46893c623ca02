/* Kernels as libraries write them with SSE2 intrinsics, one of them by KERNEL: see the numbers below. */
#include <emmintrin.h>
#include "runtime.h"

enum { BYTES = 65536 };

static u8 source[BYTES + 64] __attribute__((aligned(16)));
static u8 second[BYTES + 64] __attribute__((aligned(16)));
static u8 target[BYTES + 256] __attribute__((aligned(16)));

static __m128i load(const u8 *p) { return _mm_loadu_si128((const __m128i *)p); }
static void store(u8 *p, __m128i value) { _mm_storeu_si128((__m128i *)p, value); }

static u32 hash_of(const u8 *p, u32 length) {
  u32 hash = 0x811c9dc5;
  for (u32 i = 0; i < length; i += 4) hash = (hash ^ *(const u32 *)(p + i)) * 0x01000193;
  return hash;
}

static NOINLINE void copy(u8 *to, const u8 *from, u32 length) {
  for (u32 i = 0; i < length; i += 64) {
    __m128i a = load(from + i), b = load(from + i + 16), c = load(from + i + 32), d = load(from + i + 48);
    store(to + i, a);
    store(to + i + 16, b);
    store(to + i + 32, c);
    store(to + i + 48, d);
  }
}

/* Sum of absolute differences, as motion estimation has it. */
static NOINLINE u32 sad(const u8 *a, const u8 *b, u32 length) {
  __m128i sum = _mm_setzero_si128();
  for (u32 i = 0; i < length; i += 32) {
    sum = _mm_add_epi64(sum, _mm_sad_epu8(load(a + i), load(b + i)));
    sum = _mm_add_epi64(sum, _mm_sad_epu8(load(a + i + 16), load(b + i + 16)));
  }
  return _mm_cvtsi128_si32(_mm_add_epi64(sum, _mm_srli_si128(sum, 8)));
}

/* |a - b| of bytes. */
static NOINLINE void difference(u8 *to, const u8 *a, const u8 *b, u32 length) {
  for (u32 i = 0; i < length; i += 16) {
    __m128i x = load(a + i), y = load(b + i);
    store(to + i, _mm_or_si128(_mm_subs_epu8(x, y), _mm_subs_epu8(y, x)));
  }
}

/* (a * alpha + b * (255 - alpha) + 128) / 256 of bytes. */
static __m128i blend_words(__m128i a, __m128i b, __m128i alpha, __m128i rest) {
  __m128i sum = _mm_add_epi16(_mm_mullo_epi16(a, alpha), _mm_mullo_epi16(b, rest));
  return _mm_srli_epi16(_mm_add_epi16(sum, _mm_set1_epi16(128)), 8);
}

static NOINLINE void blend(u8 *to, const u8 *a, const u8 *b, int alpha, u32 length) {
  __m128i zero = _mm_setzero_si128(), weight = _mm_set1_epi16(alpha), rest = _mm_set1_epi16(255 - alpha);
  for (u32 i = 0; i < length; i += 16) {
    __m128i x = load(a + i), y = load(b + i);
    __m128i low = blend_words(_mm_unpacklo_epi8(x, zero), _mm_unpacklo_epi8(y, zero), weight, rest);
    __m128i high = blend_words(_mm_unpackhi_epi8(x, zero), _mm_unpackhi_epi8(y, zero), weight, rest);
    store(to + i, _mm_packus_epi16(low, high));
  }
}

void run(void) {
  u32 seed = 1, sum = 0;
  for (u32 i = 0; i < BYTES; i++) source[i] = next_random(&seed) >> 16, second[i] = next_random(&seed) >> 16;
  copy(target, second, BYTES);
#if KERNEL == 0
  for (int i = 0; i < 60000 * SCALE; i++) copy(target + 16 * (i & 7), source, BYTES);
#elif KERNEL == 1
  for (int i = 0; i < 30000 * SCALE; i++) sum += sad(source + (i & 7), second, BYTES);
#elif KERNEL == 2
  for (int i = 0; i < 30000 * SCALE; i++) difference(target, source + (i & 7), second, BYTES);
#elif KERNEL == 3
  for (int i = 0; i < 15000 * SCALE; i++) blend(target, source + (i & 7), second, i & 255, BYTES);
#endif
  print_hex(hash_of(target, BYTES) ^ sum);
}
