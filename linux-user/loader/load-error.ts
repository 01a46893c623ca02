/** Why a program cannot be started, in one line for the user, and the exit code a shell would give for it. */
export class LoadError extends Error {
  /** 126: found but not executable here; 127: not found; 1: a broken file. */
  readonly exitCode: 1 | 126 | 127;

  constructor(message: string, exitCode: 1 | 126 | 127 = 1) {
    // A file may name anything as its interpreter: what would break the line or the terminal is shown as "?".
    super(message.replace(/\p{Cc}/gu, '?'));
    this.name = 'LoadError';
    this.exitCode = exitCode;
  }
}
