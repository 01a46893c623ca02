import { VirtioDevice, virtioIds } from '../device.ts';
import type { SharedFiles } from './files.ts';
import { FileServer } from './server.ts';

/* A folder of the host that the guest mounts by its tag (virtio transport of 9P, Linux's net/9p/trans_virtio.c). */

/** Feature: the configuration space has the tag. */
const mountTag = 0;
/** Bytes of a message: its length comes first. */
const lengthBytes = 4;

export class Virtio9p extends VirtioDevice {
  readonly name = 'virtio-9p-device';
  readonly id = virtioIds.fileSystem9p;
  readonly queueSizes = [128];
  override readonly features = [mountTag];
  override readonly config: Uint8Array;
  private readonly server: FileServer;

  constructor(files: SharedFiles, tag: string) {
    super();
    const text = new TextEncoder().encode(tag);
    this.config = new Uint8Array(2 + text.length);
    new DataView(this.config.buffer).setUint16(0, text.length, true);
    this.config.set(text, 2);
    this.server = new FileServer(files);
  }

  notified(index: number): void {
    const queue = this.queue(index);
    for (let chain = queue.pop(); chain; chain = queue.pop()) {
      const { readable, writable } = chain;
      const message = new Uint8Array(readable.length);
      readable.read(0, message);
      if (message.length < lengthBytes || writable.length === 0) {
        this.transport.broken();
        return;
      }
      queue.push(chain, writable.write(0, this.server.answer(message)));
    }
  }

  override reset(): void {
    this.server.reset();
  }

  override save() {
    return this.server.save();
  }

  override load(state: unknown): void {
    this.server.load(state as ReturnType<FileServer['save']>);
  }
}
