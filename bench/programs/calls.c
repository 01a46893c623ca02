/* System calls: the one that -DCALL names, SCALE thousand times. Prints what the last one returned. */
#include "runtime.h"

#if defined(__arm__)
enum { SYS_GETPID = 20, SYS_CLOCK_GETTIME = 263, SYS_READ = 3, SYS_CLOSE = 6, SYS_OPENAT = 322, SYS_PIPE2 = 359 };
#elif defined(__x86_64__)
enum { SYS_GETPID = 39, SYS_CLOCK_GETTIME = 228, SYS_READ = 0, SYS_CLOSE = 3, SYS_OPENAT = 257, SYS_PIPE2 = 293 };
#elif defined(__aarch64__)
enum { SYS_GETPID = 172, SYS_CLOCK_GETTIME = 113, SYS_READ = 63, SYS_CLOSE = 57, SYS_OPENAT = 56, SYS_PIPE2 = 59 };
#endif
enum { AT_FDCWD = -100, O_RDWR = 2, O_NONBLOCK = 04000, CLOCK_MONOTONIC = 1 };

static long words[2];
static char byte;

#define OPEN(path) system_call(SYS_OPENAT, AT_FDCWD, (long)(path), O_RDWR)
/* Each: what is made ready once, and the call. */
#define getpid_first 0
#define getpid_call (system_call(SYS_GETPID, 0, 0, 0) > 0)
#define clock_gettime_first 0
#define clock_gettime_call system_call(SYS_CLOCK_GETTIME, CLOCK_MONOTONIC, (long)words, 0)
#define write_null_first OPEN("/dev/null")
#define write_null_call system_call(SYS_WRITE, fd, (long)&byte, 1)
#define read_zero_first OPEN("/dev/zero")
#define read_zero_call system_call(SYS_READ, fd, (long)&byte, 1)
#define EBADF_first 99
#define EBADF_call system_call(SYS_CLOSE, fd, 0, 0)
#define EAGAIN_first (system_call(SYS_PIPE2, (long)pipe, O_NONBLOCK, 0), pipe[0])
#define EAGAIN_call system_call(SYS_READ, fd, (long)&byte, 1)
#define ENOENT_first 0
#define ENOENT_call OPEN("/nonexistent")

#define JOIN(name, part) name##part
#define PART(name, part) JOIN(name, part)

void run(void) {
  int pipe[2];
  (void)pipe;
  long fd = PART(CALL, _first);
  (void)fd;
  long result = 0;
  for (u32 i = 0; i < SCALE * 1000u; i++) result = PART(CALL, _call);
  print_hex((u32)result);
}
