/** The first line of a `#!` script: its interpreter's path and the one optional argument. */
export interface ScriptLine {
  readonly interpreter: string;
  readonly argument: string | null;
}

/** Reads the `#!` line at the start of a file as Linux does (at most 256 bytes); null if there is none. */
export function scriptLine(start: Buffer): ScriptLine | null {
  if (start[0] !== 0x23 || start[1] !== 0x21) return null;
  const newline = start.indexOf(10);
  const text = start
    .subarray(2, newline < 0 ? Math.min(start.length, 256) : newline)
    .toString('utf8')
    .trim();
  const [, interpreter, argument] = /^(\S*)(?:[ \t]+(.*))?$/s.exec(text) ?? ['', '', undefined];
  return { interpreter, argument: argument ?? null };
}
