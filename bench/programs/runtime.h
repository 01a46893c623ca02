/*
 * All that the benchmark programs have of a C library: an entry point, exit, and printing a number. Freestanding, for
 * ARM (A32 and Thumb-2), i386, x86-64 and AArch64 Linux, and for WebAssembly with an imported `write`.
 *
 * A program defines `run()`; what it prints must not depend on the machine. SCALE multiplies its work.
 */
#ifndef RUNTIME_H
#define RUNTIME_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed short i16;
typedef signed int i32;

#define NOINLINE __attribute__((noinline))

#ifndef SCALE
#define SCALE 1
#endif

void run(void);

#if defined(__wasm__)

__attribute__((import_module("env"), import_name("write"))) void host_write(const void *bytes, int length);
#define write_out(bytes, length) host_write(bytes, length)
__attribute__((export_name("_start"))) void _start(void) { run(); }

#else

#if defined(__arm__)

enum { SYS_WRITE = 4, SYS_EXIT = 1 };
static long system_call(long number, long a, long b, long c) {
  register long r7 asm("r7") = number;
  register long r0 asm("r0") = a;
  register long r1 asm("r1") = b;
  register long r2 asm("r2") = c;
  asm volatile("svc #0" : "+r"(r0) : "r"(r1), "r"(r2), "r"(r7) : "memory");
  return r0;
}
#define ENTRY "  b start_c\n"

#elif defined(__i386__)

enum { SYS_WRITE = 4, SYS_EXIT = 1 };
static long system_call(long number, long a, long b, long c) {
  long result;
  asm volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
  return result;
}
#define ENTRY "  call start_c\n"

#elif defined(__x86_64__)

enum { SYS_WRITE = 1, SYS_EXIT = 60 };
static long system_call(long number, long a, long b, long c) {
  long result;
  asm volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
  return result;
}
#define ENTRY "  call start_c\n"

#elif defined(__aarch64__)

enum { SYS_WRITE = 64, SYS_EXIT = 93 };
static long system_call(long number, long a, long b, long c) {
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = a;
  register long x1 asm("x1") = b;
  register long x2 asm("x2") = c;
  asm volatile("svc #0" : "+r"(x0) : "r"(x1), "r"(x2), "r"(x8) : "memory");
  return x0;
}
#define ENTRY "  b start_c\n"

#endif

#define write_out(bytes, length) system_call(SYS_WRITE, 1, (long)(bytes), length)

__attribute__((used, noreturn)) static void start_c(void) {
  run();
  for (;;) system_call(SYS_EXIT, 0, 0, 0);
}

#if defined(__thumb__)
asm(".text\n.globl _start\n.thumb\n.thumb_func\n.type _start, %function\n_start:\n" ENTRY ".size _start, . - _start\n");
#elif defined(__x86_64__)
asm(".text\n.globl _start\n_start:\n" ENTRY);
#else
asm(".text\n.globl _start\n.type _start, %function\n_start:\n" ENTRY ".size _start, . - _start\n");
#endif

#endif

/* Prints eight hex digits and a line end. */
static NOINLINE void print_hex(u32 value) {
  char line[9];
  for (int i = 7; i >= 0; i--, value >>= 4) line[i] = "0123456789abcdef"[value & 15];
  line[8] = '\n';
  write_out(line, 9);
}

/* Compilers call these for structure copies and the like. */
void *memcpy(void *to, const void *from, __SIZE_TYPE__ n) {
  u8 *t = to;
  for (const u8 *f = from; n > 0; n--) *t++ = *f++;
  return to;
}

void *memset(void *to, int value, __SIZE_TYPE__ n) {
  for (u8 *t = to; n > 0; n--) *t++ = value;
  return to;
}

/* A linear congruential generator, as the C standard's example has it. */
static inline u32 next_random(u32 *state) { return *state = *state * 1103515245u + 12345u; }

#endif
