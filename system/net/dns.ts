import { promises as dns } from 'node:dns';
import { viewOf } from './packets.ts';

/* A DNS server (RFC 1035) that answers what the host's resolver says, its hosts file included. */

export const dnsPort = 53;

const headerBytes = 12;
const types = { a: 1, ns: 2, cname: 5, soa: 6, ptr: 12, mx: 15, txt: 16, aaaa: 28, srv: 33, opt: 41 } as const;
const internet = 1;
const rcodes = { formatError: 1, serverFailure: 2, noName: 3, notImplemented: 4 } as const;
/** Response, recursion available. */
const answerFlags = 0x8080;
const truncated = 0x0200;
const recursionDesired = 0x0100;
const opcodeMask = 0x7800;
const plainBytes = 512;
const mostBytes = 1472;
/** Seconds that answers may be kept, where the host's resolver does not say. */
const lifetime = 60;
/** Questions under way. */
const mostQuestions = 64;

interface Question {
  readonly name: string;
  readonly type: number;
  /** Where it ends in the message. */
  readonly end: number;
}

let underWay = 0;

/** The answer to a query; null if it is none, or too many are under way. Never rejects. */
export async function answerQuery(query: Uint8Array): Promise<Uint8Array | null> {
  if (query.length < headerBytes || query[2]! & 0x80 || underWay >= mostQuestions) return null;
  const view = viewOf(query);
  if (view.getUint16(2) & opcodeMask) return respond(query, headerBytes, rcodes.notImplemented, []);
  const question = view.getUint16(4) === 1 ? readQuestion(query) : null;
  if (!question) return respond(query, headerBytes, rcodes.formatError, []);
  underWay++;
  try {
    const answers = await resolve(question);
    return respond(query, question.end, answers ? 0 : rcodes.notImplemented, answers ?? []);
  } catch (error) {
    return respond(query, question.end, rcodeOf(error), []);
  } finally {
    underWay--;
  }
}

function readQuestion(query: Uint8Array): Question | null {
  const labels: string[] = [];
  let at = headerBytes;
  for (; query[at] !== 0; at += query[at]! + 1) {
    const length = query[at];
    // A question has no compressed names.
    if (length === undefined || length > 63 || at + length >= query.length || labels.length > 127) return null;
    labels.push(String.fromCharCode(...query.subarray(at + 1, at + 1 + length)));
  }
  if (at + 5 > query.length) return null;
  const view = viewOf(query);
  return view.getUint16(at + 3) === internet
    ? { name: labels.join('.'), type: view.getUint16(at + 1), end: at + 5 }
    : null;
}

/** An answer's record about the name asked for. */
interface Answer {
  readonly type: number;
  readonly seconds: number;
  readonly data: readonly number[];
}

/** What the host knows; null for a type that is not served. Throws Node's errors. */
async function resolve({ name, type }: Question): Promise<Answer[] | null> {
  const answers = (rows: readonly (readonly number[])[]): Answer[] =>
    rows.map((data) => ({ type, seconds: lifetime, data }));
  switch (type) {
    case types.a:
      return answers((await addresses(name, 4)).map(bytesOfV4));
    case types.aaaa:
      return answers((await addresses(name, 6)).map(bytesOfV6));
    case types.ptr:
      return answers((await dns.resolvePtr(name)).map(nameBytes));
    case types.cname:
      return answers((await dns.resolveCname(name)).map(nameBytes));
    case types.ns:
      return answers((await dns.resolveNs(name)).map(nameBytes));
    case types.txt:
      return answers((await dns.resolveTxt(name)).map((parts) => parts.flatMap(textBytes)));
    case types.mx:
      return answers((await dns.resolveMx(name)).map((mx) => [...u16(mx.priority), ...nameBytes(mx.exchange)]));
    case types.srv:
      return answers(
        (await dns.resolveSrv(name)).map((srv) => [
          ...[srv.priority, srv.weight, srv.port].flatMap(u16),
          ...nameBytes(srv.name),
        ]),
      );
    case types.soa: {
      const soa = await dns.resolveSoa(name);
      const numbers = [soa.serial, soa.refresh, soa.retry, soa.expire, soa.minttl].flatMap(u32);
      return answers([[...nameBytes(soa.nsname), ...nameBytes(soa.hostmaster), ...numbers]]);
    }
    default:
      return null;
  }
}

/** Addresses of one family; none for a name that has others only. */
async function addresses(name: string, family: 4 | 6): Promise<string[]> {
  const found = await dns.lookup(name, { all: true });
  return found.filter((entry) => entry.family === family).map(({ address }) => address);
}

function rcodeOf(error: unknown): number {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOTFOUND') return rcodes.noName;
  return code === 'ENODATA' ? 0 : rcodes.serverFailure;
}

const u16 = (value: number): number[] => [(value >>> 8) & 255, value & 255];
const u32 = (value: number): number[] => [...u16(value >>> 16), ...u16(value & 0xffff)];
const bytesOfV4 = (address: string): number[] => address.split('.').map(Number);
const textBytes = (text: string): number[] => {
  const bytes = new TextEncoder().encode(text).subarray(0, 255);
  return [bytes.length, ...bytes];
};
const nameBytes = (name: string): number[] => [...name.split('.').filter(Boolean).flatMap(textBytes), 0];

function bytesOfV6(address: string): number[] {
  const [head = '', tail] = address.split('%')[0]!.split('::');
  const words = (part: string): number[] => (part === '' ? [] : part.split(':')).flatMap(groupWords);
  const [front, back] = [words(head), words(tail ?? '')];
  return [...front, ...new Array<number>(Math.max(0, 8 - front.length - back.length)).fill(0), ...back].flatMap(u16);
}

/** A group of an address: a word, or an IPv4 address at its end. */
const groupWords = (group: string): number[] => {
  if (!group.includes('.')) return [Number.parseInt(group, 16)];
  const [a = 0, b = 0, c = 0, d = 0] = bytesOfV4(group);
  return [(a << 8) | b, (c << 8) | d];
};

/** A response to `query`, whose question ends at `end`; cut off where the client takes no more. */
function respond(query: Uint8Array, end: number, rcode: number, answers: readonly Answer[]): Uint8Array {
  const most = clientBytes(query, end);
  const bytes = [...query.subarray(0, end)];
  const asked = viewOf(query);
  let flags = answerFlags | (asked.getUint16(2) & (opcodeMask | recursionDesired)) | rcode;
  let count = 0;
  for (const { type, seconds, data } of answers) {
    // The name asked for stands behind the header.
    const record = [0xc0, headerBytes, ...u16(type), ...u16(internet), ...u32(seconds), ...u16(data.length), ...data];
    if (bytes.length + record.length > most) {
      flags |= truncated;
      break;
    }
    bytes.push(...record);
    count++;
  }
  const message = Uint8Array.from(bytes);
  const view = viewOf(message);
  view.setUint16(2, flags);
  view.setUint16(4, end > headerBytes ? 1 : 0);
  view.setUint16(6, count);
  view.setUint32(8, 0);
  return message;
}

/** Bytes that the client takes: more than 512 only with an OPT record (RFC 6891) right behind the question. */
function clientBytes(query: Uint8Array, end: number): number {
  const view = viewOf(query);
  const hasOption = end + 5 <= query.length && query[end] === 0 && view.getUint16(end + 1) === types.opt;
  return hasOption ? Math.min(mostBytes, Math.max(plainBytes, view.getUint16(end + 3))) : plainBytes;
}
