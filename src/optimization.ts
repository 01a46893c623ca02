/**
 * Milliseconds before V8 may optimize our JavaScript. It does so on other threads, at a cost that only longer runs earn
 * back: a run of 150 ms paid 40 ms more.
 */
const optimizeAfter = 250;

/**
 * Calls before V8's two optimizing compilers take a function on: usual and at start. `--max-optimized-bytecode-size=0`
 * would save as much, but what it has refused once is never optimized again: system calls then cost 1 µs more.
 */
const invocations = { maglev: [400, 4000], turbofan: [10_000, 30_000] } as const;

/**
 * Has V8 optimize later for a while: functions that have not been called yet, since a function's count begins with its
 * first calls. Loading node:v8 takes 3 ms, too much for a program that is over at once. Not while the code cache is
 * made, which is only good for the flags it was made with.
 */
export function postponeOptimization(): void {
  const { prepare } = import.meta as { prepare?: (script: string) => void };
  prepare?.('compile');
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  const set = (which: 0 | 1): void => {
    for (const [name, counts] of Object.entries(invocations)) {
      setFlagsFromString(`--invocation-count-for-${name}=${counts[which]}`);
    }
  };
  set(1);
  setTimeout(set, optimizeAfter, 0).unref();
}
