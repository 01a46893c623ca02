import type { GuestArch } from '../support/debian.ts';
import type { Tree } from '../support/workdir.ts';

/** A Debian program and what it must print. The script runs under the guest's own /bin/sh, with `SYSROOT`
 * and the names of `Guest.environment` set. */
export interface ProgramCase {
  /** The program as docs/supported/programs.md names it; a second case of the same adds what it does in brackets. */
  name: string;
  /** Debian packages with all they depend on. */
  packages: readonly string[];
  /** The architectures that have it; all, if not given. */
  only?: readonly GuestArch[];
  script: string;
  /** What comes on stdout and stderr together: exactly, or matching. Status 0 is expected always. */
  expected: string | RegExp;
  files?: Tree;
  /** Part of the quick slice that each test run does. */
  ci?: boolean;
  /** Seconds; 60 if not given. */
  timeout?: number;
}
