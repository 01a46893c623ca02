// The text of --help, which yargs lays out. Other runs never load it.
import yargs, { type Argv } from 'yargs';
import { OPTION_ROWS } from './option-table.ts';

const GROUPS = {
  program: 'Program:',
  confinement: 'Confinement:',
  machine: 'Machine:',
  debug: 'Debugging:',
  other: 'Other:',
} as const;

/** The text of --help. */
export async function helpText(command: string): Promise<string> {
  const text = await describe(command).getHelp();
  // yargs takes a digit for a long name.
  return `${text.replace(', --0 ', ', -0  ')}\n`;
}

function describe(command: string): Argv {
  const parser = yargs([])
    .scriptName(command)
    .locale('en')
    .usage('Usage: $0 [options] program [arguments...]\n\nRuns a Linux program that was built for another CPU.')
    .help(false)
    .version(false)
    .exitProcess(false)
    .wrap(Math.min(100, process.stdout.columns ?? 100))
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
      type: row.read === undefined ? 'boolean' : 'string',
    });
  }
  return parser;
}
