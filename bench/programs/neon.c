/* Kernels as libraries write them with NEON intrinsics, one of them by KERNEL: see the numbers below. */
#include <arm_neon.h>
#include "runtime.h"

enum { BYTES = 65536 };

static u8 source[BYTES + 64] __attribute__((aligned(16)));
static u8 second[BYTES + 64] __attribute__((aligned(16)));
static u8 target[4 * BYTES] __attribute__((aligned(16)));

static u32 hash_of(const u8 *p, u32 length) {
  u32 hash = 0x811c9dc5;
  for (u32 i = 0; i < length; i += 4) hash = (hash ^ *(const u32 *)(p + i)) * 0x01000193;
  return hash;
}

static NOINLINE void copy(u8 *to, const u8 *from, u32 length) {
  for (u32 i = 0; i < length; i += 64) {
    uint8x16_t a = vld1q_u8(from + i), b = vld1q_u8(from + i + 16);
    uint8x16_t c = vld1q_u8(from + i + 32), d = vld1q_u8(from + i + 48);
    vst1q_u8(to + i, a);
    vst1q_u8(to + i + 16, b);
    vst1q_u8(to + i + 32, c);
    vst1q_u8(to + i + 48, d);
  }
}

static NOINLINE void saxpy(float *y, const float *x, float a, u32 count) {
  for (u32 i = 0; i < count; i += 8) {
    vst1q_f32(y + i, vmlaq_n_f32(vld1q_f32(y + i), vld1q_f32(x + i), a));
    vst1q_f32(y + i + 4, vmlaq_n_f32(vld1q_f32(y + i + 4), vld1q_f32(x + i + 4), a));
  }
}

/* YCbCr to RGB in 8-bit pixels, BT.601 with coefficients of 6 bits. */
static NOINLINE void yuv_to_rgb(u8 *rgb, const u8 *y, const u8 *u, const u8 *v, u32 count) {
  for (u32 i = 0; i < count; i += 8, rgb += 24) {
    int16x8_t luma = vreinterpretq_s16_u16(vmulq_n_u16(vmovl_u8(vqsub_u8(vld1_u8(y + i), vdup_n_u8(16))), 74));
    int16x8_t cb = vsubq_s16(vreinterpretq_s16_u16(vmovl_u8(vld1_u8(u + i))), vdupq_n_s16(128));
    int16x8_t cr = vsubq_s16(vreinterpretq_s16_u16(vmovl_u8(vld1_u8(v + i))), vdupq_n_s16(128));
    int16x8_t red = vqaddq_s16(luma, vmulq_n_s16(cr, 102));
    int16x8_t green = vqsubq_s16(vqsubq_s16(luma, vmulq_n_s16(cb, 25)), vmulq_n_s16(cr, 52));
    int16x8_t blue = vqaddq_s16(luma, vmulq_n_s16(cb, 129));
    uint8x8x3_t pixels = {{vqrshrun_n_s16(red, 6), vqrshrun_n_s16(green, 6), vqrshrun_n_s16(blue, 6)}};
    vst3_u8(rgb, pixels);
  }
}

/* One pass of an 8-point DCT (Loeffler's shape) on eight columns; coefficients of 13 bits. */
static inline int16x8_t scaled(int16x8_t a, int16_t x, int16x8_t b, int16_t y) {
  int32x4_t low = vmlal_n_s16(vmull_n_s16(vget_low_s16(a), x), vget_low_s16(b), y);
  int32x4_t high = vmlal_n_s16(vmull_n_s16(vget_high_s16(a), x), vget_high_s16(b), y);
  return vcombine_s16(vrshrn_n_s32(low, 13), vrshrn_n_s32(high, 13));
}

static inline void dct_pass(int16x8_t r[8]) {
  int16x8_t s0 = vaddq_s16(r[0], r[7]), d0 = vsubq_s16(r[0], r[7]);
  int16x8_t s1 = vaddq_s16(r[1], r[6]), d1 = vsubq_s16(r[1], r[6]);
  int16x8_t s2 = vaddq_s16(r[2], r[5]), d2 = vsubq_s16(r[2], r[5]);
  int16x8_t s3 = vaddq_s16(r[3], r[4]), d3 = vsubq_s16(r[3], r[4]);
  int16x8_t e0 = vaddq_s16(s0, s3), e1 = vaddq_s16(s1, s2);
  int16x8_t f0 = vsubq_s16(s0, s3), f1 = vsubq_s16(s1, s2);
  r[0] = vaddq_s16(e0, e1);
  r[4] = vsubq_s16(e0, e1);
  r[2] = scaled(f0, 10703, f1, 4433);
  r[6] = scaled(f0, 4433, f1, -10703);
  int16x8_t a = scaled(d0, 11363, d3, 2260), b = scaled(d0, -2260, d3, 11363);
  int16x8_t c = scaled(d1, 9633, d2, 6437), d = scaled(d1, -6437, d2, 9633);
  r[1] = vaddq_s16(a, c);
  r[7] = vsubq_s16(b, d);
  r[3] = vqrdmulhq_n_s16(vsubq_s16(a, c), 23170);
  r[5] = vqrdmulhq_n_s16(vaddq_s16(b, d), 23170);
}

static inline void transpose(int16x8_t r[8]) {
  int16x8x2_t a = vtrnq_s16(r[0], r[1]), b = vtrnq_s16(r[2], r[3]);
  int16x8x2_t c = vtrnq_s16(r[4], r[5]), d = vtrnq_s16(r[6], r[7]);
  for (int i = 0; i < 2; i++) {
    int32x4x2_t p = vtrnq_s32(vreinterpretq_s32_s16(a.val[i]), vreinterpretq_s32_s16(b.val[i]));
    int32x4x2_t q = vtrnq_s32(vreinterpretq_s32_s16(c.val[i]), vreinterpretq_s32_s16(d.val[i]));
    for (int k = 0; k < 2; k++) {
      int16x8_t u = vreinterpretq_s16_s32(p.val[k]), v = vreinterpretq_s16_s32(q.val[k]);
      r[i + 2 * k] = vcombine_s16(vget_low_s16(u), vget_low_s16(v));
      r[i + 2 * k + 4] = vcombine_s16(vget_high_s16(u), vget_high_s16(v));
    }
  }
}

static NOINLINE void dct(int16_t *blocks, const u8 *pixels, u32 count) {
  for (u32 block = 0; block < count; block++, blocks += 64, pixels += 64) {
    int16x8_t r[8];
    for (int i = 0; i < 8; i++)
      r[i] = vsubq_s16(vreinterpretq_s16_u16(vmovl_u8(vld1_u8(pixels + 8 * i))), vdupq_n_s16(128));
    dct_pass(r);
    transpose(r);
    dct_pass(r);
    for (int i = 0; i < 8; i++) vst1q_s16(blocks + 8 * i, vrshrq_n_s16(r[i], 3));
  }
}

/* Source over target, RGBA with the alpha last: t + (s - t)·a / 255. */
static NOINLINE void blend(u8 *to, const u8 *from, u32 count) {
  for (u32 i = 0; i < count; i += 8, to += 32, from += 32) {
    uint8x8x4_t s = vld4_u8(from), t = vld4_u8(to);
    uint8x8_t inverse = vmvn_u8(s.val[3]);
    for (int k = 0; k < 4; k++) {
      uint16x8_t sum = vmlal_u8(vmull_u8(s.val[k], s.val[3]), t.val[k], inverse);
      t.val[k] = vraddhn_u16(sum, vrshrq_n_u16(sum, 8));
    }
    vst4_u8(to, t);
  }
}

/* SHA-256 with the message schedule four words at a time and the rounds in core registers. */
static const u32 constants[64] __attribute__((aligned(16))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

#define ROTATED(x, n) vorrq_u32(vshrq_n_u32(x, n), vshlq_n_u32(x, 32 - n))
#define ROTATED2(x, n) vorr_u32(vshr_n_u32(x, n), vshl_n_u32(x, 32 - n))

static inline u32 turned(u32 x, int n) { return x >> n | x << (32 - n); }

static inline uint32x2_t sigma1(uint32x2_t x) {
  return veor_u32(veor_u32(ROTATED2(x, 17), ROTATED2(x, 19)), vshr_n_u32(x, 10));
}

static NOINLINE void sha256(u32 state[8], const u8 *data, u32 blocks) {
  u32 w[64] __attribute__((aligned(16)));
  for (; blocks > 0; blocks--, data += 64) {
    uint32x4_t m[4];
    for (int i = 0; i < 4; i++) {
      m[i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(data + 16 * i)));
      vst1q_u32(w + 4 * i, vaddq_u32(m[i], vld1q_u32(constants + 4 * i)));
    }
    for (int i = 16; i < 64; i += 4) {
      uint32x4_t x = vextq_u32(m[0], m[1], 1);
      uint32x4_t s = veorq_u32(veorq_u32(ROTATED(x, 7), ROTATED(x, 18)), vshrq_n_u32(x, 3));
      uint32x4_t sum = vaddq_u32(vaddq_u32(m[0], s), vextq_u32(m[2], m[3], 1));
      uint32x2_t low = vadd_u32(vget_low_u32(sum), sigma1(vget_high_u32(m[3])));
      uint32x2_t high = vadd_u32(vget_high_u32(sum), sigma1(low));
      m[0] = m[1];
      m[1] = m[2];
      m[2] = m[3];
      m[3] = vcombine_u32(low, high);
      vst1q_u32(w + i, vaddq_u32(m[3], vld1q_u32(constants + i)));
    }
    u32 a = state[0], b = state[1], c = state[2], d = state[3];
    u32 e = state[4], f = state[5], g = state[6], h = state[7];
    for (int i = 0; i < 64; i++) {
      u32 t = h + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + (g ^ (e & (f ^ g))) + w[i];
      u32 u = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + ((a & b) | (c & (a | b)));
      h = g, g = f, f = e, e = d + t, d = c, c = b, b = a, a = t + u;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;
  }
}

void run(void) {
  u32 seed = 1;
  for (u32 i = 0; i < BYTES; i++) source[i] = next_random(&seed) >> 16, second[i] = next_random(&seed) >> 16;
  copy(target, second, BYTES);
#if KERNEL == 0
  for (int i = 0; i < 60000 * SCALE; i++) copy(target + 16 * (i & 7), source, BYTES);
#elif KERNEL == 1
  static float x[4096], y[4096];
  for (int i = 0; i < 4096; i++) x[i] = (source[i] - 128) / 16.0f, y[i] = second[i];
  for (int i = 0; i < 8000 * SCALE; i++) saxpy(y, x, 0.5f - (i & 1), 4096);
  copy(target, (const u8 *)y, sizeof y);
#elif KERNEL == 2
  u32 state[16] = {1, 2, 3, 4, 5, 6, 7, 8};
  for (int i = 0; i < 250 * SCALE; i++) sha256(state, source, BYTES / 64);
  copy(target, (const u8 *)state, 64);
#elif KERNEL == 3
  for (int i = 0; i < 1500 * SCALE; i++) yuv_to_rgb(target, source, second, source + (i & 7), BYTES);
#elif KERNEL == 4
  for (int i = 0; i < 1500 * SCALE; i++) dct((int16_t *)target, source + (i & 7) * 8, BYTES / 64 - 1);
#elif KERNEL == 5
  for (int i = 0; i < 5000 * SCALE; i++) blend(target, source, BYTES / 4);
#endif
  print_hex(hash_of(target, BYTES));
}
