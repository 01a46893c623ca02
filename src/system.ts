// Machine mode: from the command line to a machine that runs. A bundle of its own, which programs never load.
import { openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { cpuBase, memoryPages } from '#accel/guest-memory.ts';
import { translatedMemory } from '#accel/translation-tables.ts';
import { type FwCfgFile, longestName } from '#hw/nvram/fw-cfg.ts';
import manifest from '#package' with { type: 'json' };
import { Drives } from '#system/block/drives.ts';
import { ImageError } from '#system/block/host-file.ts';
import { BootError } from '#system/boot/linux.ts';
import { type BootFiles, buildDeviceTree, loadFiles } from '#system/boot/load.ts';
import { Chardevs } from '#system/char/chardevs.ts';
import { createDevices } from '#system/devices/table.ts';
import { Fsdevs } from '#system/fsdev/fsdevs.ts';
import { GdbStub } from '#system/gdb/stub.ts';
import { Machine } from '#system/machine.ts';
import { flashBanks, map } from '#system/machines/virt.ts';
import { MachineControl, MonitorError } from '#system/monitor/control.ts';
import { openMonitors } from '#system/monitor/monitors.ts';
import { Networks } from '#system/net/networks.ts';
import { OptionError, OptionString } from '#system/option-string.ts';
import { randomSource } from '#system/random.ts';
import { MachineSnapshots } from '#system/snapshots.ts';
import { ExitReason } from '#tcg/cpu-page.ts';
import { generateInterpreter } from '#tcg/interpreter-module.ts';
import { FileCodeStore } from './code-store.ts';
import { UsageError } from './option-table.ts';
import { readSystemCommandLine, type SystemConfig } from './system-options.ts';

/** Runs `command --system args`; returns the exit code. Throws nothing that the user can cause. */
export async function runSystemCommand(command: string, args: readonly string[]): Promise<number> {
  try {
    const invocation = readSystemCommandLine(command, args);
    if (invocation.kind === 'print') {
      writeSync(1, invocation.text);
      return 0;
    }
    return await runSystem(invocation.config);
  } catch (error) {
    if (!expectedErrors.some((kind) => error instanceof kind)) throw error;
    writeSync(2, `${command}: ${(error as Error).message}\n`);
    return 1;
  }
}

/** What the user can cause. */
const expectedErrors = [UsageError, BootError, OptionError, ImageError, MonitorError];

/** The file of an option, if it was given. */
const named = (option: string, path: string | null): { name: string; bytes: Uint8Array } | null =>
  path === null ? null : { name: path, bytes: read(option, path) };

/** A host file's bytes; a failure is one line. */
function read(option: string, path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new UsageError(`-${option} ${path}: ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
  }
}

/** `-fw_cfg [name=]opt/NAME,file=F|string=TEXT` */
function fwCfgFile(value: string): FwCfgFile {
  const options = new OptionString('-fw_cfg', value.startsWith('name=') ? value.slice('name='.length) : value);
  const { first: name } = options;
  const [path, text] = [options.get('file'), options.get('string')];
  options.finish();
  if (name === '' || name.length > longestName)
    throw options.wrong(`a name of up to ${longestName} characters is needed`);
  if ((path === undefined) === (text === undefined)) throw options.wrong('either file or string is needed');
  return { name, bytes: path === undefined ? new TextEncoder().encode(text) : read('fw_cfg', path) };
}

async function runSystem(config: SystemConfig): Promise<number> {
  if (config.dumpdtb !== null) {
    writeFileSync(config.dumpdtb, buildDeviceTree(config, null));
    return 0;
  }
  const files = {
    kernel: named('kernel', config.kernel),
    bios: named('bios', config.bios),
    initrd: config.initrd === null ? null : read('initrd', config.initrd),
    deviceTree: named('dtb', config.dtb),
    named: config.fwCfg.map(fwCfgFile),
  };
  const drives = new Drives(config.drives, config.snapshot, (text) => writeSync(2, `${config.command}: ${text}\n`));
  try {
    return await runMachine(config, files, drives);
  } finally {
    drives.close();
  }
}

async function runMachine(config: SystemConfig, files: BootFiles, drives: Drives): Promise<number> {
  const flashDrives = drives.flash(flashBanks, map.flash[1]);
  if (files.bios && flashDrives[0]) throw new UsageError('-bios: the first flash bank has a -drive if=pflash already');
  if (!files.kernel && !files.bios && !flashDrives[0]) {
    throw new UsageError('no kernel (-kernel) and no firmware (-bios)');
  }
  const fd = config.logFile === null ? 2 : openSync(config.logFile, 'w');
  const log = (line: string): void => void writeSync(fd, `${line}\n`);
  const store = codeStore(config);
  const chardevs = new Chardevs(() => control.quit('host-ui'));
  for (const value of config.chardevs) chardevs.add(value);
  const serialId = chardevs.define('serial0', '-serial', config.serial);
  const serial = chardevs.attach(serialId, '-serial');
  const networks = new Networks(config.netdevs, config.nics);
  const folders = new Fsdevs(config.fsdevs, config.virtfs);
  const automatic = [...networks.nics, ...drives.automaticDevices, ...folders.automaticDevices];
  const devices = createDevices([...config.devices, ...automatic], {
    random: randomSource(config.icount !== null),
    networks,
    drive: (id) => drives.take(id),
    folder: (id) => folders.get(id),
    chardev: (id) => chardevs.attach(id, '-device'),
  });
  const startMonitors = openMonitors(
    { ...config, shared: config.serial.startsWith('mon:') ? serialId : null },
    chardevs,
  );
  const gdb = config.gdb === null ? null : chardevs.attach(defineGdb(chardevs, config.gdb), '-gdb');
  const machine = new Machine({
    ramSize: config.ramSize,
    cpus: config.cpus,
    cpuModel: config.cpu,
    serial,
    devices,
    flashDrives,
    icount: config.icount,
    startTime: config.startTime,
    hostTime: config.hostTime,
    engine: {
      ...(store && { store, storeName: `machine-${config.cpu}` }),
      interpreter: generateInterpreter(translatedMemory, { cpuBase, memoryPages }),
      tier: config.icount === null ? config.tier : 'interp',
      ...(config.stats && { count: 'all' as const }),
    },
    unimplemented: config.log.has('unimp') ? once((text) => log(`unimplemented: ${text}`)) : () => {},
    ...(config.log.has('int') && {
      onException: (name: string, { pc, core }: Machine) => log(exceptionText(name, pc, core.cpsr)),
    }),
  });
  const snapshots = new MachineSnapshots(machine, () => drives.images, config.vmstate);
  const control = new MachineControl(
    machine,
    {
      version: manifest.version,
      chardevs: () => chardevs.list,
      blocks: () => drives.info,
      network: () => networks.text,
      connections: () => networks.connectionsText,
      snapshots,
    },
    config.startStopped,
  );
  startMonitors(control);
  if (gdb) new GdbStub(gdb, control);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => control.quit('host-signal'));
  const started = process.hrtime.bigint();
  try {
    await Promise.all([chardevs.ready(), networks.start(machine.clock)]);
    let resume = config.loadvm;
    const boot = (): void => {
      machine.reset();
      networks.reset();
      loadFiles(machine, config, files);
      if (resume !== null) snapshots.load(resume);
      resume = null;
    };
    await control.run({ boot, reboot: config.reboot, stay: config.stay });
    // A monitor's last answer may be under way.
    await new Promise(setImmediate);
  } finally {
    networks.close();
    await chardevs.close();
  }
  machine.engine.keepCode();
  store?.flush();
  if (config.stats) printStats(machine, Number(process.hrtime.bigint() - started) / 1e9, log);
  return 0;
}

/** gdb comes to us, and the guest does not wait for it. */
const defineGdb = (chardevs: Chardevs, spec: string): string =>
  chardevs.define('gdb', '-gdb', /^(tcp|unix):/.test(spec) ? `${spec},server=on,wait=off` : spec);

/** Where translations are kept, if they are the usual ones. */
function codeStore({ cache, stats, log }: SystemConfig): FileCodeStore | null {
  // The bundle has it as a constant.
  const build = (import.meta as { readonly build?: string }).build;
  if (cache === null || build === undefined || stats || log.has('unimp')) return null;
  return new FileCodeStore(cache, build);
}

const exceptionText = (name: string, pc: number, cpsr: number): string => `${name} at ${hex(pc)}, cpsr ${hex(cpsr)}`;
const hex = (value: number): string => (value >>> 0).toString(16).padStart(8, '0');

/** Passes each text on once. */
function once(tell: (text: string) => void): (text: string) => void {
  const told = new Set<string>();
  return (text) => {
    if (!told.has(text)) tell(text);
    told.add(text);
  };
}

function printStats({ engine, memory, bus }: Machine, seconds: number, log: (line: string) => void): void {
  let interpreted = 0;
  for (const count of engine.takeInterpreted().values()) interpreted += count;
  const instructions = interpreted + engine.regionInstructionsRun;
  const { stats } = engine;
  log(`instructions: ${interpreted} interpreted, ${engine.regionInstructionsRun} in regions`);
  log(`speed: ${(instructions / seconds / 1e6).toFixed(1)} MIPS over ${seconds.toFixed(2)} s`);
  log(`pages looked up: ${memory.tables.fills}; device accesses: ${bus.accesses}`);
  log(`blocks: ${stats.blocks}; regions: ${stats.regions} of ${stats.regionInstructions} instructions`);
  const exits = Object.keys(ExitReason).map((name, reason) => `${name} ${stats.exits[reason]}`);
  log(`exits: ${exits.filter((text) => !text.endsWith(' 0')).join(', ')}`);
}
