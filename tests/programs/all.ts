import type { ProgramCase } from './case.ts';
import { languageCases } from './languages.ts';
import { mediaCases } from './media.ts';
import { serverCases } from './servers.ts';
import { shellCases } from './shells.ts';
import { terminalCases } from './terminal.ts';
import { toolCases } from './tools.ts';

/** Every program, by subject. */
export const programCases: Readonly<Record<string, readonly ProgramCase[]>> = {
  Shells: shellCases,
  Tools: toolCases,
  'Languages and compilers': languageCases,
  Servers: serverCases,
  'Full-screen programs': terminalCases,
  'Pictures, sound, numbers': mediaCases,
};
