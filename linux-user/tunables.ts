/** Longest time in milliseconds that guest code runs before Node's event loop turns: signals, timers, input. */
export const turnInterval = 10;
/** Machines kept for reuse: what a shell's pipelines need at once, some megabytes each. */
export const pooledMachines = 16;
