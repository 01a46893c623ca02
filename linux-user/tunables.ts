/** Longest time in milliseconds that guest code runs before Node's event loop turns: signals, timers, input. */
export const turnInterval = 10;

/** A mask: after so many system calls the clock is looked at, which takes about as long as the quickest of them. */
export const callsPerLook = 31;
/** Machines kept for reuse: what a shell's pipelines need at once, some megabytes each. */
export const pooledMachines = 16;
/** Milliseconds for which what Node's event loop has brought counts as new for a call that must not wait. */
export const turnDistance = 0.2;
/** Most connections from the host that wait for accept, whatever backlog the guest asks for (net.core.somaxconn). */
export const longestBacklog = 4096;
/** Bytes a socket takes from its guest before the host has sent them, and keeps of what has come (net.core.*mem_default). */
export const socketBufferBytes = 212_992;
/** Milliseconds for which the end of the last process waits for the host to send what closed sockets had taken. */
export const longestFlush = 10_000;
/** Milliseconds for which the list of the host's addresses is believed: asking costs some 50 µs. */
export const interfaceAge = 1000;
/** Bytes of the host's memory for each process it may be asked for: a shell takes some 2 MB, other programs more. */
export const bytesPerProcess = 8 << 20;
/** Processes that there may be on the smallest host. */
export const leastProcesses = 256;
