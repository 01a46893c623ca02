import type { FwCfgFile } from '#hw/nvram/fw-cfg.ts';
import type { Machine } from '../machine.ts';
import { map, virtTree } from '../machines/virt.ts';
import { writeFdt } from './fdt.ts';
import { BootError, place, readKernel } from './linux.ts';

/** The part of a machine's configuration that the guest is told of. */
export interface BootConfig {
  readonly ramSize: number;
  readonly cpus: number;
  readonly cpu: string;
  readonly append: string;
}

export interface BootFiles {
  /** With firmware a kernel is that's affair, which finds it in fw_cfg. */
  readonly kernel: { readonly name: string; readonly bytes: Uint8Array } | null;
  /** What to put into the first flash bank (`-bios`). */
  readonly bios: { readonly name: string; readonly bytes: Uint8Array } | null;
  readonly initrd: Uint8Array | null;
  readonly deviceTree: { readonly name: string; readonly bytes: Uint8Array } | null;
  /** Files that the guest finds in fw_cfg. */
  readonly named: readonly FwCfgFile[];
}

const fdtMagic = 0xd00dfeed;

/** The machine's own device tree. */
export function buildDeviceTree(
  { ramSize, cpus, cpu, append }: BootConfig,
  initrd: { readonly start: number; readonly end: number } | null,
): Uint8Array {
  return writeFdt(virtTree({ ramSize, cpus, cpuModel: cpu, bootargs: append, initrd }));
}

/** Puts everything into memory that the guest begins with, and the CPU where it begins. Throws BootError. */
export function loadFiles(machine: Machine, config: BootConfig, files: BootFiles): void {
  const { kernel, initrd, bios } = files;
  machine.board.fwCfg.fill({
    ramSize: config.ramSize,
    cpus: config.cpus,
    kernel: kernel?.bytes ?? new Uint8Array(0),
    initrd: initrd ?? new Uint8Array(0),
    commandLine: config.append,
    files: files.named,
  });
  const flash = machine.board.flash[0]!;
  if (bios) {
    if (bios.bytes.length > flash.memory.bytes.length) throw new BootError(`${bios.name}: too large for the flash`);
    flash.fill(bios.bytes);
  }
  if (flash.used) startFirmware(machine, config, files);
  else if (kernel) loadLinux(machine, config, kernel, files);
}

/** The CPU begins at address 0, in flash; the device tree is at the start of RAM. */
function startFirmware(machine: Machine, config: BootConfig, { deviceTree }: BootFiles): void {
  const blob = deviceTree ? checkedTree(deviceTree.name, deviceTree.bytes) : buildDeviceTree(config, null);
  if (!machine.memory.writeRam(map.ram, blob)) throw new BootError('the device tree does not fit into RAM');
  machine.start(map.flash[0], 0, 0, 0);
}

/** Puts kernel, initial RAM disk and device tree into memory, and the CPU at the kernel's entry. */
function loadLinux(
  machine: Machine,
  config: BootConfig,
  kernel: NonNullable<BootFiles['kernel']>,
  { initrd, deviceTree }: BootFiles,
): void {
  const image = readKernel(kernel.bytes, kernel.name, map.ram);
  const at = place(image, map.ram, config.ramSize, initrd?.length ?? 0);
  const blob = deviceTree
    ? checkedTree(deviceTree.name, deviceTree.bytes)
    : buildDeviceTree(config, initrd && { start: at.initrd, end: at.initrd + initrd.length });
  const loads = [...image.loads, { address: at.deviceTree, bytes: blob }];
  if (initrd) loads.push({ address: at.initrd, bytes: initrd });
  for (const { address, bytes } of loads) {
    if (!machine.memory.writeRam(address, bytes)) throw new BootError(`${kernel.name}: does not fit into RAM`);
  }
  // The machine number, which a device tree makes meaningless.
  machine.start(image.entry, 0, -1, at.deviceTree);
}

function checkedTree(name: string, bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 40 || view.getUint32(0) !== fdtMagic) throw new BootError(`${name}: no flattened device tree`);
  if (view.getUint32(4) > bytes.length) throw new BootError(`${name}: the device tree is cut off`);
  return bytes;
}
