import { OptionError, OptionString } from '../option-string.ts';
import { type Chardev, NullChardev } from './chardev.ts';
import { Mux } from './mux.ts';
import { PtyChardev } from './pty.ts';
import { type SocketAddress, SocketChardev } from './socket.ts';
import { FileChardev, Stdio } from './stdio.ts';

/* Character devices by their ids, and QEMU's two ways of writing them. */

/** What a character device leads to. */
type Backend =
  | { readonly kind: 'null' | 'pty' }
  /** `signal`: Ctrl-C ends the machine. */
  | { readonly kind: 'stdio'; readonly signal: boolean }
  | { readonly kind: 'file'; readonly path: string; readonly append: boolean }
  | { readonly kind: 'socket'; readonly address: SocketAddress; readonly server: boolean; readonly wait: boolean };

/** `-chardev help`. */
export const chardevKinds: Readonly<Record<string, string>> = {
  null: 'nothing comes in, what goes out is lost',
  stdio: 'the terminal, or stdin and stdout: signal=on|off',
  file: 'output to a file: path=F, append=on|off',
  socket: 'a connection: host=H,port=P or path=F; server=on|off, wait=on|off',
  pty: 'a new pseudoterminal of the host (Linux)',
};

/** `-serial help`: the short form. */
export const shortForms = 'stdio, pty, null, none, file:F, tcp:HOST:PORT[,server][,nowait], unix:F[,server][,nowait]';

interface Entry {
  readonly id: string;
  readonly base: Chardev;
  /** Null: it has one user. */
  readonly mux: Mux | null;
  used: boolean;
}

/** All character devices of a machine. */
export class Chardevs {
  private readonly entries = new Map<string, Entry>();
  private readonly quit: () => void;
  private terminal: string | null = null;

  /** `quit`: what Ctrl-A x does. */
  constructor(quit: () => void) {
    this.quit = quit;
  }

  /** `-chardev KIND,id=…`. Throws OptionError, as all of these. */
  add(value: string): void {
    const options = new OptionString('-chardev', value);
    const id = options.get('id');
    if (id === undefined) throw options.wrong('an id is needed');
    if (this.entries.has(id)) throw options.wrong(`there is a character device '${id}' already`);
    const mux = options.flag('mux', false);
    const backend = longForm(options, mux);
    options.finish();
    this.open(id, `-chardev ${id}`, backend, mux);
  }

  /**
   * The device that `-serial SPEC` or the like means: the short form, `mon:` before it if several share it, or
   * `chardev:ID`. Returns the id it is known by.
   */
  define(id: string, option: string, spec: string): string {
    if (spec.startsWith('chardev:')) return spec.slice('chardev:'.length);
    const shared = spec.startsWith('mon:');
    const backend = shortForm(new OptionString(option, shared ? spec.slice('mon:'.length) : spec), shared);
    this.open(id, `${option} ${spec}`, backend, shared);
    return id;
  }

  /** A user's side of the device `id`. */
  attach(id: string, option: string): Chardev {
    const entry = this.entries.get(id);
    if (!entry) throw new OptionError(`${option}: no character device '${id}'`);
    if (entry.mux) return entry.mux.port();
    if (entry.used) throw new OptionError(`${option}: the character device '${id}' is in use (mux=on shares one)`);
    entry.used = true;
    return entry.base;
  }

  /** Several may use the device `id`, in turn. */
  isShared(id: string): boolean {
    return (this.entries.get(id)?.mux ?? null) !== null;
  }

  private open(id: string, option: string, backend: Backend, shared: boolean): void {
    const base = this.make(option, backend);
    this.entries.set(id, { id, base, mux: shared ? new Mux(base, { quit: this.quit }) : null, used: false });
    if (backend.kind === 'pty') {
      process.stdout.write(`char device redirected to ${base.filename.slice('pty:'.length)} (label ${id})\n`);
    }
  }

  private make(option: string, backend: Backend): Chardev {
    switch (backend.kind) {
      case 'null':
        return new NullChardev();
      case 'stdio':
        if (this.terminal !== null) throw new OptionError(`${option}: stdio is taken by ${this.terminal}`);
        this.terminal = option;
        return new Stdio(backend.signal ? this.quit : null);
      case 'file':
        return new FileChardev(option, backend.path, backend.append);
      case 'socket':
        return new SocketChardev(option, backend.address, backend.server, backend.wait);
      case 'pty':
        return new PtyChardev(option);
    }
  }

  /** For `info chardev` and query-chardev. */
  get list(): readonly { readonly label: string; readonly filename: string; readonly open: boolean }[] {
    return [...this.entries.values()].map(({ id, base, mux }) => ({
      label: id,
      filename: mux ? `mux:${base.filename}` : base.filename,
      open: base.connected,
    }));
  }

  /** Settles when the guest may start; throws OptionError. */
  async ready(): Promise<void> {
    await Promise.all([...this.entries.values()].map(({ base }) => base.ready()));
  }

  /** Writes out what is left; the terminal is what it was. */
  async close(): Promise<void> {
    await Promise.all([...this.entries.values()].map(({ base }) => base.close()));
  }
}

function shortForm(options: OptionString, shared: boolean): Backend {
  const backend = shortBackend(options, shared);
  options.finish();
  return backend;
}

function shortBackend(options: OptionString, shared: boolean): Backend {
  const { first } = options;
  if (first === 'none') return { kind: 'null' };
  if (first === 'null' || first === 'pty') return { kind: first };
  if (first === 'stdio') return { kind: 'stdio', signal: !shared };
  const [, scheme, rest = ''] = /^(file|tcp|unix):(.*)$/s.exec(first) ?? [];
  if (rest !== '' && scheme === 'file') return { kind: 'file', path: rest, append: false };
  if (rest !== '' && scheme === 'unix') return socket(options, { path: rest });
  const [, host, port] = /^(.*):(\d+)$/.exec(rest) ?? [];
  if (scheme === 'tcp' && port !== undefined) return socket(options, tcpAddress(options, host!, port));
  throw options.wrong(shortForms);
}

function longForm(options: OptionString, shared: boolean): Backend {
  const path = (): string => {
    const value = options.get('path');
    if (value === undefined) throw options.wrong('a path is needed');
    return value;
  };
  switch (options.first) {
    case 'null':
    case 'pty':
      return { kind: options.first };
    case 'stdio':
      return { kind: 'stdio', signal: options.flag('signal', !shared) };
    case 'file':
      return { kind: 'file', path: path(), append: options.flag('append', false) };
    case 'socket': {
      const port = options.get('port');
      const address = port === undefined ? { path: path() } : tcpAddress(options, options.get('host') ?? '', port);
      return socket(options, address);
    }
    default:
      throw options.wrong(`unknown kind: ${Object.keys(chardevKinds).join(', ')}`);
  }
}

function tcpAddress(options: OptionString, host: string, text: string): SocketAddress {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65535) throw options.wrong(`no port: '${text}'`);
  return { host: host.replace(/^\[(.*)\]$/, '$1'), port };
}

function socket(options: OptionString, address: SocketAddress): Backend {
  const server = options.flag('server', false);
  return { kind: 'socket', address, server, wait: options.flag('wait', server) };
}
