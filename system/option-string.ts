/** A value of an option that is wrong: one line for the user. */
export class OptionError extends Error {}

interface Property {
  readonly name: string;
  /** Undefined for a word alone. */
  readonly value: string | undefined;
  used: boolean;
}

/**
 * QEMU's option strings, `user,id=n,restrict=on`: a word, then properties with commas between. A doubled comma is one of
 * a value; `=on` may be left out, and `nowait` is `wait=off`. `finish` refuses what nobody has asked for.
 */
export class OptionString {
  /** What comes before the first comma. */
  readonly first: string;
  private readonly text: string;
  private readonly properties: readonly Property[];

  /** `option` is the option's name for messages: `-netdev`. `headed` false: there are only properties. */
  constructor(option: string, value: string, headed = true) {
    this.text = `${option} ${value}`;
    const words = splitCommas(value);
    this.first = headed ? (words.shift() ?? '') : '';
    this.properties = words.map((word) => {
      const at = word.indexOf('=');
      return at < 0
        ? { name: word, value: undefined, used: false }
        : { name: word.slice(0, at), value: word.slice(at + 1), used: false };
    });
  }

  /** OptionError about this option: `-netdev user,…: why`. */
  wrong(why: string): OptionError {
    return new OptionError(`${this.text}: ${why}`);
  }

  /** The values of a property that may be there several times. */
  all(name: string): readonly string[] {
    return this.properties
      .filter((property) => property.name === name && property.value !== undefined)
      .map((property) => {
        property.used = true;
        return property.value!;
      });
  }

  /** The last value of a property. */
  get(name: string): string | undefined {
    return this.all(name).at(-1);
  }

  /** The last value of a property; a word alone is `on`. */
  last(name: string): string | undefined {
    const found = this.properties.filter((property) => property.name === name);
    for (const property of found) property.used = true;
    const last = found.at(-1);
    return last && (last.value ?? 'on');
  }

  /** A switch: `name=on|off`, `name`, or `noname`. */
  flag(name: string, otherwise: boolean): boolean {
    let on = otherwise;
    for (const property of this.properties) {
      const { value } = property;
      if (property.name === `no${name}` && value === undefined) on = false;
      else if (property.name !== name) continue;
      else on = this.onOff(name, value ?? 'on');
      property.used = true;
    }
    return on;
  }

  private onOff(name: string, value: string): boolean {
    if (value !== 'on' && value !== 'off') throw this.wrong(`${name} is on or off`);
    return value === 'on';
  }

  /** Throws OptionError if there is a property that nobody has asked for. */
  finish(): void {
    const unknown = this.properties.find(({ used }) => !used);
    if (unknown) throw this.wrong(`unknown property '${unknown.name}'`);
  }
}

/** Splits at single commas; doubled ones become one. */
function splitCommas(text: string): string[] {
  const words = [''];
  for (const part of text.split(/(,,|,)/)) {
    if (part === ',') words.push('');
    else words[words.length - 1] += part === ',,' ? ',' : part;
  }
  return words;
}
