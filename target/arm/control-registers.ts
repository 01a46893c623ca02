import { cpuHeader } from '#tcg/cpu-page.ts';
import { cp14, cp15, wideKey } from './control-keys.ts';
import type { ArmCore, CoreControl } from './core.ts';
import { type CoreModel, coreIdentities } from './core-identity.ts';
import { LongStatus } from './long-descriptor.ts';
import {
  FaultStatus,
  longFormat,
  PageTableWalker,
  type TranslationControl,
  ttbcrEae,
  type WalkResult,
} from './page-walk.ts';
import { systemState } from './system-state.ts';

/*
 * The system control coprocessor CP15 and the debug registers of CP14 (DDI 0406C B4, C11), as a Cortex-A15 has them.
 */

/** What the registers act on. */
export interface ControlHost {
  /** Cached translations; `flush` and `flushPage` concern all cores, the others this one. */
  readonly translations: {
    use(key: number): void;
    flush(): void;
    flushLocal(all?: boolean): void;
    flushPage(address: number): void;
  };
  /** The generic timer (B8). */
  readonly timer: TimerRegisters;
  readonly cpuCount: number;
  readonly model: CoreModel;
  word(physical: number): number | undefined;
  /** Told of registers that are not there. */
  unimplemented(what: string): void;
}

/** The generic timer's registers; counts are numbers of ticks. */
export interface TimerRegisters {
  readonly frequency: number;
  count(): number;
  readonly physical: TimerChannel;
  readonly virtual: TimerChannel;
}
export interface TimerChannel {
  compare: number;
  /** CTL: ENABLE, IMASK; ISTATUS when read. */
  control: number;
}

interface Register {
  readonly read?: () => number;
  readonly write?: (value: number) => void;
}
/** A counter, or a pair of words. */
type WideRegister =
  | { readonly read: () => number; readonly write?: (value: number) => void }
  | { readonly low: WideField; readonly high: WideField; readonly written: () => void };
type WideField = 'ttbr0' | 'ttbr0High' | 'ttbr1' | 'ttbr1High' | 'par' | 'parHigh';

/** PAR.LPAE. */
const parLong = 1 << 11;

const resetSctlr = 0x00c50078;
/** SCTLR bits that a write cannot change: RES1 and RES0. */
const sctlrOnes = 0x00c50078;
const sctlrWritable = 0x7e0c3c07 | (1 << 13) | (1 << 12) | (1 << 11) | (1 << 10);

/** What is kept of a core's registers besides those that are memory only. */
const kept = [
  'sctlr',
  'ttbcr',
  'ttbr0',
  'ttbr1',
  'ttbr0High',
  'ttbr1High',
  'vbar',
  'contextidr',
  'cpacr',
  'fpexc',
  'cntkctl',
  'dfsr',
  'ifsr',
  'dfar',
  'ifar',
  'par',
  'parHigh',
  'csselr',
] as const;

/** FPEXC.EN, and the CPACR field of CP10. */
const fpexcEn = 1 << 30;

/** One core's control registers. */
export class ControlRegisters implements TranslationControl, CoreControl {
  sctlr = resetSctlr;
  ttbcr = 0;
  /** Low words; the high ones are of use in the long-descriptor format only. */
  ttbr0 = 0;
  ttbr1 = 0;
  ttbr0High = 0;
  ttbr1High = 0;
  vbar = 0;
  contextidr = 0;
  cpacr = 0;
  fpexc = 0;
  cntkctl = 0;
  dfsr = 0;
  ifsr = 0;
  dfar = 0;
  ifar = 0;
  par = 0;
  parHigh = 0;
  csselr = 0;
  readonly walker: PageTableWalker;
  /** The privilege that address translation operations ask for, else the mode's. */
  private asUser: boolean | undefined;
  /** High word of the 64-bit register read last. */
  high = 0;
  private readonly core: ArmCore;
  private readonly host: ControlHost;
  private readonly index: number;
  /** Registers that are memory only. */
  private readonly plain = new Map<number, number>();
  private readonly plainReset: ReadonlyMap<number, number>;
  private readonly registers: ReadonlyMap<number, Register>;
  private readonly wide: ReadonlyMap<number, WideRegister>;

  /** `index`: number of the core. */
  constructor(core: ArmCore, host: ControlHost, index: number) {
    this.core = core;
    this.host = host;
    this.index = index;
    this.walker = new PageTableWalker(this, (physical) => host.word(physical));
    this.registers = this.describeRegisters();
    this.plainReset = new Map(this.plain);
    this.wide = this.describeWide();
    core.control = this;
    this.modeChanged();
  }

  get dacr(): number {
    return this.core.cpu.i32[slotDacr >> 2]!;
  }

  get privileged(): boolean {
    return this.asUser === undefined ? this.core.privileged : !this.asUser;
  }

  modeChanged(): void {
    this.host.translations.use(this.dacr * 2 + (this.core.privileged ? 1 : 0));
    this.updateFp();
  }

  private updateFp(): void {
    const access = (this.cpacr >>> 20) & 3;
    const allowed = access === 3 || (access === 1 && this.core.privileged);
    this.core.cpu.i32[slotFpEnabled >> 2] = allowed && (this.fpexc & fpexcEn) !== 0 ? 1 : 0;
  }

  /** As after power on; the registers in the CPU area are the core's. */
  reset(): void {
    for (const name of kept) this[name] = 0;
    this.sctlr = resetSctlr;
    for (const [key, value] of this.plainReset) this.plain.set(key, value);
    this.host.translations.flush();
    this.modeChanged();
  }

  save() {
    return { values: kept.map((name) => [name, this[name]] as const), plain: [...this.plain] };
  }

  load(state: ReturnType<ControlRegisters['save']>): void {
    for (const [name, value] of state.values) this[name] = value;
    for (const [key, value] of state.plain) this.plain.set(key, value);
    this.host.translations.flush();
    this.modeChanged();
  }

  /** True if CPACR lets floating-point system registers be accessed. */
  get fpAccessible(): boolean {
    return ((this.cpacr >>> 20) & 1) !== 0;
  }

  setFpexc(value: number): void {
    this.fpexc = value & fpexcEn;
    this.updateFp();
  }

  get fpsid(): number {
    return coreIdentities[this.host.model].fpsid;
  }

  /** TTBCR.EAE. */
  get longDescriptors(): boolean {
    return (this.ttbcr & ttbcrEae) !== 0;
  }

  /** Nanoseconds between the timer's events for WFE (CNTKCTL.EVNTEN, EVNTI); Infinity: there are none. */
  get eventStreamPeriod(): number {
    if ((this.cntkctl & 4) === 0) return Infinity;
    return (2 ** (((this.cntkctl >>> 4) & 15) + 1) / this.host.timer.frequency) * 1e9;
  }

  // ---- faults

  /** The fault status of what is no failed walk, in the format in force. */
  statusOf(fault: 'alignment' | 'debug' | 'externalAbort'): number {
    return this.longDescriptors ? longFormat | LongStatus[fault] : FaultStatus[fault];
  }

  dataAbort(address: number, status: number): void {
    this.dfsr = status;
    this.dfar = address;
    this.core.enter('dataAbort', this.linkAfter(8));
  }

  prefetchAbort(address: number, status: number): void {
    this.ifsr = status;
    this.ifar = address;
    this.core.enter('prefetchAbort', this.linkAfter(4));
  }

  /** The address LR gets: that of the instruction in the header's PC plus `distance`, whatever the instruction set. */
  private linkAfter(distance: number): number {
    return ((this.core.cpu.i32[wordPc]! & ~1) + distance) | 0;
  }

  // ---- access

  has(key: number, write: boolean): boolean {
    if (key >>> 24 !== 0) {
      const wide = this.wide.get(key);
      return wide !== undefined && (!write || 'low' in wide || wide.write !== undefined);
    }
    const register = this.registers.get(key);
    return (write ? register?.write : register?.read) !== undefined;
  }

  unknown(key: number, write: boolean): void {
    const [cp, crn, crm, opc1, opc2] = [
      (key >>> 16) & 15,
      (key >>> 12) & 15,
      (key >>> 8) & 15,
      (key >>> 4) & 15,
      key & 15,
    ];
    const name =
      key >>> 24
        ? `${write ? 'MCRR' : 'MRRC'} p${cp}, ${opc2}, c${crm}`
        : `${write ? 'MCR' : 'MRC'} p${cp}, ${opc1}, c${crn}, c${crm}, ${opc2}`;
    this.host.unimplemented(name);
  }

  read(key: number): number {
    return this.registers.get(key)!.read!() | 0;
  }

  write(key: number, value: number): void {
    this.registers.get(key)!.write!(value);
  }

  /** A 64-bit register: returns its low word, and leaves the high one in `high`. */
  readWide(key: number): number {
    const register = this.wide.get(key)!;
    if ('low' in register) {
      this.high = this[register.high];
      return this[register.low];
    }
    const value = register.read();
    this.high = Math.floor(value / 2 ** 32) | 0;
    return value | 0;
  }

  writeWide(key: number, low: number, high: number): void {
    const register = this.wide.get(key)!;
    if ('low' in register) {
      this[register.low] = low;
      this[register.high] = high;
      register.written();
    } else register.write!((low >>> 0) + (high >>> 0) * 2 ** 32);
  }

  private describeRegisters(): Map<number, Register> {
    const { host } = this;
    const { translations, timer } = host;
    const map = new Map<number, Register>();
    const { registers, cacheSizes } = coreIdentities[host.model];
    for (const [key, value] of registers) map.set(key, { read: () => value });
    const ignore = (): void => {};
    const plain = (key: number, value = 0): void => {
      this.plain.set(key, value);
      map.set(key, { read: () => this.plain.get(key)!, write: (to) => void this.plain.set(key, to) });
    };
    const field = (
      key: number,
      name: 'dfsr' | 'ifsr' | 'dfar' | 'ifar' | 'par' | 'csselr' | 'vbar' | 'cntkctl',
    ): void => {
      map.set(key, { read: () => this[name], write: (value) => void (this[name] = value) });
    };
    map.set(cp15(0, 0, 0, 5), { read: () => 0x80000000 | this.index }); // MPIDR
    map.set(cp15(0, 1, 0, 0), { read: () => cacheSizes[this.csselr] ?? 0 }); // CCSIDR
    field(cp15(0, 2, 0, 0), 'csselr');
    map.set(cp15(1, 0, 0, 0), { read: () => this.sctlr, write: (value) => this.writeSctlr(value) });
    plain(cp15(1, 0, 0, 1)); // ACTLR
    map.set(cp15(1, 0, 0, 2), {
      read: () => this.cpacr,
      write: (value) => {
        this.cpacr = value & 0x00f00000;
        this.updateFp();
      },
    });
    map.set(cp15(2, 0, 0, 0), {
      read: () => this.ttbr0,
      write: (value) => {
        this.ttbr0 = value;
        translations.flushLocal();
      },
    });
    map.set(cp15(2, 0, 0, 1), {
      read: () => this.ttbr1,
      write: (value) => {
        this.ttbr1 = value;
        translations.flush();
      },
    });
    map.set(cp15(2, 0, 0, 2), {
      read: () => this.ttbcr,
      write: (value) => {
        this.ttbcr = value & ttbcrEae ? value : value & 0x37;
        translations.flush();
      },
    });
    map.set(cp15(3, 0, 0, 0), {
      read: () => this.dacr,
      write: (value) => {
        this.core.cpu.i32[slotDacr >> 2] = value;
        this.modeChanged();
      },
    });
    field(cp15(5, 0, 0, 0), 'dfsr');
    field(cp15(5, 0, 0, 1), 'ifsr');
    plain(cp15(5, 0, 1, 0)); // ADFSR
    plain(cp15(5, 0, 1, 1)); // AIFSR
    field(cp15(6, 0, 0, 0), 'dfar');
    field(cp15(6, 0, 0, 2), 'ifar');
    field(cp15(7, 0, 4, 0), 'par');
    // Caches are not modelled: maintenance is done when it is asked for.
    for (const [crm, opc2] of cacheOperations) map.set(cp15(7, 0, crm, opc2), { write: ignore });
    for (let opc2 = 0; opc2 < 4; opc2++) {
      map.set(cp15(7, 0, 8, opc2), { write: (address) => this.translate(address, opc2) });
    }
    for (const crm of [3, 5, 6, 7]) {
      map.set(cp15(8, 0, crm, 0), { write: () => translations.flush() });
      map.set(cp15(8, 0, crm, 1), { write: (address) => this.flushAddress(address) });
      map.set(cp15(8, 0, crm, 2), { write: (asid) => this.flushAsid(asid) });
      map.set(cp15(8, 0, crm, 3), { write: (address) => this.flushAddress(address) });
    }
    for (const [crm, opc2] of performanceRegisters) plain(cp15(9, 0, crm, opc2));
    map.set(cp15(9, 1, 0, 2), { read: () => (host.cpuCount - 1) << 24, write: ignore }); // L2CTLR
    plain(cp15(9, 1, 0, 3)); // L2ECTLR
    plain(cp15(10, 0, 2, 0), 0x98aa4); // PRRR
    plain(cp15(10, 0, 2, 1), 0x44e048e0); // NMRR
    plain(cp15(10, 0, 3, 0)); // AMAIR0
    plain(cp15(10, 0, 3, 1)); // AMAIR1
    field(cp15(12, 0, 0, 0), 'vbar');
    map.set(cp15(12, 0, 1, 0), { read: () => this.core.cpu.i32[slotLines >> 2]! }); // ISR
    plain(cp15(13, 0, 0, 0)); // FCSEIDR
    map.set(cp15(13, 0, 0, 1), {
      read: () => this.contextidr,
      write: (value) => {
        this.contextidr = value;
        translations.flushLocal();
      },
    });
    map.set(cp15(14, 0, 0, 0), { read: () => timer.frequency, write: ignore });
    field(cp15(14, 0, 1, 0), 'cntkctl');
    for (const [crm, channel] of [
      [2, timer.physical],
      [3, timer.virtual],
    ] as const) {
      map.set(cp15(14, 0, crm, 0), {
        read: () => channel.compare - timer.count(),
        write: (value) => void (channel.compare = timer.count() + value),
      });
      map.set(cp15(14, 0, crm, 1), { read: () => channel.control, write: (value) => void (channel.control = value) });
    }
    // Debug: no breakpoints or watchpoints that work; their registers are memory.
    for (let n = 0; n < 16; n++) for (let opc2 = 4; opc2 < 8; opc2++) plain(cp14(0, 0, n, opc2));
    plain(cp14(0, 0, 2, 2)); // DBGDSCRext
    plain(cp14(0, 0, 7, 0)); // DBGVCR
    plain(cp14(1, 0, 3, 4)); // DBGOSDLR
    map.set(cp14(1, 0, 0, 4), { write: ignore }); // DBGOSLAR
    plain(cp14(0, 6, 0, 0)); // TEECR
    plain(cp14(1, 6, 0, 0)); // TEEHBR
    plain(cp14(1, 7, 0, 0)); // JOSCR
    plain(cp14(2, 7, 0, 0)); // JMCR
    return map;
  }

  private describeWide(): Map<number, WideRegister> {
    const { timer } = this.host;
    const compare = (channel: TimerChannel): WideRegister => ({
      read: () => channel.compare,
      write: (value) => void (channel.compare = value),
    });
    return new Map<number, WideRegister>([
      [wideKey(15, 14, 0), { read: () => timer.count() }],
      [wideKey(15, 14, 1), { read: () => timer.count() }],
      [wideKey(15, 14, 2), compare(timer.physical)],
      [wideKey(15, 14, 3), compare(timer.virtual)],
      [wideKey(15, 2, 0), { low: 'ttbr0', high: 'ttbr0High', written: () => this.host.translations.flushLocal() }],
      [wideKey(15, 2, 1), { low: 'ttbr1', high: 'ttbr1High', written: () => this.host.translations.flushLocal() }],
      [wideKey(15, 7, 0), { low: 'par', high: 'parHigh', written() {} }],
      [wideKey(14, 1, 0), { read: () => 0 }], // DBGDRAR
      [wideKey(14, 2, 0), { read: () => 0 }], // DBGDSAR
    ]);
  }

  private writeSctlr(value: number): void {
    this.sctlr = (value & sctlrWritable) | sctlrOnes;
    this.host.translations.flush();
  }

  private flushAddress(address: number): void {
    const { translations } = this.host;
    if (!this.walker.huge) {
      translations.flushPage(address);
      return;
    }
    translations.flush();
    this.walker.huge = false;
  }

  private flushAsid(asid: number): void {
    const { cpuCount, translations } = this.host;
    if (cpuCount > 1 || this.longDescriptors || ((asid ^ this.contextidr) & 0xff) === 0) translations.flushLocal(true);
  }

  /** ATS1CPR, CPW, CUR, CUW (B4.2.4): the result goes to PAR. */
  private translate(address: number, operation: number): void {
    const result: WalkResult = { physical: 0, allowed: 0, global: false, large: false };
    const access = operation & 1 ? 2 : 1;
    this.asUser = (operation & 2) !== 0;
    const ok = this.walker.walk(address >>> 0, access, result, true);
    this.asUser = undefined;
    const { fault } = this.walker;
    this.parHigh = 0;
    if (this.longDescriptors) this.par = parLong | (ok ? result.physical : 1 | (fault << 1));
    else this.par = ok ? result.physical : 1 | ((fault & 15) << 1) | ((fault & 0x10) << 2);
  }
}

const wordPc = cpuHeader.offset('pc') >> 2;
const slotDacr = systemState.offset('dacr');
const slotFpEnabled = systemState.offset('fpEnabled');
const slotLines = systemState.offset('lines');

/** c7: CRm and opc2 of cache, branch predictor and barrier operations. */
const cacheOperations: readonly (readonly [number, number])[] = [
  [0, 4], // wait for interrupt, of older cores
  [1, 0],
  [1, 6],
  [5, 0],
  [5, 1],
  [5, 4],
  [5, 6],
  [5, 7],
  [6, 1],
  [6, 2],
  [10, 1],
  [10, 2],
  [10, 4],
  [10, 5],
  [11, 1],
  [13, 1],
  [14, 1],
  [14, 2],
];

/** c9: CRm and opc2 of the performance monitors, which count nothing. */
const performanceRegisters: readonly (readonly [number, number])[] = [
  [12, 0],
  [12, 1],
  [12, 2],
  [12, 3],
  [12, 5],
  [12, 6],
  [12, 7],
  [13, 0],
  [13, 1],
  [13, 2],
  [14, 0],
  [14, 1],
  [14, 2],
];
