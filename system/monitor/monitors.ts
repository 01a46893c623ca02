import type { Chardevs } from '../char/chardevs.ts';
import { OptionString } from '../option-string.ts';
import type { MachineControl } from './control.ts';
import { HumanMonitor } from './hmp.ts';
import { QmpMonitor } from './qmp.ts';

/** The monitors that a command line asks for. */
export interface MonitorOptions {
  /** `-monitor`; `none` for none. */
  readonly monitor: string;
  /** Values of `-qmp`. */
  readonly qmp: readonly string[];
  /** Values of `-mon`. */
  readonly mon: readonly string[];
  /** Id of the serial line's character device if a monitor shares it, else null. */
  readonly shared: string | null;
}

/** A monitor on the character device `id`. */
interface Wanted {
  readonly id: string;
  readonly option: string;
  readonly kind: 'readline' | 'control';
  readonly shared: boolean;
  readonly pretty: boolean;
}

/** Makes the character devices that monitors need, and finds those they name. Throws OptionError. */
function wanted({ monitor, qmp, mon, shared }: MonitorOptions, chardevs: Chardevs): Wanted[] {
  const found: Wanted[] = [];
  const human = { kind: 'readline', pretty: false } as const;
  if (shared !== null) found.push({ ...human, id: shared, option: '-serial', shared: true });
  if (monitor !== 'none') {
    const id = chardevs.define('compat_monitor0', '-monitor', monitor);
    found.push({ ...human, id, option: '-monitor', shared: chardevs.isShared(id) });
  }
  for (const [n, spec] of qmp.entries()) {
    const id = chardevs.define(`compat_qmp${n}`, '-qmp', spec);
    found.push({ id, option: '-qmp', kind: 'control', shared: false, pretty: false });
  }
  for (const value of mon) found.push(readMon(value, chardevs));
  return found;
}

/** `-mon [chardev=]ID[,mode=readline|control][,pretty=on|off]` */
function readMon(value: string, chardevs: Chardevs): Wanted {
  const options = new OptionString('-mon', value.startsWith('chardev=') ? value.slice('chardev='.length) : value);
  const kind = options.get('mode') ?? 'readline';
  if (kind !== 'readline' && kind !== 'control') throw options.wrong('mode is readline or control');
  const pretty = options.flag('pretty', false);
  options.finish();
  return { id: options.first, option: `-mon ${value}`, kind, shared: chardevs.isShared(options.first), pretty };
}

/**
 * Prepares the monitors of a command line; what it returns starts them. They take their character devices at once, after
 * the serial line: on a shared terminal it has the first turn. Throws OptionError.
 */
export function openMonitors(options: MonitorOptions, chardevs: Chardevs): (control: MachineControl) => void {
  const sides = wanted(options, chardevs).map((side) => ({ ...side, chardev: chardevs.attach(side.id, side.option) }));
  return (control) => {
    for (const { chardev, kind, shared, pretty } of sides) {
      if (kind === 'control') new QmpMonitor(chardev, control, pretty);
      else new HumanMonitor(chardev, control, shared);
    }
  };
}
