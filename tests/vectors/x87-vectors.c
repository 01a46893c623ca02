/*
 * Makes tests/vectors/x87.txt: x87 instructions on random and special operands under every rounding mode and precision,
 * masked and not, as an x86-64 processor does them. One line each: operation, control word, operands a and b (10 bytes
 * each), result (10 bytes), status word, second result; hexadecimal.
 *
 *     gcc -O1 x87-vectors.c -o x87-vectors && ./x87-vectors 120 > x87.txt
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  uint64_t m;
  uint16_t se;
} __attribute__((packed)) extended;

static uint64_t state = 88172645463325252ull;
static uint64_t rnd(void) {
  state ^= state << 13;
  state ^= state >> 7;
  return state ^= state << 17;
}
static unsigned below(unsigned n) { return (rnd() >> 11) % n; }

static uint64_t random_significand(void) {
  const uint64_t one = 1ull << 63;
  switch (below(8)) {
    case 0: return one;
    case 1: return ~0ull;
    case 2: return one | (rnd() & 0xff);
    case 3: return one | (rnd() & ~0xffffffffffull);
    case 4: return one | (rnd() & ~0x7ffull);
    case 5: return one | ((one - 1) ^ (1ull << below(63)));
    case 6: return one | (1ull << below(63));
    default: return one | rnd();
  }
}

/* Mostly numbers with an exponent within 70 of `near`. */
static extended value(int near) {
  int sign = below(2) << 15;
  const uint64_t one = 1ull << 63;
  switch (below(24)) {
    case 0: return (extended){0, sign};
    case 1: return (extended){one, sign | 0x7fff};
    case 2: return (extended){3 * (one >> 1) | rnd() >> (4 + below(60)), sign | 0x7fff};
    case 3: return (extended){one | rnd() >> (4 + below(60)), sign | 0x7fff};
    case 4: return (extended){rnd() >> (1 + below(63)), sign};
    case 5: return (extended){rnd() >> 1, sign | below(0x8000)};
    case 6: return (extended){one | rnd(), sign};
    case 7: return (extended){random_significand(), sign | below(70)};
    case 8: return (extended){random_significand(), sign | (0x7ffe - below(70))};
    case 9: return (extended){random_significand(), sign | (1 + below(0x7ffe))};
    default: return (extended){random_significand(), sign | (near + (int)below(140) - 70)};
  }
}

static uint16_t control_word(void) {
  static const int precision[] = {0, 2, 3, 3};
  int masks = below(4) ? 0x3f : 7 | below(8) << 3;
  return masks | precision[below(4)] << 8 | below(4) << 10;
}

static void print(extended e) { printf(" %04x%016llx", e.se, (unsigned long long)e.m); }

static void line(const char *op, int cw, extended a, extended b, extended r, int sw, extended r2) {
  printf("%s %x", op, cw);
  print(a);
  print(b);
  print(r);
  printf(" %x", sw);
  print(r2);
  putchar('\n');
}

#define BEGIN(centre_a, centre_b)                                \
  extended a = value(centre_a), b = value(centre_b), r = {0, 0}, r2 = {0, 0}; \
  uint16_t cw = control_word(), sw;
#define END(name) line(name, cw, a, b, r, sw, r2);
/* st(0) = a, st(1) = b; the result is st(0) afterwards. */
#define REGISTER(name, near_b, insn)                                                                                \
  {                                                                                                                 \
    BEGIN(0x3fff, near_b)                                                                                           \
    asm volatile("fninit\n fldt %3\n fldt %2\n fldcw %4\n" insn "\n fnstsw %1\n fnclex\n fstpt %0\n fninit"         \
                 : "=m"(r), "=m"(sw) : "m"(a), "m"(b), "m"(cw) : "memory");                                         \
    END(name)                                                                                                       \
  }
#define NO_RESULT(name, insn)                                                                                       \
  {                                                                                                                 \
    BEGIN(0x3fff, 0x3fff)                                                                                           \
    if (!below(4)) b = a;                                                                                           \
    asm volatile("fninit\n fldt %2\n fldt %1\n fldcw %3\n" insn "\n fnstsw %0\n fninit"                             \
                 : "=m"(sw) : "m"(a), "m"(b), "m"(cw) : "memory");                                                  \
    END(name)                                                                                                       \
  }
#define TWO(name, insn)                                                                                             \
  {                                                                                                                 \
    BEGIN(0x3fff, 0x3fff)                                                                                           \
    cw |= 0x3f;                                                                                                     \
    asm volatile("fninit\n fldt %3\n fldcw %4\n" insn "\n fnstsw %2\n fnclex\n fstpt %0\n fstpt %1\n fninit"        \
                 : "=m"(r), "=m"(r2), "=m"(sw) : "m"(a), "m"(cw) : "memory");                                       \
    END(name)                                                                                                       \
  }
#define STORE(name, near, insn)                                                                                     \
  {                                                                                                                 \
    BEGIN(near, 0x3fff)                                                                                             \
    cw |= 0x3f;                                                                                                     \
    asm volatile("fninit\n fldt %2\n fldcw %3\n" insn "\n fnstsw %1\n fninit"                                       \
                 : "=m"(r), "=m"(sw) : "m"(a), "m"(cw) : "memory");                                                 \
    END(name)                                                                                                       \
  }
#define LOAD(name, wide, insn)                                                                                      \
  {                                                                                                                 \
    BEGIN(0x3fff, 0x3fff)                                                                                           \
    cw |= 0x3f;                                                                                                     \
    uint64_t ones = wide ? 0x7ffull << 52 : 0xffull << 23;                                                          \
    a = (extended){rnd(), 0};                                                                                       \
    if (!below(4)) a.m |= ones;                                                                                     \
    else if (!below(4)) a.m &= ~ones;                                                                               \
    if (!wide) a.m = (uint32_t)a.m;                                                                                 \
    asm volatile("fninit\n fldcw %3\n" insn "\n fnstsw %1\n fnclex\n fstpt %0\n fninit"                             \
                 : "=m"(r), "=m"(sw) : "m"(a), "m"(cw) : "memory");                                                 \
    END(name)                                                                                                       \
  }

int main(int argc, char **argv) {
  static const int single[] = {0x3fff, 0x3fff - 126, 0x3fff + 104, 0x3fff - 149};
  static const int wide[] = {0x3fff, 0x3fff - 1022, 0x3fff + 1023, 0x3fff - 1074};
  for (int n = atoi(argv[1]); n > 0; n--) {
    REGISTER("add", 0x3fff, "fadd %%st(1),%%st")
    REGISTER("sub", 0x3fff, "fsub %%st(1),%%st")
    REGISTER("mul", 0x3fff, "fmul %%st(1),%%st")
    REGISTER("div", 0x3fff, "fdiv %%st(1),%%st")
    REGISTER("sqrt", 0x3fff, "fsqrt")
    REGISTER("rndint", 0x3fff, "frndint")
    REGISTER("scale", 0x3fff + 3, "fscale")
    REGISTER("prem", 0x3fff, "fprem")
    REGISTER("prem1", 0x3fff, "fprem1")
    NO_RESULT("com", "fcom %%st(1)")
    NO_RESULT("ucom", "fucom %%st(1)")
    NO_RESULT("xam", "fxam")
    TWO("xtract", "fxtract")
    STORE("st32", single[below(4)], "fstps %0")
    STORE("st64", wide[below(4)], "fstpl %0")
    STORE("ist16", 0x3fff, "fistps %0")
    STORE("ist32", 0x3fff, "fistpl %0")
    STORE("ist64", 0x3fff, "fistpll %0")
    STORE("istt32", 0x3fff, "fisttpl %0")
    STORE("bstp", 0x3fff, "fbstp %0")
    LOAD("ld32", 0, "flds %2")
    LOAD("ld64", 1, "fldl %2")
  }
  return 0;
}
