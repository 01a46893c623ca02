import { createConnection, type Socket } from 'node:net';

type Message = Readonly<Record<string, unknown>>;

/** A QMP client that takes nothing but what the protocol's specification allows. */
export class QmpClient {
  readonly events: Message[] = [];
  private readonly socket: Socket;
  private readonly answers: Message[] = [];
  private waiting: ((message: Message) => void) | null = null;
  private text = '';
  private greeting: Message | null = null;
  private id = 0;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => this.take(text));
    socket.on('error', () => {});
  }

  /** Connects to a unix socket, as soon as there is one, and negotiates. */
  static async connect(path: string, attempts = 200): Promise<QmpClient> {
    for (let attempt = 0; ; attempt++) {
      const socket = createConnection(path);
      const connected = await new Promise<boolean>((resolve) => {
        socket.on('connect', () => resolve(true));
        socket.on('error', () => resolve(false));
      });
      if (!connected && attempt >= attempts) throw new Error(`no QMP server at ${path}`);
      if (!connected) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        continue;
      }
      const client = new QmpClient(socket);
      await client.execute('qmp_capabilities');
      return client;
    }
  }

  private take(text: string): void {
    this.text += text;
    for (let end = this.text.indexOf('\r\n'); end >= 0; end = this.text.indexOf('\r\n')) {
      this.message(JSON.parse(this.text.slice(0, end)) as Message);
      this.text = this.text.slice(end + 2);
    }
  }

  private message(message: Message): void {
    const kinds = ['QMP', 'return', 'error', 'event'].filter((key) => key in message);
    if (kinds.length !== 1) throw new Error(`no message of QMP: ${JSON.stringify(message)}`);
    const [kind] = kinds;
    if (kind === 'QMP') {
      if (this.greeting) throw new Error('a second greeting');
      this.greeting = message;
    } else if (!this.greeting) {
      throw new Error('a message before the greeting');
    } else if (kind === 'event') {
      this.events.push(message);
    } else if (this.waiting) {
      this.waiting(message);
      this.waiting = null;
    } else {
      this.answers.push(message);
    }
  }

  /** Sends text as it is; resolves with the answer. */
  async raw(text: string): Promise<Message> {
    this.socket.write(text);
    const waiting = this.answers.shift();
    if (waiting) return waiting;
    return await new Promise((resolve) => {
      this.waiting = resolve;
    });
  }

  /** A command's result. Throws if it fails or the answer has another id. */
  async execute(name: string, args?: Message): Promise<unknown> {
    const id = `request-${this.id++}`;
    const answer = await this.raw(JSON.stringify({ execute: name, id, ...(args && { arguments: args }) }));
    if (answer.id !== id) throw new Error(`answer with id ${String(answer.id)}, not ${id}`);
    if (!('return' in answer)) throw new Error(JSON.stringify(answer.error));
    return answer.return;
  }

  /** A line of the human monitor; what it prints. */
  async human(line: string): Promise<string> {
    return (await this.execute('human-monitor-command', { 'command-line': line })) as string;
  }

  get eventNames(): readonly unknown[] {
    return this.events.map(({ event }) => event);
  }

  close(): void {
    this.socket.destroy();
  }
}
