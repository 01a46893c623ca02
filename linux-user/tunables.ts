/** Longest time in milliseconds that guest code runs before Node's event loop turns: signals, timers, input. */
export const turnInterval = 10;
