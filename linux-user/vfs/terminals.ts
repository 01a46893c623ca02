import type { Process } from '../process.ts';
import type { HostTerminal } from '../tty.ts';
import type { Terminal } from './open-file.ts';

/** The terminals of a tree of guest processes: the host's, by device number, and those they have made. */
export class Terminals {
  readonly host: Map<bigint, HostTerminal> = new Map();
  readonly made: Set<Terminal> = new Set();

  /** Foreground group of the host's terminal; null as long as nobody uses one. */
  get foregroundGroup(): number | null {
    for (const terminal of this.host.values()) return terminal.foregroundGroup;
    return null;
  }

  /** The terminal of the process's session, or null. */
  controlling({ session }: Pick<Process, 'session'>): Terminal | null {
    for (const terminal of [...this.made, ...this.host.values()]) if (terminal.session === session) return terminal;
    return null;
  }
}
