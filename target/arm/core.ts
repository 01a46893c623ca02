import { cpuHeader } from '#tcg/cpu-page.ts';
import type { CpuView } from '#tcg/target.ts';
import { armState } from './state.ts';
import { Mode, Psr, systemState } from './system-state.ts';

/** What an exception does (DDI 0406C B1.8.1): the mode it enters, its vector, and what it masks besides IRQs. */
interface ExceptionKind {
  readonly mode: number;
  readonly vector: number;
  readonly masks: number;
}
const kinds = {
  undefined: { mode: Mode.undefined, vector: 0x04, masks: 0 },
  supervisorCall: { mode: Mode.supervisor, vector: 0x08, masks: 0 },
  prefetchAbort: { mode: Mode.abort, vector: 0x0c, masks: Psr.a },
  dataAbort: { mode: Mode.abort, vector: 0x10, masks: Psr.a },
  irq: { mode: Mode.irq, vector: 0x18, masks: Psr.a },
  fiq: { mode: Mode.fiq, vector: 0x1c, masks: Psr.a | Psr.f },
} as const satisfies Record<string, ExceptionKind>;
export type ExceptionName = keyof typeof kinds;

/** SCTLR bits that say how exceptions are entered. */
const sctlrV = 1 << 13;
const sctlrEe = 1 << 25;
const sctlrTe = 1 << 30;

const word = (offset: number): number => offset >> 2;
const w = {
  r: word(armState.offset('r')),
  nf: word(armState.offset('nf')),
  zf: word(armState.offset('zf')),
  cf: word(armState.offset('cf')),
  vf: word(armState.offset('vf')),
  qf: word(armState.offset('qf')),
  ge: word(armState.offset('ge')),
  itstate: word(armState.offset('itstate')),
  endian: word(armState.offset('endian')),
  exclusive: word(armState.offset('exclusiveAddress')),
  mode: word(systemState.offset('mode')),
  mask: word(systemState.offset('mask')),
  spsr: word(systemState.offset('spsr')),
  userSp: word(systemState.offset('userSp')),
  userLr: word(systemState.offset('userLr')),
  pc: word(cpuHeader.offset('pc')),
  event: word(systemState.offset('event')),
  modeKey: word(cpuHeader.offset('modeKey')),
} as const;

/** SP, LR and SPSR of a mode that is not running. */
interface Bank {
  sp: number;
  lr: number;
  spsr: number;
}
const emptyBank = (): Bank => ({ sp: 0, lr: 0, spsr: 0 });

/** CP15 as the core needs it. */
export interface CoreControl {
  readonly sctlr: number;
  readonly vbar: number;
  /** The privilege has changed. */
  modeChanged(): void;
}

/** The privileged side of a core: its modes with their banked registers, and how exceptions enter and leave them. */
export class ArmCore {
  readonly cpu: CpuView;
  control: CoreControl = { sctlr: 0, vbar: 0, modeChanged() {} };
  private readonly banks = new Map<number, Bank>(
    [Mode.fiq, Mode.irq, Mode.supervisor, Mode.abort, Mode.undefined].map((mode) => [mode, emptyBank()]),
  );
  /** R8 to R12 of FIQ mode, or of all others while that runs. */
  private readonly otherHigh = new Int32Array(5);

  constructor(cpu: CpuView) {
    this.cpu = cpu;
  }

  get mode(): number {
    return this.cpu.i32[w.mode]!;
  }

  get privileged(): boolean {
    return this.cpu.i32[w.mode] !== Mode.user;
  }

  /** CPSR with the Thumb state of the PC in the header. */
  get cpsr(): number {
    const { i32 } = this.cpu;
    const flags =
      (i32[w.nf]! & Psr.n) |
      (i32[w.zf] === 0 ? Psr.z : 0) |
      (i32[w.cf]! << 29) |
      ((i32[w.vf]! >>> 31) << 28) |
      (i32[w.qf]! << 27);
    const it = i32[w.itstate]!;
    const state = ((it & 3) << 25) | ((it & 0xfc) << 8) | (i32[w.pc]! & 1 ? Psr.t : 0) | (i32[w.endian]! ? Psr.e : 0);
    return flags | (i32[w.ge]! << 16) | state | i32[w.mask]! | i32[w.mode]!;
  }

  /** Writes the bits of CPSR that `bits` has, but for T: that is the PC's. */
  writeCpsr(value: number, bits: number): void {
    const { i32 } = this.cpu;
    if (bits & Psr.n) {
      i32[w.nf] = value;
      i32[w.zf] = value & Psr.z ? 0 : 1;
      i32[w.cf] = (value >>> 29) & 1;
      i32[w.vf] = value << 3;
    }
    if (bits & Psr.q) i32[w.qf] = (value >>> 27) & 1;
    if (bits & (1 << 16)) i32[w.ge] = (value >>> 16) & 15;
    if (bits & (1 << 25)) i32[w.itstate] = ((value >>> 25) & 3) | ((value >>> 8) & 0xfc);
    if (bits & Psr.e) i32[w.endian] = (value >>> 9) & 1;
    i32[w.mask] = (i32[w.mask]! & ~bits) | (value & bits & Psr.masks);
    if (bits & 1) this.switchMode(value & Psr.modeMask);
  }

  /** Exchanges the banked registers. A mode that does not exist is User mode. */
  switchMode(wanted: number): void {
    const { i32 } = this.cpu;
    const old = i32[w.mode]!;
    const mode = this.banks.has(wanted) || wanted === Mode.system ? wanted : Mode.user;
    if (mode === old) return;
    if ((mode === Mode.fiq) !== (old === Mode.fiq)) this.exchangeHigh();
    const from = this.banks.get(old);
    if (from) {
      from.sp = i32[w.r + 13]!;
      from.lr = i32[w.r + 14]!;
      from.spsr = i32[w.spsr]!;
    } else {
      i32[w.userSp] = i32[w.r + 13]!;
      i32[w.userLr] = i32[w.r + 14]!;
    }
    const to = this.banks.get(mode);
    i32[w.r + 13] = to ? to.sp : i32[w.userSp]!;
    i32[w.r + 14] = to ? to.lr : i32[w.userLr]!;
    i32[w.spsr] = to ? to.spsr : 0;
    i32[w.mode] = mode;
    // No code of the old mode may be entered before the engine has looked the mode up.
    i32[w.modeKey] = noMode;
    this.control.modeChanged();
  }

  /** R8 to R12 become FIQ mode's, or all others' again. */
  exchangeHigh(): void {
    const { i32 } = this.cpu;
    for (let n = 0; n < 5; n++) {
      const value = i32[w.r + 8 + n]!;
      i32[w.r + 8 + n] = this.otherHigh[n]!;
      this.otherHigh[n] = value;
    }
  }

  /** SP of a mode, which may be the running one (SRS). */
  stackPointer(mode: number): number {
    const { i32 } = this.cpu;
    if (mode === this.mode) return i32[w.r + 13]!;
    return this.banks.get(mode)?.sp ?? i32[w.userSp]!;
  }

  setStackPointer(mode: number, value: number): void {
    const { i32 } = this.cpu;
    const bank = this.banks.get(mode);
    if (mode === this.mode) i32[w.r + 13] = value;
    else if (bank) bank.sp = value;
    else i32[w.userSp] = value;
  }

  /** Enters an exception; `link` is the address LR gets. */
  enter(name: ExceptionName, link: number): void {
    const { i32 } = this.cpu;
    const { mode, vector, masks } = kinds[name];
    const { sctlr, vbar } = this.control;
    const spsr = this.cpsr;
    this.switchMode(mode);
    i32[w.spsr] = spsr;
    i32[w.r + 14] = link;
    i32[w.mask] = i32[w.mask]! | Psr.i | masks;
    i32[w.itstate] = 0;
    i32[w.endian] = sctlr & sctlrEe ? 1 : 0;
    i32[w.exclusive] = -1;
    const base = sctlr & sctlrV ? 0xffff0000 : vbar;
    i32[w.pc] = (base + vector) | (sctlr & sctlrTe ? 1 : 0);
  }

  /** Returns from an exception to `pc` with `psr` as CPSR; the PC in the engine's encoding. */
  leave(pc: number, psr: number): number {
    const { i32 } = this.cpu;
    this.writeCpsr(psr, -1);
    i32[w.exclusive] = -1;
    i32[w.event] = 1;
    // ITSTATE and E change translation as the mode does.
    i32[w.modeKey] = noMode;
    return psr & Psr.t ? pc | 1 : pc & ~3;
  }

  /** As reset leaves it, in Supervisor mode with all interrupts masked. */
  reset(): void {
    const { cpu } = this;
    cpu.u8.fill(0, armState.start, systemState.end);
    cpu.i32[w.zf] = 1;
    cpu.i32[w.exclusive] = -1;
    cpu.i32[w.mode] = Mode.supervisor;
    cpu.i32[w.mask] = Psr.masks;
    for (const bank of this.banks.values()) Object.assign(bank, emptyBank());
    this.otherHigh.fill(0);
    cpu.i32[w.modeKey] = noMode;
  }

  /** Everything that is not in the CPU area. */
  save() {
    return {
      banks: [...this.banks].map(([mode, bank]) => [mode, { ...bank }] as const),
      otherHigh: [...this.otherHigh],
    };
  }

  load(state: ReturnType<ArmCore['save']>): void {
    for (const [mode, bank] of state.banks) this.banks.set(mode, { ...bank });
    this.otherHigh.set(state.otherHigh);
    this.cpu.i32[w.modeKey] = noMode;
  }
}

/** A key no code page has. */
const noMode = -1;
