/**
 * Calls the host where a failure is an ordinary answer (there is no such file): Node's error then takes no stack trace,
 * which in the midst of guest code is most of what it costs.
 */
export function hostAnswer<T>(call: () => T): T {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    return call();
  } finally {
    Error.stackTraceLimit = limit;
  }
}
