/* Start-up: one line of output. */
#include "runtime.h"

void run(void) { print_hex(0x600df00d); }
