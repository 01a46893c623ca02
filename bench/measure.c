/*
 * Runs a command and writes to file descriptor 3 what the kernel accounted to that one child:
 * user µs, system µs, peak RSS in KiB, wall µs, wait status. Usage: measure COMMAND ARGUMENTS…
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static long long microseconds(struct timeval t) { return t.tv_sec * 1000000ll + t.tv_usec; }

int main(int argc, char **argv) {
  struct timeval before, after;
  struct rusage usage;
  int status;
  if (argc < 2) return 2;
  gettimeofday(&before, NULL);
  pid_t child = fork();
  if (child == 0) {
    close(3);
    execvp(argv[1], argv + 1);
    _exit(127);
  }
  if (wait4(child, &status, 0, &usage) != child) return 2;
  gettimeofday(&after, NULL);
  dprintf(3, "%lld %lld %ld %lld %d\n", microseconds(usage.ru_utime), microseconds(usage.ru_stime), usage.ru_maxrss,
          microseconds(after) - microseconds(before), status);
  return 0;
}
