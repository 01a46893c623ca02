import type { ProgramCase } from './case.ts';
import { languageCases } from './languages.ts';
import { serverCases } from './servers.ts';
import { shellCases } from './shells.ts';
import { toolCases } from './tools.ts';

/** Every program, by subject. */
export const programCases: Readonly<Record<string, readonly ProgramCase[]>> = {
  Shells: shellCases,
  Tools: toolCases,
  'Languages and compilers': languageCases,
  Servers: serverCases,
};
