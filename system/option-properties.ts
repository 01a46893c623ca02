import type { OptionString } from './option-string.ts';

/* Properties of options with their types, for those that have many of them. */

/** What a property's value may be; `read` answers undefined to what it may not be. */
export interface Property<T> {
  /** As `-device TYPE,help` names it. */
  readonly type: string;
  readonly help: string;
  read(text: string): T | undefined;
}

export type Properties = Readonly<Record<string, Property<unknown>>>;

/** The properties that were given. */
export type Values<P extends Properties> = { readonly [K in keyof P]?: P[K] extends Property<infer T> ? T : never };

const onOff: Readonly<Record<string, boolean>> = {
  on: true,
  yes: true,
  true: true,
  off: false,
  no: false,
  false: false,
};
const sizeUnits = 'BKMGTP';

/** Bytes: a number with a unit of `BKMGTP`, powers of 1024; `unit` is that of a bare number. */
export function readSize(text: string, unit = 'B'): number | undefined {
  const [, digits, given] = /^(\d+(?:\.\d+)?)([BKMGTP]?)$/i.exec(text) ?? [];
  if (digits === undefined) return undefined;
  const bytes = Number(digits) * 1024 ** sizeUnits.indexOf((given || unit).toUpperCase());
  return Number.isSafeInteger(Math.ceil(bytes)) ? Math.ceil(bytes) : undefined;
}

export const property = {
  text: (help: string): Property<string> => ({ type: 'str', help, read: (text) => text }),
  flag: (help: string): Property<boolean> => ({ type: 'bool', help, read: (text) => onOff[text] }),
  size: (help: string): Property<number> => ({ type: 'size', help, read: (text) => readSize(text) }),
  number: (help: string, least = 0, most = 2 ** 32 - 1): Property<number> => ({
    type: 'uint32',
    help,
    read: (text) => {
      const value = /^(0x[\da-f]+|\d+)$/i.test(text) ? Number(text) : -1;
      return value >= least && value <= most ? value : undefined;
    },
  }),
  choice: <const T extends string>(help: string, ...names: readonly T[]): Property<T> => ({
    type: names.join('|'),
    help,
    read: (text) => names.find((name) => name === text),
  }),
} as const;

/** Reads an option's properties by their types. Throws OptionError. */
export function readProperties<P extends Properties>(options: OptionString, properties: P): Values<P> {
  const values: Record<string, unknown> = {};
  for (const [name, known] of Object.entries(properties)) {
    const text = options.last(name);
    if (text === undefined) continue;
    values[name] = known.read(text);
    if (values[name] === undefined) throw options.wrong(`${name}: expected ${known.type}`);
  }
  options.finish();
  return values as Values<P>;
}

/** What a list of properties looks like in `help`. */
export const describeProperties = (properties: Properties): string =>
  Object.entries(properties)
    .map(([name, { type, help }]) => `  ${`${name}=<${type}>`.padEnd(30)} - ${help}\n`)
    .join('');
