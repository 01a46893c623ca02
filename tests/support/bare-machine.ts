import { cpuBase, memoryPages } from '#accel/guest-memory.ts';
import { translatedMemory } from '#accel/translation-tables.ts';
import type { SerialPort } from '#hw/char/pl011.ts';
import { Machine, type MachineConfig } from '#system/machine.ts';
import { generateInterpreter } from '#tcg/interpreter-module.ts';

const interpreter = generateInterpreter(translatedMemory, { cpuBase, memoryPages });

/** Where bare programs begin: the start of RAM. */
export const bareStart = 0x40000000;

export interface BareRun {
  readonly machine: Machine;
  /** What went to the UART. */
  readonly output: string;
  /** r0 to r12, unsigned. */
  readonly registers: readonly number[];
}

/** A serial line's other end that takes bytes at once; `onInput` may be replaced. */
export const serialPort = (write: (byte: number) => void): SerialPort => ({
  write,
  onInput() {},
  full: false,
  onRoom() {},
  hold() {},
});

/**
 * Runs a program of A32 words at the start of RAM in Supervisor mode, MMU off, until it switches the machine off
 * (`powerOff`); `data`: more words by address. With `rom` it begins at address 0, in flash. Time goes by instructions.
 */
export async function runBare(
  program: readonly number[],
  tier: 'interp' | 'region' | 'auto',
  data: Readonly<Record<number, readonly number[]>> = {},
  engine: Partial<MachineConfig['engine']> = {},
  rom: readonly number[] | null = null,
): Promise<BareRun> {
  let output = '';
  const machine = new Machine({
    ramSize: 16 << 20,
    serial: serialPort((byte) => void (output += String.fromCharCode(byte))),
    icount: 3,
    startTime: 0,
    engine: { interpreter, tier, ...engine },
    unimplemented() {},
  });
  machine.reset();
  for (const [address, words] of [[bareStart, program] as const, ...Object.entries(data)]) {
    machine.memory.writeRam(Number(address), new Uint8Array(Int32Array.from(words).buffer));
  }
  if (rom) machine.board.flash[0]!.fill(new Uint8Array(Int32Array.from(rom).buffer));
  machine.start(rom ? 0 : bareStart, 0, 0, 0);
  const giveUp = setTimeout(() => machine.finish('quit'), 20_000);
  const end = await machine.run();
  clearTimeout(giveUp);
  if (end !== 'off') throw new Error(`the program did not end: pc ${machine.core.cpu.i32[4]!.toString(16)}`);
  const registers = Array.from(machine.core.cpu.u8.slice(64, 64 + 52));
  return { machine, output, registers: [...new Uint32Array(Uint8Array.from(registers).buffer)] };
}

/** r0 = SYSTEM_OFF; HVC. */
export const powerOff: readonly number[] = [...move(0, 0x84000008), 0xe1400070];

/** MOVW, MOVT rd, #value */
export function move(rd: number, value: number): number[] {
  const half = (op: number, imm: number): number => (op | ((imm >>> 12) << 16) | (rd << 12) | (imm & 0xfff)) >>> 0;
  return [half(0xe3000000, value & 0xffff), half(0xe3400000, value >>> 16)];
}

/** MCR p15, opc1, rt, crn, crm, opc2; `read`: MRC. */
export const cp15 = (rt: number, crn: number, crm: number, opc2: number, opc1 = 0, read = false): number =>
  (0xee000f10 | (opc1 << 21) | (read ? 1 << 20 : 0) | (crn << 16) | (rt << 12) | (opc2 << 5) | crm) >>> 0;
