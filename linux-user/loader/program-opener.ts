import { hostPathOf } from './guest-path.ts';
import { ProgramFile } from './program-file.ts';

/** Finds the programs that a program needs: interpreters of scripts, the dynamic loader. */
export interface ProgramOpener {
  /** True: names are the guest's alone, and none is a path of the host. */
  readonly confined: boolean;
  /** -L, for messages; null without. */
  readonly prefix: string | null;
  /** Opens the file at an absolute guest path. Throws LoadError. */
  open(name: string): ProgramFile;
}

/** Programs below the -L folder if something is there, else the host's. */
export const hostPrograms = (prefix: string | null): ProgramOpener => ({
  confined: false,
  prefix,
  open: (name) => new ProgramFile(name, hostPathOf(name, prefix)),
});
