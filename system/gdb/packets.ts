/*
 * Packets of gdb's remote protocol (GDB manual, appendix E): `$text#checksum`, answered by `+`. Text is latin1, a byte a
 * character.
 */

export const toHex = (text: string): string => Buffer.from(text, 'latin1').toString('hex');
export const fromHex = (digits: string): string => Buffer.from(digits, 'hex').toString('latin1');

/** A word as a debugger's registers have it: in the guest's byte order. */
export const wordHex = (value: number): string => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value | 0);
  return bytes.toString('hex');
};
export const hexWord = (digits: string): number => Buffer.from(digits.padEnd(8, '0'), 'hex').readInt32LE();

const sumOf = (text: string): string =>
  (Buffer.from(text, 'latin1').reduce((sum, byte) => sum + byte, 0) & 0xff).toString(16).padStart(2, '0');

export const frame = (text: string): string => `$${text}#${sumOf(text)}`;

/** Ctrl-C, which comes between packets. */
const interrupt = '\u0003';
/** Longer packets are dropped. */
const longestPacket = 1 << 16;

/** What takes the packets apart that come in. */
export interface PacketUser {
  packet(text: string): void;
  interrupt(): void;
  /** To be sent back at once: `+` or `-`. */
  acknowledge(sign: '+' | '-'): void;
}

export class PacketReader {
  private pending = '';
  private readonly user: PacketUser;

  constructor(user: PacketUser) {
    this.user = user;
  }

  take(bytes: Uint8Array): void {
    this.pending += Buffer.from(bytes).toString('latin1');
    for (;;) {
      const starts = ['$', interrupt].map((sign) => this.pending.indexOf(sign)).filter((at) => at >= 0);
      if (starts.length === 0) {
        this.pending = '';
        return;
      }
      const start = Math.min(...starts);
      if (this.pending[start] === interrupt) {
        this.pending = this.pending.slice(start + 1);
        this.user.interrupt();
        continue;
      }
      const end = this.pending.indexOf('#', start);
      if (end < 0 || end + 3 > this.pending.length) {
        this.pending = this.pending.length > longestPacket ? '' : this.pending.slice(start);
        return;
      }
      const text = this.pending.slice(start + 1, end);
      const sum = this.pending.slice(end + 1, end + 3).toLowerCase();
      this.pending = this.pending.slice(end + 3);
      const good = sum === sumOf(text);
      this.user.acknowledge(good ? '+' : '-');
      if (good) this.user.packet(unescape(text));
    }
  }
}

/** `}` stands before a byte that is changed by 0x20. */
const unescape = (text: string): string =>
  text.replace(/\}([^])/g, (_, next: string) => String.fromCharCode(next.charCodeAt(0) ^ 0x20));
