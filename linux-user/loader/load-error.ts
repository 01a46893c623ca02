import type { ErrnoName } from '#util/errno.ts';

/**
 * Why a program cannot be started, in one line for the user, the exit code a shell would give
 * for it, and what execve answers.
 */
export class LoadError extends Error {
  /** 126: found but not executable here; 127: not found; 1: a broken file. */
  readonly exitCode: 1 | 126 | 127;
  readonly errno: ErrnoName;

  constructor(message: string, exitCode: 1 | 126 | 127 = 1, errno?: ErrnoName) {
    // A file may name anything as its interpreter: what would break the line or the terminal is shown as "?".
    super(message.replace(/\p{Cc}/gu, '?'));
    this.name = 'LoadError';
    this.exitCode = exitCode;
    this.errno = errno ?? (exitCode === 127 ? 'ENOENT' : 'ENOEXEC');
  }
}
