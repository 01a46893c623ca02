// A facade over the npm package `debug`: which part of tsemu talks is chosen by DEBUG=tsemu:<part>.

/** Writes one line when the namespace is enabled; `%s %d %o %x`-style arguments are `debug`'s. */
export interface Log {
  (format: string, ...args: readonly unknown[]): void;
  /** False when nothing would be printed: test it before preparing costly arguments. */
  readonly enabled: boolean;
}

/** Makes the logger of one full namespace, such as `tsemu:mm`. */
export type LogFactory = (namespace: string) => Log;

const silent: Log = Object.assign(() => {}, { enabled: false });

const DEBUG: string = (globalThis as { process?: { env: { DEBUG?: string } } }).process?.env.DEBUG ?? '';

const factory: LogFactory | null = DEBUG === '' ? null : ((await import('debug')).default as LogFactory);

/** The logger of `tsemu:<part>`. Costs nothing (and loads nothing) unless DEBUG is set. */
export function createLog(part: string): Log {
  return factory === null ? silent : factory(`tsemu:${part}`);
}
