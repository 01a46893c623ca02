import type { Device, Line } from '../device.ts';

/*
 * ARM Generic Interrupt Controller, architecture version 2 (IHI 0048B), without the Security Extensions: a distributor
 * (4 KiB) and a CPU interface (8 KiB) that each core sees as its own. Interrupts 0–15 are software generated (SGI),
 * 16–31 private to a core (PPI), the others shared (SPI). SGIs are not told apart by the core that sent them except in
 * GICC_IAR.
 */

const irqs = 288;
const words = irqs / 32;
/** No interrupt: GICC_IAR. */
const spurious = 1023;
const idlePriority = 0x100;
/** Peripheral identification from 0xfd0 on. */
const identification = [0x04, 0, 0, 0, 0x90, 0xb4, 0x2b, 0, 0x0d, 0xf0, 0x05, 0xb1];

/** Distributor registers that have a bit for each interrupt, by offset >> 7. */
const bitRegisters = {
  group: 1,
  setEnable: 2,
  clearEnable: 3,
  setPending: 4,
  clearPending: 5,
  setActive: 6,
  clearActive: 7,
} as const;

/** Interrupt state with a bit for each interrupt. Word 0 belongs to one core. */
type Bits = 'group' | 'enabled' | 'pending' | 'level' | 'active' | 'edge';
const bitNames: readonly Bits[] = ['group', 'enabled', 'pending', 'level', 'active', 'edge'];

/** What a core has of its own. */
class CpuInterface {
  readonly private: Record<Bits, number>;
  readonly priority = new Uint8Array(32);
  /** By SGI: the cores that sent it, a bit each. */
  readonly senders = new Uint8Array(16);
  control = 0;
  mask = 0;
  binaryPoint = 0;
  /** Interrupts taken and not ended, the last one last. */
  stack: { irq: number; priority: number }[] = [];

  constructor() {
    this.private = { group: 0, enabled: 0, pending: 0, level: 0, active: 0, edge: 0 };
    this.reset();
  }

  get running(): number {
    return this.stack.at(-1)?.priority ?? idlePriority;
  }

  reset(): void {
    // SGIs are always enabled and edge-triggered.
    Object.assign(this.private, { group: 0, enabled: 0xffff, pending: 0, active: 0, edge: 0xffff });
    this.priority.fill(0);
    this.senders.fill(0);
    this.control = 0;
    this.mask = 0;
    this.binaryPoint = 0;
    this.stack = [];
  }
}

/** The distributor with its CPU interfaces; `outputs`: each core's IRQ line. */
export class GicV2 {
  readonly distributor: Device;
  private readonly cpus: readonly CpuInterface[];
  private readonly outputs: readonly Line[];
  private readonly shared: Record<Bits, Int32Array>;
  private readonly priority = new Uint8Array(irqs);
  private readonly targets = new Uint8Array(irqs);
  private enabled = 0;

  /** `current`: number of the core that accesses registers. */
  constructor(outputs: readonly Line[], current: () => number) {
    this.outputs = outputs;
    this.cpus = outputs.map(() => new CpuInterface());
    this.shared = Object.fromEntries(bitNames.map((name) => [name, new Int32Array(words)])) as Record<Bits, Int32Array>;
    this.distributor = {
      name: 'gic_dist',
      read: (offset, bytes) => this.readDistributor(offset, bytes, current()),
      write: (offset, bytes, value) => this.writeDistributor(offset, bytes, value, current()),
      reset: () => this.reset(),
      save: () => this.save(),
      load: (state) => this.load(state as ReturnType<GicV2['save']>),
    };
    this.cpuInterface = {
      name: 'gic_cpu',
      read: (offset) => this.readInterface(offset, current()),
      write: (offset, _bytes, value) => this.writeInterface(offset, value, current()),
      reset: () => {},
      save: () => null,
      load: () => {},
    };
  }

  readonly cpuInterface: Device;

  /** Input of shared interrupt `n` (SPI n is interrupt 32 + n). */
  spi(n: number): Line {
    return (level) => this.setLevel(32 + n, 0, level);
  }

  /** Input of a core's private interrupt `n` (PPI n is interrupt 16 + n). */
  ppi(cpu: number, n: number): Line {
    return (level) => this.setLevel(16 + n, cpu, level);
  }

  private setLevel(irq: number, cpu: number, level: boolean): void {
    const before = this.bit('level', irq, cpu);
    if (before === level) return;
    this.setBit('level', irq, cpu, level);
    if (level && this.bit('edge', irq, cpu)) this.setBit('pending', irq, cpu, true);
    this.update();
  }

  // ---- state

  private word(name: Bits, index: number, cpu: number): number {
    return index === 0 ? this.cpus[cpu]!.private[name] : this.shared[name][index]!;
  }

  private setWord(name: Bits, index: number, cpu: number, value: number): void {
    if (index === 0) this.cpus[cpu]!.private[name] = value;
    else this.shared[name][index] = value;
  }

  private bit(name: Bits, irq: number, cpu: number): boolean {
    return (this.word(name, irq >> 5, cpu) & (1 << (irq & 31))) !== 0;
  }

  private setBit(name: Bits, irq: number, cpu: number, on: boolean): void {
    const bit = 1 << (irq & 31);
    const old = this.word(name, irq >> 5, cpu);
    this.setWord(name, irq >> 5, cpu, on ? old | bit : old & ~bit);
  }

  private priorityOf(irq: number, cpu: number): number {
    return irq < 32 ? this.cpus[cpu]!.priority[irq]! : this.priority[irq]!;
  }

  /** The pending interrupt of highest priority that a core may take, or `spurious`. */
  private highest(cpu: number): number {
    let best = spurious;
    let bestPriority = idlePriority;
    for (let index = 0; index < words; index++) {
      const waiting =
        this.word('pending', index, cpu) | (this.word('level', index, cpu) & ~this.word('edge', index, cpu));
      let bits = waiting & this.word('enabled', index, cpu) & ~this.word('active', index, cpu);
      for (; bits !== 0; bits &= bits - 1) {
        const irq = index * 32 + 31 - Math.clz32(bits & -bits);
        if (irq >= 32 && (this.targets[irq]! & (1 << cpu)) === 0) continue;
        const priority = this.priorityOf(irq, cpu);
        if (priority >= bestPriority) continue;
        best = irq;
        bestPriority = priority;
      }
    }
    return best;
  }

  private update(): void {
    for (let cpu = 0; cpu < this.cpus.length; cpu++) this.outputs[cpu]!(this.pendingFor(cpu) !== spurious);
  }

  /** The interrupt a core's line is up for, or `spurious`. */
  private pendingFor(cpu: number): number {
    const own = this.cpus[cpu]!;
    if ((this.enabled & 1) === 0 || (own.control & 1) === 0) return spurious;
    const irq = this.highest(cpu);
    if (irq === spurious) return spurious;
    const priority = this.priorityOf(irq, cpu);
    return priority < own.mask && priority < own.running ? irq : spurious;
  }

  // ---- distributor

  private readDistributor(offset: number, bytes: number, cpu: number): number {
    if (offset >= 0x400 && offset < 0xc00) {
      let value = 0;
      for (let i = bytes - 1; i >= 0; i--) value = (value << 8) | this.readByteRegister(offset + i, cpu);
      return value;
    }
    const value = this.readDistributorWord(offset & ~3, cpu);
    return bytes === 4 ? value : (value >>> (8 * (offset & 3))) & ((1 << (8 * bytes)) - 1);
  }

  private readByteRegister(offset: number, cpu: number): number {
    const irq = offset & 0x3ff;
    if (irq >= irqs) return 0;
    if (offset < 0x800) return this.priorityOf(irq, cpu);
    // Private interrupts target the core that asks; with one core, targets read as 0.
    if (this.cpus.length === 1) return 0;
    return irq < 32 ? 1 << cpu : this.targets[irq]!;
  }

  private readDistributorWord(offset: number, cpu: number): number {
    if (offset === 0) return this.enabled;
    if (offset === 4) return ((this.cpus.length - 1) << 5) | (words - 1);
    if (offset === 8) return 0x0002043b;
    if (offset >= 0x80 && offset < 0x400) {
      const index = (offset & 0x7f) >> 2;
      if (index >= words) return 0;
      switch (offset >> 7) {
        case bitRegisters.group:
          return this.word('group', index, cpu);
        case bitRegisters.setEnable:
        case bitRegisters.clearEnable:
          return this.word('enabled', index, cpu);
        case bitRegisters.setPending:
        case bitRegisters.clearPending:
          return this.word('pending', index, cpu) | (this.word('level', index, cpu) & ~this.word('edge', index, cpu));
        default:
          return this.word('active', index, cpu);
      }
    }
    if (offset >= 0xc00 && offset < 0xd00) {
      const irq = (offset - 0xc00) * 4;
      let value = 0;
      for (let i = 0; i < 16 && irq + i < irqs; i++) if (this.bit('edge', irq + i, cpu)) value |= 2 << (2 * i);
      return value;
    }
    if (offset >= 0xf10 && offset < 0xf30) {
      const first = offset & 0xf;
      let value = 0;
      for (let i = 0; i < 4; i++) value |= this.cpus[cpu]!.senders[first + i]! << (8 * i);
      return value;
    }
    if (offset >= 0xfd0) return identification[(offset - 0xfd0) >> 2] ?? 0;
    return 0;
  }

  private writeDistributor(offset: number, bytes: number, value: number, cpu: number): void {
    if (offset >= 0x400 && offset < 0xc00) {
      for (let i = 0; i < bytes; i++) this.writeByteRegister(offset + i, (value >>> (8 * i)) & 0xff, cpu);
    } else if (offset >= 0x80 && offset < 0x400) {
      this.writeBits(offset, value << (8 * (offset & 3)), cpu);
    } else if (offset >= 0xc00 && offset < 0xd00) {
      const irq = (offset - 0xc00) * 4;
      for (let i = 0; i < 4 * bytes && irq + i < irqs; i++) {
        if (irq + i >= 16) this.setBit('edge', irq + i, cpu, ((value >>> (2 * i)) & 2) !== 0);
      }
    } else if (offset === 0) {
      this.enabled = value & 1;
    } else if (offset === 0xf00) {
      this.sendSgi(value, cpu);
    } else if (offset >= 0xf10 && offset < 0xf30) {
      this.writeSgiPending(offset, bytes, value, cpu);
    }
    this.update();
  }

  private writeByteRegister(offset: number, value: number, cpu: number): void {
    const irq = offset & 0x3ff;
    if (irq >= irqs) return;
    if (offset >= 0x800) {
      if (irq >= 32 && this.cpus.length > 1) this.targets[irq] = value & ((1 << this.cpus.length) - 1);
    } else if (irq < 32) {
      this.cpus[cpu]!.priority[irq] = value;
    } else {
      this.priority[irq] = value;
    }
  }

  private writeBits(offset: number, bits: number, cpu: number): void {
    const index = (offset & 0x7f) >> 2;
    if (index >= words) return;
    const change = (name: Bits, set: boolean, among = -1): void => {
      const old = this.word(name, index, cpu);
      this.setWord(name, index, cpu, set ? old | (bits & among) : old & ~(bits & among));
    };
    // SGIs cannot be disabled, and are made pending in another way.
    const notSgi = index === 0 ? ~0xffff : -1;
    switch (offset >> 7) {
      case bitRegisters.group:
        this.setWord('group', index, cpu, bits);
        break;
      case bitRegisters.setEnable:
        change('enabled', true);
        break;
      case bitRegisters.clearEnable:
        change('enabled', false, notSgi);
        break;
      case bitRegisters.setPending:
        change('pending', true, notSgi);
        break;
      case bitRegisters.clearPending:
        change('pending', false, notSgi);
        break;
      case bitRegisters.setActive:
        change('active', true);
        break;
      case bitRegisters.clearActive:
        change('active', false);
        break;
      default:
        break;
    }
  }

  /** GICD_SGIR: filter in bits 25:24, targets in 23:16. */
  private sendSgi(value: number, from: number): void {
    const irq = value & 15;
    const filter = (value >>> 24) & 3;
    const all = (1 << this.cpus.length) - 1;
    const targets = filter === 0 ? (value >>> 16) & all : filter === 1 ? all & ~(1 << from) : 1 << from;
    for (const [cpu, own] of this.cpus.entries()) {
      if ((targets & (1 << cpu)) === 0) continue;
      own.senders[irq]! |= 1 << from;
      own.private.pending |= 1 << irq;
    }
  }

  private writeSgiPending(offset: number, bytes: number, value: number, cpu: number): void {
    const own = this.cpus[cpu]!;
    for (let i = 0; i < bytes; i++) {
      const irq = (offset & 0xf) + i;
      const senders = (value >>> (8 * i)) & 0xff;
      own.senders[irq] = offset < 0xf20 ? own.senders[irq]! & ~senders : own.senders[irq]! | senders;
      this.setBit('pending', irq, cpu, own.senders[irq] !== 0);
    }
  }

  // ---- CPU interface

  private readInterface(offset: number, cpu: number): number {
    const own = this.cpus[cpu]!;
    switch (offset) {
      case 0x00:
        return own.control;
      case 0x04:
        return own.mask;
      case 0x08:
        return own.binaryPoint;
      case 0x0c:
        return this.acknowledge(cpu);
      case 0x14:
        return own.running & 0xff;
      case 0x18:
        return this.pendingFor(cpu);
      case 0xfc:
        return 0x0002043b;
      default:
        return 0;
    }
  }

  /** GICC_IAR: takes the interrupt; the sender of an SGI is in bits 12:10. */
  private acknowledge(cpu: number): number {
    const irq = this.pendingFor(cpu);
    if (irq === spurious) return spurious;
    const own = this.cpus[cpu]!;
    own.stack.push({ irq, priority: this.priorityOf(irq, cpu) });
    this.setBit('active', irq, cpu, true);
    let sender = 0;
    if (irq < 16) {
      sender = 31 - Math.clz32(own.senders[irq]! & -own.senders[irq]!);
      own.senders[irq]! &= ~(1 << sender);
      this.setBit('pending', irq, cpu, own.senders[irq] !== 0);
    } else {
      this.setBit('pending', irq, cpu, false);
    }
    this.update();
    return irq | (Math.max(0, sender) << 10);
  }

  private writeInterface(offset: number, value: number, cpu: number): void {
    const own = this.cpus[cpu]!;
    switch (offset) {
      case 0x00:
        own.control = value & 0x201;
        break;
      case 0x04:
        own.mask = value & 0xff;
        break;
      case 0x08:
        own.binaryPoint = value & 7;
        break;
      case 0x10:
        this.end(value & 0x3ff, cpu);
        break;
      case 0x1000:
        this.setBit('active', value & 0x3ff, cpu, false);
        break;
      default:
        return;
    }
    this.update();
  }

  /** GICC_EOIR: the priority drops; the interrupt is no longer active unless EOImode splits the two. */
  private end(irq: number, cpu: number): void {
    const own = this.cpus[cpu]!;
    const at = own.stack.findLastIndex((taken) => taken.irq === irq);
    if (at < 0) return;
    own.stack.splice(at, 1);
    if ((own.control & 0x200) === 0) this.setBit('active', irq, cpu, false);
  }

  private reset(): void {
    this.enabled = 0;
    for (const name of bitNames) if (name !== 'level') this.shared[name].fill(0);
    this.priority.fill(0);
    // One core gets everything.
    this.targets.fill(this.cpus.length === 1 ? 1 : 0);
    for (const cpu of this.cpus) cpu.reset();
    this.update();
  }

  private save() {
    return {
      enabled: this.enabled,
      shared: bitNames.map((name) => [...this.shared[name]]),
      priority: [...this.priority],
      targets: [...this.targets],
      cpus: this.cpus.map((cpu) => ({
        private: { ...cpu.private },
        priority: [...cpu.priority],
        senders: [...cpu.senders],
        control: cpu.control,
        mask: cpu.mask,
        binaryPoint: cpu.binaryPoint,
        stack: cpu.stack.map((taken) => ({ ...taken })),
      })),
    };
  }

  private load(state: ReturnType<GicV2['save']>): void {
    this.enabled = state.enabled;
    for (const [i, name] of bitNames.entries()) this.shared[name].set(state.shared[i]!);
    this.priority.set(state.priority);
    this.targets.set(state.targets);
    for (const [i, from] of state.cpus.entries()) {
      const cpu = this.cpus[i]!;
      Object.assign(cpu.private, from.private);
      cpu.priority.set(from.priority);
      cpu.senders.set(from.senders);
      cpu.control = from.control;
      cpu.mask = from.mask;
      cpu.binaryPoint = from.binaryPoint;
      cpu.stack = from.stack;
    }
    this.update();
  }
}
