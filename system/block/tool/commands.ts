import { parseArgs } from 'node:util';
import { OptionError } from '../../option-string.ts';
import { HostFile, ImageError } from '../host-file.ts';
import type { DiskImage } from '../image.ts';
import { backingPath, openImage } from '../open.ts';
import type { CheckResult, Repair } from '../qcow2/check.ts';
import { Qcow2Image } from '../qcow2/image.ts';
import type { Snapshot } from '../qcow2/snapshots.ts';
import { copyDisk, firstDifference } from './convert.ts';
import { createImage, formatOf, parseSize } from './create.ts';
import { infoObject, infoText } from './info.ts';
import { snapshotTable } from './text.ts';

/* The commands of tsemu-img, with the names, options and output of qemu-img. */

/** What a command may do: write lines. Its result is the exit code. */
export interface Terminal {
  out(text: string): void;
  error(text: string): void;
}

interface Command {
  readonly usage: string;
  readonly help: string;
  /** Options with a value, and switches, by their letters or names. */
  readonly values: readonly string[];
  readonly switches: readonly string[];
  run(given: Given, terminal: Terminal): number;
}

class Given {
  readonly words: readonly string[];
  private readonly options: Readonly<Record<string, readonly (string | boolean)[] | undefined>>;

  constructor(words: readonly string[], options: Readonly<Record<string, readonly (string | boolean)[] | undefined>>) {
    this.words = words;
    this.options = options;
  }

  has(name: string): boolean {
    return this.options[name] !== undefined;
  }

  all(name: string): string[] {
    return (this.options[name] ?? []).map(String);
  }

  get(name: string): string | null {
    return this.all(name).at(-1) ?? null;
  }

  /** The words that are no options: exactly `count`, or `count` to `most`. */
  files(count: number, most = count): readonly string[] {
    const { words } = this;
    if (words.length < count) throw new ImageError('Expecting one image file name');
    if (words.length > most) throw new ImageError(`Unexpected argument: ${words[most]}`);
    return words;
  }
}

/** Runs `use` with an open image and closes it whatever happens. */
function withImage<T>(path: string, options: Parameters<typeof openImage>[1], use: (image: DiskImage) => T): T {
  const image = openImage(path, options);
  try {
    return use(image);
  } finally {
    image.close();
  }
}

const format = (given: Given, name: string, path: string) => {
  const text = given.get(name);
  return text === null ? null : formatOf(text, path);
};

const commands: Readonly<Record<string, Command>> = {
  create: {
    usage: 'create [-f FMT] [-b BACKING -F FMT] [-o OPTIONS] [-q] FILE [SIZE]',
    help: 'make an image; options of qcow2: compat, cluster_size, refcount_bits, compression_type, …',
    values: ['f', 'b', 'F', 'o'],
    switches: ['q', 'u'],
    run(given, terminal) {
      const [path = '', size] = given.files(1, 2);
      const line = createImage({
        path,
        format: formatOf(given.get('f') ?? 'raw', path),
        size: size === undefined ? null : parseSize(size),
        backing: given.get('b'),
        backingFormat: given.get('F'),
        options: given.all('o'),
      });
      if (!given.has('q')) terminal.out(`${line}\n`);
      return 0;
    },
  },
  info: {
    usage: 'info [-f FMT] [--output=human|json] [--backing-chain] [-U] FILE',
    help: 'what an image is',
    values: ['f', 'output'],
    switches: ['U', 'backing-chain'],
    run(given, terminal) {
      const [path = ''] = given.files(1);
      const found: DiskImage[] = [];
      try {
        for (let at: string | null = path, known = format(given, 'f', path); at !== null; ) {
          const image: DiskImage = openImage(at, { format: known, readOnly: true, alone: true });
          found.push(image);
          const name: string | null = image instanceof Qcow2Image ? image.header.backingFile : null;
          if (found.length > maxChain) throw new ImageError(`'${path}' is its own backing file`);
          at = name === null || !given.has('backing-chain') ? null : backingPath(image.path, name);
          known = null;
        }
        if (given.get('output') !== 'json') {
          terminal.out(found.map(infoText).join('\n'));
          return 0;
        }
        const objects = found.map(infoObject);
        terminal.out(`${JSON.stringify(given.has('backing-chain') ? objects : objects[0], null, 4)}\n`);
        return 0;
      } finally {
        for (const image of found) image.close();
      }
    },
  },
  check: {
    usage: 'check [-f FMT] [-r leaks|all] [--output=human|json] [-q] FILE',
    help: 'whether an image is sound: 0 yes, 2 no, 3 only room is wasted, 63 cannot be checked',
    values: ['f', 'r', 'output'],
    switches: ['q', 'U'],
    run(given, terminal) {
      const [path = ''] = given.files(1);
      const repair = (given.get('r') ?? 'none') as Repair;
      if (!['none', 'leaks', 'all'].includes(repair)) throw new ImageError(`-r ${repair}: leaks or all`);
      const known = format(given, 'f', path);
      return withImage(path, { format: known, readOnly: repair === 'none', alone: true }, (image) => {
        if (!(image instanceof Qcow2Image)) {
          terminal.error('This image format does not support checks');
          return 63;
        }
        let result = image.check(repair);
        if (result.fixedCorruptions + result.fixedLeaks > 0) {
          terminal.out(`${result.lines.join('\n')}\n`);
          terminal.out(fixedText(result));
          result = { ...image.check('none') };
        }
        if (given.get('output') === 'json') terminal.out(`${JSON.stringify(checkObject(path, result), null, 4)}\n`);
        else if (!given.has('q')) terminal.out(checkText(result));
        if (result.corruptions > 0) return 2;
        return result.leaks > 0 ? 3 : 0;
      });
    },
  },
  convert: {
    usage: 'convert [-f FMT] [-O FMT] [-c] [-l SNAPSHOT] [-B BACKING -F FMT] [-o OPTIONS] [-n] FILE OUTPUT',
    help: 'copy an image into another one; -c compresses',
    values: ['f', 'O', 'o', 'l', 'B', 'F', 'S', 'm', 't', 'T'],
    switches: ['c', 'n', 'p', 'q', 'U', 'W'],
    run(given) {
      const [path = '', target = ''] = given.files(2);
      const output = formatOf(given.get('O') ?? 'raw', target);
      if (given.has('c') && output === 'raw') throw new ImageError('Compression not supported for this file format');
      return withImage(path, { format: format(given, 'f', path), readOnly: true }, (from) => {
        const snapshot = given.get('l')?.replace(/^snapshot\.(name|id)=/, '');
        if (snapshot !== undefined) {
          if (!(from instanceof Qcow2Image)) throw new ImageError(`${path} has no snapshots`);
          from.showSnapshot(findSnapshot(from, snapshot, 'Failed to load snapshot'));
        }
        const backing = given.get('B');
        if (!given.has('n')) {
          const options = given.all('o');
          const backingFormat = given.get('F');
          createImage({ path: target, format: output, size: from.size, backing, backingFormat, options });
        }
        return withImage(target, { format: output }, (to) => {
          copyDisk(from, to, given.has('c'), to instanceof Qcow2Image ? to.backing : null);
          return 0;
        });
      });
    },
  },
  compare: {
    usage: 'compare [-f FMT] [-F FMT] [-q] FILE1 FILE2',
    help: 'whether two images have the same contents: 0 yes, 1 no',
    values: ['f', 'F'],
    switches: ['q', 'p', 's', 'U'],
    run(given, terminal) {
      const [one = '', other = ''] = given.files(2);
      return withImage(one, { format: format(given, 'f', one), readOnly: true }, (a) =>
        withImage(other, { format: format(given, 'F', other), readOnly: true }, (b) => {
          const at = firstDifference(a, b);
          const say = (text: string): void => {
            if (!given.has('q')) terminal.out(`${text}\n`);
          };
          if (at < 0) say('Images are identical.');
          else say(`Content mismatch at offset ${at}!`);
          return at < 0 ? 0 : 1;
        }),
      );
    },
  },
  snapshot: {
    usage: 'snapshot [-l | -c NAME | -a NAME | -d NAME] [-q] FILE',
    help: 'list, make, apply or delete snapshots within an image',
    values: ['c', 'a', 'd', 'f'],
    switches: ['l', 'q', 'U'],
    run(given, terminal) {
      const [path = ''] = given.files(1);
      const changes = ['c', 'a', 'd'].filter((name) => given.has(name));
      if (changes.length > 1) throw new ImageError('Cannot mix -c, -a and -d');
      const known = format(given, 'f', path);
      return withImage(path, { format: known, readOnly: changes.length === 0 }, (image) => {
        if (!(image instanceof Qcow2Image)) {
          if (changes.length === 0) return 0;
          throw new ImageError(`'${path}' cannot have snapshots: its format is ${image.format}`);
        }
        const { snapshots } = image;
        const [made, applied, deleted] = [given.get('c'), given.get('a'), given.get('d')];
        if (made !== null) snapshots.create({ name: made, date: Date.now() });
        if (applied !== null) snapshots.apply(findSnapshot(image, applied, `Could not apply snapshot '${applied}'`));
        if (deleted !== null) snapshots.delete(findSnapshot(image, deleted, `Could not delete snapshot '${deleted}'`));
        if (changes.length === 0 && snapshots.list.length > 0) {
          terminal.out(`Snapshot list:\n${snapshotTable(snapshots.list)}`);
        }
        return 0;
      });
    },
  },
  resize: {
    usage: 'resize [-f FMT] [--shrink] [-q] FILE [+|-]SIZE',
    help: 'give a disk another size',
    values: ['f'],
    switches: ['shrink', 'q'],
    run(given, terminal) {
      const [path = '', text = ''] = given.files(2);
      const [, sign, digits = ''] = /^([+-]?)(.*)$/.exec(text) ?? [];
      const amount = parseSize(digits);
      const known = format(given, 'f', path);
      return withImage(path, { format: known }, (image) => {
        const size = sign === '+' ? image.size + amount : sign === '-' ? image.size - amount : amount;
        if (size < image.size && !given.has('shrink')) {
          throw new ImageError('Use the --shrink option to perform a shrink operation.');
        }
        if (image instanceof Qcow2Image) image.resize(Math.ceil(size / 512) * 512);
        else resizeRaw(path, size);
        if (!given.has('q')) terminal.out('Image resized.\n');
        return 0;
      });
    },
  },
};

const maxChain = 200;

function resizeRaw(path: string, size: number): void {
  const file = new HostFile(path, false);
  file.truncate(size);
  file.close();
}

function findSnapshot(image: Qcow2Image, name: string, failure: string): Snapshot {
  const snapshot = image.snapshots.find(name);
  if (!snapshot) throw new ImageError(`${failure}: snapshot '${name}' not found`);
  return snapshot;
}

const fixedText = ({ fixedLeaks, fixedCorruptions }: CheckResult): string =>
  `The following inconsistencies were found and repaired:\n\n    ${fixedLeaks} leaked clusters\n    ${fixedCorruptions} corruptions\n\nDouble checking the fixed image now...\n`;

/** With two digits; what lies in the middle goes to the even one, as in C. */
function percent(part: number, whole: number): string {
  const hundredths = (part * 10_000) / whole;
  const down = Math.floor(hundredths);
  const tie = hundredths - down === 0.5;
  return ((tie ? down + (down % 2) : Math.round(hundredths)) / 100).toFixed(2);
}

function checkText(result: CheckResult): string {
  const { lines, corruptions, leaks, clusters, allocated, fragmented, compressed, endOffset } = result;
  let text = lines.map((line) => `${line}\n`).join('');
  if (corruptions > 0) {
    text += `\n${corruptions} errors were found on the image.\n`;
    text += 'Data may be corrupted, or further writes to the image may corrupt it.\n';
  }
  if (leaks > 0) {
    text += `\n${leaks} leaked clusters were found on the image.\n`;
    text += 'This means waste of disk space, but no harm to data.\n';
  }
  if (corruptions + leaks === 0) text += 'No errors were found on the image.\n';
  if (allocated > 0) {
    text += `${allocated}/${clusters} = ${percent(allocated, clusters)}% allocated, `;
    text += `${percent(fragmented, allocated)}% fragmented, ${percent(compressed, allocated)}% compressed clusters\n`;
  }
  return `${text}Image end offset: ${endOffset}\n`;
}

const checkObject = (filename: string, result: CheckResult) => ({
  'image-end-offset': result.endOffset,
  ...(result.corruptions > 0 && { corruptions: result.corruptions }),
  ...(result.leaks > 0 && { leaks: result.leaks }),
  ...(result.allocated > 0 && {
    'fragmented-clusters': result.fragmented,
    'allocated-clusters': result.allocated,
    'compressed-clusters': result.compressed,
  }),
  'total-clusters': result.clusters,
  'check-errors': 0,
  filename,
  format: 'qcow2',
});

function help(): string {
  const rows = Object.values(commands).map(({ usage, help: text }) => `  ${usage}\n      ${text}\n`);
  return `Usage: tsemu-img COMMAND [options]\n\nWorks on disk images of the formats raw and qcow2, as qemu-img does.\n\n${rows.join('')}`;
}

/** Runs `tsemu-img args`; answers its exit code. What the user can cause is one line on stderr and 1. */
export function runImageTool(args: readonly string[], terminal: Terminal): number {
  const [name = '--help', ...rest] = args;
  if (name === '--help' || name === '-h' || name === 'help') {
    terminal.out(help());
    return 0;
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command) {
    terminal.error(`Command not found: ${name}`);
    return 1;
  }
  try {
    return command.run(parse(command, rest), terminal);
  } catch (error) {
    if (!(error instanceof ImageError || error instanceof OptionError)) throw error;
    terminal.error(error.message);
    return 1;
  }
}

function parse({ values, switches, usage }: Command, args: readonly string[]): Given {
  const option = (type: 'string' | 'boolean') => (name: string) =>
    [name, { type, multiple: true, ...(name.length === 1 && { short: name }) }] as const;
  const options = Object.fromEntries([...values.map(option('string')), ...switches.map(option('boolean'))]);
  try {
    const parsed = parseArgs({ args: [...args], options, allowPositionals: true });
    return new Given(parsed.positionals, parsed.values as Record<string, (string | boolean)[]>);
  } catch (error) {
    const [reason] = (error as Error).message.split('. ');
    throw new ImageError(`${reason}\nUsage: tsemu-img ${usage}`);
  }
}
