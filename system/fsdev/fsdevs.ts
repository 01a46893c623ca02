import type { SharedFiles } from '#hw/virtio/9p/files.ts';
import { property, readProperties } from '../option-properties.ts';
import { OptionError, OptionString } from '../option-string.ts';
import { LocalFolder } from './local.ts';

/** Properties of `-fsdev`. */
const properties = {
  id: property.text('name of the folder'),
  path: property.text('the folder'),
  // Ownership as it is on the host; what its user may not do fails, or is let go by.
  security_model: property.choice('how owners and modes are kept', 'none', 'passthrough'),
  readonly: property.flag('the guest cannot write'),
  writeout: property.choice('when what is written goes to the host’s disk', 'immediate'),
  multidevs: property.choice('several file systems below the folder', 'remap', 'forbid', 'warn'),
} as const;

/** Folders that are shared with the guest, by ID. */
export class Fsdevs {
  private readonly folders = new Map<string, SharedFiles>();
  /** `-device` texts for `-virtfs`. */
  readonly automaticDevices: string[] = [];

  /** The texts of `-fsdev` and of `-virtfs`. Throws OptionError. */
  constructor(fsdevs: readonly string[], virtfs: readonly string[]) {
    for (const text of fsdevs) this.add(new OptionString('-fsdev', text));
    for (const [i, text] of virtfs.entries()) {
      const options = new OptionString('-virtfs', text);
      const tag = options.get('mount_tag');
      if (tag === undefined) throw options.wrong('no mount_tag=');
      const id = this.add(options, `virtfs${i}`);
      this.automaticDevices.push(`virtio-9p-device,fsdev=${id},mount_tag=${tag.replaceAll(',', ',,')}`);
    }
  }

  private add(options: OptionString, otherwise?: string): string {
    if (options.first !== 'local') throw options.wrong('only local folders are there: local,path=…');
    const { path, readonly = false, ...values } = readProperties(options, properties);
    const id = values.id ?? otherwise;
    if (id === undefined) throw options.wrong('no id=');
    if (path === undefined) throw options.wrong('no path=');
    if (this.folders.has(id)) throw options.wrong(`duplicate ID '${id}'`);
    try {
      this.folders.set(id, new LocalFolder(path, readonly));
    } catch (error) {
      throw options.wrong(`${path}: ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
    }
    return id;
  }

  /** The folder with this ID. Throws OptionError. */
  get(id: string): SharedFiles {
    const folder = this.folders.get(id);
    if (!folder) throw new OptionError(`-device: no fsdev '${id}'`);
    return folder;
  }
}
