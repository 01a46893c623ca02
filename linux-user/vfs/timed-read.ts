import type { TerminalSettings } from './open-file.ts';

const ICANON = 2;
const VTIME = 5;
const VMIN = 6;

/** A terminal's read with VMIN 0: it gives what there is, at once or after VTIME tenths of a second (termios(3)). */
export class TimedRead {
  private timer: NodeJS.Timeout | null = null;
  private over = false;
  private readonly wake: () => void;

  constructor(wake: () => void) {
    this.wake = wake;
  }

  /** Nothing is there: true if the read ends with that, else it is woken when it does. */
  ends({ lflag, cc }: TerminalSettings): boolean {
    if ((lflag & ICANON) !== 0 || cc[VMIN] !== 0) return false;
    if (this.over || cc[VTIME] === 0) {
      this.over = false;
      return true;
    }
    this.timer ??= setTimeout(() => {
      this.timer = null;
      this.over = true;
      this.wake();
    }, cc[VTIME] * 100);
    return false;
  }

  /** Something has come. */
  stop(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.over = false;
  }
}
