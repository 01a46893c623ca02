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

interface Host {
  readonly env: { readonly DEBUG?: string };
  getBuiltinModule(id: 'node:module'): { createRequire(url: string): (id: string) => unknown };
}

const host = (globalThis as { process?: Host }).process;

/** Scripts of the bundle are evaluated at once, without a top-level await: so `debug` is not imported. */
const factory: LogFactory | null =
  host === undefined || (host.env.DEBUG ?? '') === ''
    ? null
    : (host.getBuiltinModule('node:module').createRequire(import.meta.url)('debug') as LogFactory);

/** The logger of `tsemu:<part>`. Costs nothing (and loads nothing) unless DEBUG is set. */
export function createLog(part: string): Log {
  return factory === null ? silent : factory(`tsemu:${part}`);
}
