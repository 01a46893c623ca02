// The part of the option parsing that needs yargs. A run without options never loads it.
import yargs, { type Argv } from 'yargs';
import { OPTION_ROWS, type OptionValues, takesValue, UsageError } from './option-table.ts';
import type { Given } from './options.ts';

const GROUPS = {
  program: 'Program:',
  confinement: 'Confinement:',
  machine: 'Machine:',
  debug: 'Debugging:',
  other: 'Other:',
} as const;

/** The typed values of the options given; of one given twice, the last. Throws UsageError. */
export async function parseGiven(command: string, given: readonly Given[]): Promise<OptionValues> {
  const words = given.map(({ name, text }) => (takesValue(name) ? `--${name}=${text}` : `--${name}`));
  const parsed: unknown = await makeParser(command).parse(words);
  return parsed as OptionValues;
}

/** The text of --help. */
export async function helpText(command: string): Promise<string> {
  const text = await makeParser(command).getHelp();
  // yargs takes a digit for a long name.
  return `${text.replace(', --0 ', ', -0  ')}\n`;
}

function makeParser(command: string): Argv {
  const parser = yargs([])
    .scriptName(command)
    .locale('en')
    .usage('Usage: $0 [options] program [arguments...]\n\nRuns a Linux program that was built for another CPU.')
    .help(false)
    .version(false)
    .exitProcess(false)
    .strictOptions()
    .parserConfiguration({
      'boolean-negation': false,
      'camel-case-expansion': false,
      'dot-notation': false,
      'duplicate-arguments-array': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'short-option-groups': false,
    })
    .wrap(Math.min(100, process.stdout.columns ?? 100))
    .fail((message, error) => {
      throw error instanceof UsageError ? error : new UsageError(message ?? String(error));
    })
    .epilogue(
      [
        'Long options may have one dash or two. Options end at the program; the rest is the program’s own.',
        'The variable in brackets does the same as the option, which goes first.',
        'Of several -E and -U for one variable the last counts.',
        'DEBUG=tsemu:* shows what tsemu itself does.',
      ].join('\n'),
    );
  for (const [name, row] of OPTION_ROWS) {
    const help = row.value === undefined ? row.help : `${row.value}: ${row.help}`;
    parser.option(name, {
      alias: [...(row.also ?? [])],
      describe: row.env === undefined ? help : `${help} [${row.env}]`,
      group: GROUPS[row.group],
      ...(row.read === undefined ? { type: 'boolean' } : { type: 'string', coerce: coerceWith(row.read) }),
    });
  }
  return parser;
}

/** yargs coerces absent options too. */
function coerceWith(read: (text: string) => unknown): (text: string | undefined) => unknown {
  return (text) => (text === undefined ? undefined : read(text));
}
