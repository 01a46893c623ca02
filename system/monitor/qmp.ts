import type { Chardev } from '../char/chardev.ts';
import { type MachineControl, type MachineEvent, MonitorError } from './control.ts';
import { JsonStream } from './json-stream.ts';
import { checkArguments, QmpError, qmpCommands, versionInfo } from './qmp-commands.ts';

type JsonObject = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** QMP on a character device: JSON requests, answered in order, and events. */
export class QmpMonitor {
  private readonly chardev: Chardev;
  private readonly control: MachineControl;
  private readonly pretty: boolean;
  private stream = new JsonStream();
  /** The client has asked for its capabilities: it may give commands, and is told of events. */
  private negotiated = false;
  private queue: Promise<void> = Promise.resolve();

  constructor(chardev: Chardev, control: MachineControl, pretty: boolean) {
    this.chardev = chardev;
    this.control = control;
    this.pretty = pretty;
    chardev.onInput((bytes) => this.take(bytes));
    chardev.onOpen((open) => {
      if (open) this.greet();
    });
    if (chardev.connected) this.greet();
    control.listen((event) => this.tell(event));
  }

  private send(value: unknown): void {
    this.chardev.send(`${JSON.stringify(value, null, this.pretty ? 4 : 0)}\r\n`);
  }

  private greet(): void {
    this.negotiated = false;
    this.stream = new JsonStream();
    this.send({ QMP: { version: versionInfo(this.control.parts.version), capabilities: [] } });
  }

  private tell({ event, data }: MachineEvent): void {
    if (!this.negotiated) return;
    const now = Date.now();
    const timestamp = { seconds: Math.floor(now / 1000), microseconds: (now % 1000) * 1000 };
    this.send({ timestamp, event, ...(data && { data }) });
  }

  private take(bytes: Uint8Array): void {
    for (const text of this.stream.take(bytes)) {
      this.queue = this.queue.then(async () => this.send(await this.answer(text)));
    }
  }

  private async answer(text: string): Promise<unknown> {
    let id: unknown;
    try {
      const request = parse(text);
      id = request.id;
      const result = await this.execute(request);
      return { return: result, ...(id !== undefined && { id }) };
    } catch (error) {
      const known = error instanceof QmpError || error instanceof MonitorError;
      if (!known) throw error;
      const errorClass = error instanceof QmpError ? error.errorClass : 'GenericError';
      return { error: { class: errorClass, desc: error.message }, ...(id !== undefined && { id }) };
    }
  }

  private async execute(request: JsonObject): Promise<unknown> {
    const { execute: name, arguments: args = {} } = request;
    const strange = Object.keys(request).find((key) => !['execute', 'arguments', 'id'].includes(key));
    if (strange !== undefined) throw new QmpError('GenericError', `QMP input member '${strange}' is unexpected`);
    if (name === undefined) throw new QmpError('GenericError', "QMP input lacks member 'execute'");
    if (typeof name !== 'string') {
      throw new QmpError('GenericError', "QMP input member 'execute' must be a string");
    }
    if (!isObject(args)) throw new QmpError('GenericError', "QMP input member 'arguments' must be an object");
    const command = Object.hasOwn(qmpCommands, name) ? qmpCommands[name] : undefined;
    if (!command) throw new QmpError('CommandNotFound', `The command ${name} has not been found`);
    if (!this.negotiated && name !== 'qmp_capabilities') {
      throw new QmpError('CommandNotFound', "Expecting capabilities negotiation with 'qmp_capabilities'");
    }
    checkArguments(command, args);
    if (this.negotiated) return await command.run(this.control, args);
    const [wanted] = (args.enable ?? []) as unknown[];
    if (wanted !== undefined)
      throw new QmpError('GenericError', `Capability '${JSON.stringify(wanted)}' is not available`);
    this.negotiated = true;
    return {};
  }
}

/** A request. Throws QmpError. */
function parse(text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new QmpError('GenericError', `JSON parse error, ${(error as Error).message}`);
  }
  if (!isObject(value)) throw new QmpError('GenericError', 'QMP input must be a JSON object');
  return value;
}
