import { randomInt } from 'node:crypto';
import type { Socket } from 'node:net';
import { ByteQueue } from './byte-queue.ts';
import { mtu } from './packets.ts';
import { flags, readSynOptions, type Segment, synOptions } from './tcp-segment.ts';

/*
 * One TCP connection between the guest and a socket of the host (RFC 9293). The wire loses nothing, but the guest may:
 * what it does not acknowledge is sent again. Both directions keep no more than a buffer's size.
 */

/** Bytes kept in each direction. */
const bufferBytes = 1 << 18;
const windowScale = 4;
const largestWindow = 0xffff;
const segmentBytes = mtu - 40;
/** Nanoseconds until something is sent again: at first, and at most. */
const firstTimeout = 1e9;
const longestTimeout = 30e9;
const mostRetries = 10;
/** Acknowledgements of the same byte from which on the next one is lost. */
const lossSign = 3;

/** What a connection needs of the network. */
export interface TcpWire {
  now(): number;
  /** Frames may be sent to the guest. */
  readonly room: boolean;
  /** Sends a segment to the guest. */
  transmit(connection: TcpConnection, segment: Segment, options?: readonly number[]): void;
  /** It is over. */
  forget(connection: TcpConnection): void;
}

/** The addresses of both ends, as the guest sees them. */
export interface Ends {
  readonly guest: number;
  readonly guestPort: number;
  readonly peer: number;
  readonly peerPort: number;
}

/**
 * `connecting`: the guest has asked, the host's socket is not connected yet; `accepting`: our SYN with ACK is under way;
 * `calling`: our SYN to the guest is.
 */
type State = 'connecting' | 'accepting' | 'calling' | 'open' | 'over';

const none = new Uint8Array(0);
const difference = (a: number, b: number): number => (a - b) | 0;

export class TcpConnection {
  readonly ends: Ends;
  readonly socket: Socket;
  state: State;
  private readonly wire: TcpWire;
  /** Bytes for the guest from `unacknowledged` on. */
  private readonly outgoing = new ByteQueue();
  private readonly firstSequence = randomInt(2 ** 32);
  /** The oldest byte the guest has not acknowledged, and the next one to send. */
  private unacknowledged = this.firstSequence;
  private next = this.firstSequence;
  /** The furthest byte sent so far. */
  private furthest = this.firstSequence;
  private window = 0;
  private guestScale: number | null = null;
  private segmentSize = 536;
  private repeats = 0;
  /** The next byte of the guest's, and the end of what it may send. */
  private expected = 0;
  private allowed = 0;
  private guestEnded = false;
  private hostEnded = false;
  private finSent = false;
  private answerDue = false;
  /** When what is under way is sent again. */
  private deadline = Infinity;
  private timeout = firstTimeout;
  private retries = 0;

  /** `state` `connecting` or `calling`; `socket` is paused until the guest is connected. */
  constructor(wire: TcpWire, ends: Ends, socket: Socket, state: 'connecting' | 'calling') {
    this.wire = wire;
    this.ends = ends;
    this.socket = socket;
    this.state = state;
    socket.setNoDelay(true);
    socket.on('data', (bytes: Buffer) => {
      this.outgoing.push(bytes);
      if (this.outgoing.length >= bufferBytes) socket.pause();
      this.pump();
    });
    socket.on('end', () => {
      this.hostEnded = true;
      this.pump();
    });
    socket.on('drain', () => this.opened());
    socket.on('error', () => this.abort());
    socket.on('close', () => {
      if (!this.hostEnded) this.abort();
    });
    socket.pause();
    if (state === 'calling') this.sendSyn();
  }

  private get receiveScale(): number {
    return this.guestScale === null ? 0 : windowScale;
  }

  /** Bytes that the guest may send beyond `expected`. */
  private get receiveWindow(): number {
    const most = this.guestScale === null ? largestWindow : bufferBytes;
    const room = Math.max(0, most - this.socket.writableLength);
    // A window that was given is not taken back.
    return Math.max(room & ~((1 << this.receiveScale) - 1), difference(this.allowed, this.expected));
  }

  private send(bits: number, sequence: number, data: Uint8Array = none, options?: readonly number[]): void {
    const syn = (bits & flags.syn) !== 0;
    const window = this.receiveWindow;
    const stands = syn ? Math.min(window, largestWindow) : window >> this.receiveScale;
    if (this.state !== 'calling') this.allowed = (this.expected + (syn ? stands : stands << this.receiveScale)) >>> 0;
    this.answerDue = false;
    const { guestPort, peerPort } = this.ends;
    const segment = {
      sourcePort: peerPort,
      targetPort: guestPort,
      sequence,
      acknowledged: bits & flags.ack ? this.expected : 0,
      flags: bits,
      window: stands,
      data,
    };
    this.wire.transmit(this, segment, options);
  }

  private sendSyn(): void {
    const answer = this.state === 'accepting';
    const scale = answer && this.guestScale === null ? null : windowScale;
    this.send(answer ? flags.syn | flags.ack : flags.syn, this.firstSequence, none, synOptions(segmentBytes, scale));
    this.next = this.furthest = (this.firstSequence + 1) >>> 0;
    this.arm();
  }

  private arm(): void {
    this.deadline = this.wire.now() + this.timeout;
  }

  /** The host's socket is connected: the guest is told. */
  accept(): void {
    if (this.state !== 'connecting') return;
    this.state = 'accepting';
    this.sendSyn();
  }

  /** The guest's SYN that opens the connection. */
  takeSyn(segment: Segment & { readonly options: Uint8Array }): void {
    const { segmentSize, windowScale: scale } = readSynOptions(segment.options);
    this.segmentSize = Math.min(segmentSize, segmentBytes);
    this.guestScale = scale;
    this.expected = this.allowed = (segment.sequence + 1) >>> 0;
    this.window = segment.window;
  }

  /** A segment of the guest. */
  take(segment: Segment & { readonly options: Uint8Array }): void {
    if (this.state === 'over') return;
    if (this.state === 'calling') {
      this.takeAnswer(segment);
      return;
    }
    const { flags: bits } = segment;
    if (bits & flags.rst) {
      // Only one that fits: others may be forged, or old.
      if (segment.sequence === this.expected || this.state === 'connecting') this.end(true);
      return;
    }
    if (bits & flags.syn) {
      if (this.state === 'accepting') this.sendSyn();
      else if (this.state === 'open') this.send(flags.ack, this.next);
      return;
    }
    if (!(bits & flags.ack) || this.state === 'connecting') return;
    if (!this.takeAcknowledgement(segment)) return;
    this.takeData(segment);
    this.pump();
    this.finish();
  }

  /** The guest's answer to our SYN. */
  private takeAnswer(segment: Segment & { readonly options: Uint8Array }): void {
    const { flags: bits, acknowledged } = segment;
    if (!(bits & flags.ack) || acknowledged !== this.next) return;
    if (bits & flags.rst) this.end(true);
    if ((bits & (flags.syn | flags.rst)) !== flags.syn) return;
    this.takeSyn(segment);
    this.state = 'open';
    this.unacknowledged = this.next;
    this.connect(segment.window);
    this.send(flags.ack, this.next);
  }

  private connect(window: number): void {
    this.window = window;
    this.progressed();
    this.socket.resume();
  }

  private progressed(): void {
    this.timeout = firstTimeout;
    this.retries = 0;
    this.repeats = 0;
    this.deadline = Infinity;
    if (this.unacknowledged !== this.next) this.arm();
  }

  /** False: the segment is about something that was never sent. */
  private takeAcknowledgement(segment: Segment): boolean {
    const { acknowledged, data } = segment;
    if (difference(acknowledged, this.furthest) > 0) {
      this.send(flags.ack, this.next);
      return false;
    }
    const window = segment.window << (this.guestScale === null ? 0 : this.guestScale);
    const gained = difference(acknowledged, this.unacknowledged);
    if (this.state === 'accepting') {
      if (acknowledged !== this.next) return false;
      this.state = 'open';
      this.unacknowledged = acknowledged;
      this.connect(window);
      return true;
    }
    if (gained > 0) {
      // FIN counts as a byte.
      const dropped = Math.min(gained, this.outgoing.length);
      this.outgoing.drop(dropped);
      this.unacknowledged = acknowledged;
      if (difference(this.next, acknowledged) < 0) this.next = acknowledged;
      if (this.socket.isPaused() && this.outgoing.length < bufferBytes / 2) this.socket.resume();
      this.progressed();
    } else if (gained === 0 && data.length === 0 && window === this.window && this.next !== acknowledged) {
      if (++this.repeats === lossSign) this.next = this.unacknowledged;
    }
    if (gained >= 0) {
      // An answer to a probe: the guest is there.
      if (window === 0) this.retries = 0;
      // What was sent into a closed window was not taken.
      else if (this.window === 0) this.next = this.unacknowledged;
      this.window = window;
    }
    return true;
  }

  private takeData({ sequence, data, flags: bits }: Segment): void {
    const fin = (bits & flags.fin) !== 0;
    if (data.length === 0 && !fin) {
      // What asks whether the connection is alive stands before what is expected.
      if (sequence !== this.expected) this.answerDue = true;
      return;
    }
    this.answerDue = true;
    const known = difference(this.expected, sequence);
    if (known < 0 || known > data.length || this.guestEnded) return;
    const room = difference(this.allowed, this.expected);
    const fresh = data.subarray(known, known + Math.max(room, 0));
    if (fresh.length > 0) {
      this.socket.write(fresh.slice());
      this.expected = (this.expected + fresh.length) >>> 0;
    }
    if (!fin || known + fresh.length < data.length) return;
    this.expected = (this.expected + 1) >>> 0;
    this.guestEnded = true;
    this.socket.end();
  }

  /** The host has taken what was kept: the guest may send more. */
  private opened(): void {
    if (this.state !== 'open' || this.guestEnded) return;
    const gain = this.receiveWindow - difference(this.allowed, this.expected);
    if (gain >= 2 * segmentBytes) this.send(flags.ack, this.next);
  }

  /** Acknowledges what has come, if that has not been done. */
  answer(): void {
    if (this.answerDue && this.state === 'open') this.send(flags.ack, this.next);
  }

  get wantsAnswer(): boolean {
    return this.answerDue;
  }

  /** Sends what the guest's window and the wire have room for. */
  pump(): void {
    if (this.state !== 'open') return;
    while (this.wire.room && this.sendNext());
    this.answer();
  }

  private sendNext(): boolean {
    const under = difference(this.next, this.unacknowledged);
    const left = this.outgoing.length - under;
    const bytes = Math.min(left, this.window - under, this.segmentSize);
    if (bytes <= 0) {
      if (left > 0) {
        // The window is closed: `tick` asks whether it still is.
        if (this.deadline === Infinity) this.arm();
        return false;
      }
      return this.sendFin(left);
    }
    // Small pieces that only the window asks for wait until it is open.
    if (bytes < this.segmentSize && bytes < left && under > 0) return false;
    this.sendData(under, bytes, bytes === left);
    return true;
  }

  private sendData(offset: number, bytes: number, push: boolean): void {
    const data = new Uint8Array(bytes);
    this.outgoing.copy(offset, data);
    this.send(flags.ack | (push ? flags.psh : 0), this.next, data);
    this.advance(bytes);
  }

  private advance(bytes: number): void {
    this.next = (this.next + bytes) >>> 0;
    if (difference(this.next, this.furthest) > 0) this.furthest = this.next;
    if (this.deadline === Infinity) this.arm();
  }

  /** `left` is 0 where everything but FIN was sent. */
  private sendFin(left: number): boolean {
    const taken = this.finSent && this.unacknowledged === this.furthest;
    if (!this.hostEnded || left < 0 || taken) return false;
    this.send(flags.ack | flags.fin, this.next);
    this.finSent = true;
    this.advance(1);
    return false;
  }

  /** Ends it if both sides have. */
  private finish(): void {
    const all = this.finSent && this.unacknowledged === this.furthest;
    if (all && this.guestEnded) this.end(false);
  }

  /** Sends again what the guest did not take. */
  tick(now: number): void {
    if (now < this.deadline || this.state === 'over') return;
    if (++this.retries > mostRetries) {
      this.abort();
      return;
    }
    this.timeout = Math.min(this.timeout * 2, longestTimeout);
    this.arm();
    if (this.state !== 'open') {
      if (this.state !== 'connecting') this.sendSyn();
      return;
    }
    this.next = this.unacknowledged;
    if (this.window === 0 && this.outgoing.length > 0) this.sendData(0, 1, false);
    else this.pump();
  }

  /** The host's side is gone, or nobody answers: the guest is told. */
  abort(): void {
    if (this.state === 'over') return;
    const sequence = this.state === 'connecting' ? 0 : this.next;
    this.send(this.state === 'calling' ? flags.rst : flags.rst | flags.ack, sequence);
    this.end(true);
  }

  /** `reset`: the host's side is not closed in order. */
  end(reset: boolean): void {
    if (this.state === 'over') return;
    this.state = 'over';
    this.wire.forget(this);
    if (reset) this.socket.resetAndDestroy();
    else this.socket.destroySoon();
  }

  /** Bytes that wait for the guest, and for the host. */
  get waiting(): number {
    return this.outgoing.length + this.socket.writableLength;
  }
}
