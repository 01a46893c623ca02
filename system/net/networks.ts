import type { Clock } from '#hw/device.ts';
import type { NetworkLink } from '#hw/net/link.ts';
import { property } from '../option-properties.ts';
import { OptionError, OptionString } from '../option-string.ts';
import { macText, parseMac } from './address.ts';
import { readNetdev } from './options.ts';
import { UserNetwork } from './user.ts';

/** A `mac` property: that of a single card. */
export const macProperty = {
  ...property.text('address of the card (default: 52:54:00:12:34:56 and up)'),
  read: (text: string) => (parseMac(text) ? text : undefined),
};

/** QEMU's addresses of cards: this one and up. */
const firstMac = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56] as const;
/** The card of a `-nic` option. */
const nicModels: readonly string[] = ['virtio', 'virtio-net-device'];

interface Entry {
  readonly id: string;
  readonly network: UserNetwork;
  /** The card that is plugged in. */
  mac: Uint8Array | null;
}

/** The networks of a machine, by the ids that `-netdev` gives them. */
export class Networks {
  private readonly entries = new Map<string, Entry>();
  /** `-device` options that `-nic` options stand for. */
  readonly nics: readonly string[];
  private cards = 0;

  /** `netdevs`, `nics`: values of `-netdev` and `-nic`. Throws OptionError. */
  constructor(netdevs: readonly string[], nics: readonly string[]) {
    for (const text of netdevs) this.add(new OptionString('-netdev', text), null);
    this.nics = nics.filter((text) => text !== 'none').map((text, n) => this.addNic(text, `nic${n}`));
  }

  private add(options: OptionString, otherId: string | null): string {
    const netdev = readNetdev(options);
    const id = netdev.id ?? otherId;
    if (id === null) throw options.wrong('an id is needed');
    if (this.entries.has(id)) throw options.wrong(`there is a network '${id}' already`);
    this.entries.set(id, { id, network: new UserNetwork(netdev), mac: null });
    return id;
  }

  private addNic(text: string, otherId: string): string {
    const options = new OptionString('-nic', text);
    const model = options.get('model') ?? nicModels[0]!;
    if (!nicModels.includes(model)) throw options.wrong(`unknown model '${model}': ${nicModels.join(', ')}`);
    const mac = options.get('mac');
    const id = this.add(options, otherId);
    return `virtio-net-device,netdev=${id}${mac === undefined ? '' : `,mac=${mac}`}`;
  }

  /**
   * A new card, plugged into the network `id` if there is one; `text`: its address, or undefined for the next free one.
   * Throws OptionError.
   */
  card(
    id: string | undefined,
    text: string | undefined,
    options: OptionString,
  ): { readonly mac: Uint8Array; readonly link: NetworkLink | null } {
    const [a, b, c, d, e, last] = firstMac;
    const mac = parseMac(text ?? '') ?? Uint8Array.from([a, b, c, d, e, last + this.cards]);
    this.cards++;
    if (id === undefined) return { mac, link: null };
    const entry = this.entries.get(id);
    if (!entry) throw options.wrong(`no network '${id}' (-netdev)`);
    if (entry.mac) throw options.wrong(`the network '${id}' has a card already`);
    entry.mac = mac;
    return { mac, link: entry.network };
  }

  /** Opens the host's ports; `clock`: the guest's time. Rejects with OptionError. */
  async start(clock: Clock): Promise<void> {
    for (const { id, network } of this.entries.values()) {
      try {
        await network.start(clock);
      } catch (error) {
        if (error instanceof OptionError) throw new OptionError(`-netdev ${id}: ${error.message}`);
        throw error;
      }
    }
  }

  /** The guest starts anew. */
  reset(): void {
    for (const { network } of this.entries.values()) network.reset();
  }

  close(): void {
    for (const { network } of this.entries.values()) network.close();
  }

  /** `info network`. */
  get text(): string {
    return [...this.entries.values()]
      .map(({ id, network, mac }, index) => {
        const backend = `${id}: index=0,${network.text}\n`;
        if (!mac) return backend;
        return `net${index}: index=0,type=nic,model=virtio-net-device,macaddr=${macText(mac)}\n \\ ${backend}`;
      })
      .join('');
  }

  /** `info usernet`. */
  get connectionsText(): string {
    return [...this.entries.values()].map(({ id, network }) => `${id}:\n${network.connectionsText}`).join('');
  }
}
