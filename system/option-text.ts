/*
 * Options with properties, as QEMU spells them: `first,name=value,name=value`. A comma in a value is written twice; a
 * name alone is switched on.
 */

/** A wrong option, in one line. */
export class OptionError extends Error {}

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

/** Splits `text` into names and values; `implied` is the name of a first value that has none. */
export function splitOptions(text: string, implied?: string): Map<string, string> {
  const found = new Map<string, string>();
  const words = text.replaceAll(',,', '\0').split(',');
  for (const [i, word] of words.map((part) => part.replaceAll('\0', ',')).entries()) {
    const equals = word.indexOf('=');
    if (equals >= 0) found.set(word.slice(0, equals), word.slice(equals + 1));
    else if (i === 0 && implied !== undefined) found.set(implied, word);
    else if (word !== '') found.set(word, 'on');
  }
  return found;
}

/** Reads given properties by their types; `what` names the option in messages. Throws OptionError. */
export function readProperties<P extends Properties>(
  what: string,
  given: ReadonlyMap<string, string>,
  properties: P,
): Values<P> {
  const values: Record<string, unknown> = {};
  for (const [name, text] of given) {
    const known = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (!known) throw new OptionError(`${what}: no property '${name}'`);
    values[name] = known.read(text);
    if (values[name] === undefined) throw new OptionError(`${what}: ${name}=${text}: expected ${known.type}`);
  }
  return values as Values<P>;
}

/** What a list of properties looks like in `help`. */
export const describeProperties = (properties: Properties): string =>
  Object.entries(properties)
    .map(([name, { type, help }]) => `  ${`${name}=<${type}>`.padEnd(30)} - ${help}\n`)
    .join('');
