import { unlinkSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { OptionError } from '../option-string.ts';
import { Chardev } from './chardev.ts';

/** Where a socket is: a TCP port of a host (empty: all), or a path. */
export type SocketAddress = { readonly host: string; readonly port: number } | { readonly path: string };

/** A TCP or unix socket: a connection of ours, or (`server`) of whoever comes, one at a time. What nobody reads is lost. */
export class SocketChardev extends Chardev {
  readonly filename: string;
  private readonly option: string;
  private readonly address: SocketAddress;
  private readonly wait: boolean;
  private readonly listener: Server | null;
  private socket: Socket | null = null;
  /** Connections that wait for the one in use to end. */
  private readonly waiting: Socket[] = [];
  private held = false;

  /** `wait`: `ready` settles when the first one has come. */
  constructor(option: string, address: SocketAddress, server: boolean, wait: boolean) {
    super();
    this.option = option;
    this.address = address;
    this.wait = wait;
    this.connected = false;
    const where = 'path' in address ? `unix:${address.path}` : `tcp:${address.host}:${address.port}`;
    this.filename = server ? `${where},server=on` : where;
    this.listener = server ? createServer((socket) => this.accept(socket)) : null;
  }

  override async ready(): Promise<void> {
    const { address, listener, option } = this;
    const options = 'path' in address ? address : { port: address.port, ...(address.host && { host: address.host }) };
    if (listener && 'path' in address) removeOldSocket(address.path);
    const socket = listener ? null : createConnection(options);
    const target = listener ?? socket!;
    await new Promise<void>((resolve, reject) => {
      target.on('error', (error: NodeJS.ErrnoException) =>
        reject(new OptionError(`${option}: ${this.filename}: ${error.code ?? error.message}`)),
      );
      target.on(listener ? 'listening' : 'connect', resolve);
      listener?.listen(options);
    });
    if (socket) this.use(socket);
    if (!listener || !this.wait || this.connected) return;
    process.stderr.write(`waiting for connection on: ${this.filename}\n`);
    await new Promise<void>((resolve) => listener.once('connection', () => resolve()));
  }

  private accept(socket: Socket): void {
    if (!this.socket) this.use(socket);
    else if (this.waiting.length < mostWaiting) this.waiting.push(socket.pause().on('error', () => {}));
    else socket.destroy();
  }

  private use(socket: Socket): void {
    this.socket = socket;
    if (this.held) socket.pause();
    else socket.resume();
    socket.on('data', (bytes: Buffer) => this.take(bytes));
    socket.on('drain', () => this.drained());
    socket.on('error', () => {});
    socket.on('close', () => {
      this.socket = null;
      this.setConnected(false);
      const next = this.waiting.shift();
      if (next) this.use(next);
    });
    this.setConnected(true);
  }

  override hold(on: boolean): void {
    this.held = on;
    if (on) this.socket?.pause();
    else this.socket?.resume();
  }

  protected override get backlog(): number {
    return this.socket?.writableLength ?? 0;
  }

  protected put(bytes: Uint8Array): void {
    this.socket?.write(bytes);
  }

  override async close(): Promise<void> {
    this.flush();
    this.listener?.close();
    for (const waiting of this.waiting.splice(0)) waiting.destroy();
    const { socket } = this;
    if (!socket) return;
    await new Promise<void>((resolve) => {
      const given = setTimeout(resolve, closingTime);
      socket.on('close', () => {
        clearTimeout(given);
        resolve();
      });
      socket.resume();
      socket.end(() => socket.destroy());
    });
  }
}

const mostWaiting = 8;
/** Milliseconds that the other end has to take what is left. */
const closingTime = 1000;

/** A socket that a run before has left. */
function removeOldSocket(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Listening tells what is wrong with the path.
  }
}
