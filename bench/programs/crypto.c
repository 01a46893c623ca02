/* The cryptographic instructions of ARMv8: AES-128 in counter mode, GHASH's product, SHA-1, SHA-256, by KERNEL. */
#include <arm_neon.h>
#include "runtime.h"

enum { BYTES = 16384 };

static u8 data[BYTES] __attribute__((aligned(16)));

static NOINLINE void aes_counter(u8 *to, const uint8x16_t keys[11], u32 counter, u32 blocks) {
  for (u32 i = 0; i < blocks; i++, to += 16) {
    uint8x16_t state = vreinterpretq_u8_u32(vdupq_n_u32(counter + i));
    for (int round = 0; round < 9; round++) state = vaesmcq_u8(vaeseq_u8(state, keys[round]));
    state = veorq_u8(vaeseq_u8(state, keys[9]), keys[10]);
    vst1q_u8(to, veorq_u8(vld1q_u8(to), state));
  }
}

static NOINLINE void ghash(u8 *to, const u8 *from, u32 blocks) {
  uint64x2_t sum = vreinterpretq_u64_u8(vld1q_u8(to));
  poly64_t key = 0x87a1b2c3d4e5f607ull;
  for (u32 i = 0; i < blocks; i++, from += 16) {
    uint64x2_t x = veorq_u64(sum, vreinterpretq_u64_u8(vld1q_u8(from)));
    uint64x2_t low = vreinterpretq_u64_p128(vmull_p64((poly64_t)vgetq_lane_u64(x, 0), key));
    uint64x2_t high = vreinterpretq_u64_p128(vmull_p64((poly64_t)vgetq_lane_u64(x, 1), key));
    sum = veorq_u64(low, vextq_u64(high, high, 1));
  }
  vst1q_u8(to, vreinterpretq_u8_u64(sum));
}

static NOINLINE void sha1(u32 *state, const u8 *from, u32 blocks) {
  uint32x4_t abcd = vld1q_u32(state);
  u32 e = state[4];
  for (u32 i = 0; i < blocks; i++, from += 64) {
    uint32x4_t m[4], first = abcd;
    u32 first_e = e;
    for (int k = 0; k < 4; k++) m[k] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(from + 16 * k)));
    for (int round = 0; round < 20; round++) {
      uint32x4_t w = vaddq_u32(m[0], vdupq_n_u32(0x5a827999 + round / 5));
      u32 next = vsha1h_u32(vgetq_lane_u32(abcd, 0));
      if (round < 5) abcd = vsha1cq_u32(abcd, e, w);
      else if (round >= 10 && round < 15) abcd = vsha1mq_u32(abcd, e, w);
      else abcd = vsha1pq_u32(abcd, e, w);
      e = next;
      uint32x4_t fresh = vsha1su1q_u32(vsha1su0q_u32(m[0], m[1], m[2]), m[3]);
      m[0] = m[1], m[1] = m[2], m[2] = m[3], m[3] = fresh;
    }
    abcd = vaddq_u32(abcd, first);
    e += first_e;
  }
  vst1q_u32(state, abcd);
  state[4] = e;
}

static NOINLINE void sha256(u32 *state, const u8 *from, u32 blocks) {
  uint32x4_t abcd = vld1q_u32(state), efgh = vld1q_u32(state + 4);
  for (u32 i = 0; i < blocks; i++, from += 64) {
    uint32x4_t m[4], first = abcd, second = efgh;
    for (int k = 0; k < 4; k++) m[k] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(from + 16 * k)));
    for (int round = 0; round < 16; round++) {
      uint32x4_t w = vaddq_u32(m[0], vdupq_n_u32(0x428a2f98 + round)), old = abcd;
      abcd = vsha256hq_u32(abcd, efgh, w);
      efgh = vsha256h2q_u32(efgh, old, w);
      uint32x4_t fresh = vsha256su1q_u32(vsha256su0q_u32(m[0], m[1]), m[2], m[3]);
      m[0] = m[1], m[1] = m[2], m[2] = m[3], m[3] = fresh;
    }
    abcd = vaddq_u32(abcd, first);
    efgh = vaddq_u32(efgh, second);
  }
  vst1q_u32(state, abcd);
  vst1q_u32(state + 4, efgh);
}

void run(void) {
  u32 seed = 1, state[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  for (u32 i = 0; i < BYTES; i++) data[i] = next_random(&seed) >> 16;
  u32 hash = 0;
#if KERNEL == 0
  uint8x16_t keys[11];
  for (int i = 0; i < 11; i++) keys[i] = vld1q_u8(data + 16 * i);
  for (int i = 0; i < 1500 * SCALE; i++) aes_counter(data, keys, i * 1024, BYTES / 16);
#elif KERNEL == 1
  for (int i = 0; i < 3000 * SCALE; i++) ghash(data, data + 16, BYTES / 16 - 1);
#elif KERNEL == 2
  for (int i = 0; i < 1500 * SCALE; i++) sha1(state, data, BYTES / 64);
#elif KERNEL == 3
  for (int i = 0; i < 1500 * SCALE; i++) sha256(state, data, BYTES / 64);
#endif
  for (u32 i = 0; i < BYTES; i += 4) hash = (hash ^ *(u32 *)(data + i)) * 0x01000193;
  for (int i = 0; i < 8; i++) hash = (hash ^ state[i]) * 0x01000193;
  print_hex(hash);
}
