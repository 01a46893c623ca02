import type { IrBlock } from '#tcg/ir.ts';
import { slotBytes } from '#tcg/op-tables.ts';
import { opDefs } from '#tcg/ops.ts';

/**
 * A value in terms of what it was made from: `symbol` names something unknown, and `addend` is a constant added to it.
 * Two values are equal if both are. Symbol 0 is the number zero: the value is its addend.
 */
export interface Known {
  readonly symbol: number;
  readonly addend: number;
}

export const constantSymbol = 0;
/** A symbol nothing is equal to. */
const unequal = -1;

/** An access that has left a value in guest memory, or found it there. */
export interface Origin {
  readonly node: number;
  /** Op index of the load or store, and of the value. */
  readonly op: number;
  readonly value: number;
}

/** What is known to be in guest memory at some address. */
export interface MemoryFact {
  readonly address: Known;
  readonly bytes: number;
  /** Wasm type of the value. */
  readonly type: string;
  readonly value: Known;
  /** The accesses it comes from: one on each way. */
  readonly origins: readonly Origin[];
}

/** Facts kept at one place: what a function saves at its start is a dozen. */
const maxFacts = 24;

/** The slots a region uses, numbered, and which of them overlap. */
export class SlotNumbers {
  private readonly numbers = new Map<number, number>();
  private readonly slots: { offset: number; bytes: number }[] = [];
  private readonly overlaps: number[][] = [];

  constructor(blocks: readonly IrBlock[]) {
    for (const block of blocks) {
      for (let i = 0; i < block.length; i++) {
        const { effect } = opDefs[block.op[i]!]!;
        if (effect === 'get' || effect === 'set') this.add(block.x[i]!, slotBytes[block.op[i]!]!);
      }
    }
  }

  private add(offset: number, bytes: number): void {
    const key = offset * 32 + bytes;
    if (this.numbers.has(key)) return;
    const number = this.slots.length;
    this.numbers.set(key, number);
    const others: number[] = [];
    for (const [other, slot] of this.slots.entries()) {
      if (slot.offset >= offset + bytes || offset >= slot.offset + slot.bytes) continue;
      others.push(other);
      this.overlaps[other]!.push(number);
    }
    this.slots.push({ offset, bytes });
    this.overlaps.push(others);
  }

  get count(): number {
    return this.slots.length;
  }

  numberOf(offset: number, bytes: number): number {
    return this.numbers.get(offset * 32 + bytes)!;
  }

  /** The other slots that share bytes with one. */
  overlapping(number: number): readonly number[] {
    return this.overlaps[number]!;
  }

  offsetOf(number: number): number {
    return this.slots[number]!.offset;
  }

  bytesOf(number: number): number {
    return this.slots[number]!.bytes;
  }
}

/** What is known of state and guest memory at one place of a region. */
export class KnownState {
  /** By slot: what it holds. */
  private readonly symbol: Int32Array;
  private readonly addend: Int32Array;
  /** By slot: the symbol that its place in the CPU page, not the region's local, holds. */
  private readonly stored: Int32Array;
  facts: MemoryFact[];

  private constructor(symbol: Int32Array, addend: Int32Array, stored: Int32Array, facts: MemoryFact[]) {
    this.symbol = symbol;
    this.addend = addend;
    this.stored = stored;
    this.facts = facts;
  }

  /** Where all slots have just been loaded. */
  static loaded(slots: SlotNumbers, fresh: () => number): KnownState {
    const symbol = Int32Array.from({ length: slots.count }, fresh);
    return new KnownState(symbol, new Int32Array(slots.count), symbol.slice(), []);
  }

  /** Where several ways meet; of those that are undefined nothing is known. */
  static merged(slots: SlotNumbers, ways: readonly (KnownState | undefined)[], fresh: () => number): KnownState {
    const [first, ...others] = ways;
    if (!first || others.includes(undefined)) {
      const unknown = KnownState.loaded(slots, fresh);
      unknown.stored.fill(unequal);
      return unknown;
    }
    const known = others.length === 0 ? first : first.copy();
    for (const other of others) known.meet(other!, fresh);
    return known;
  }

  copy(): KnownState {
    return new KnownState(this.symbol.slice(), this.addend.slice(), this.stored.slice(), [...this.facts]);
  }

  /** Keeps what `other` knows, too. */
  meet(other: KnownState, fresh: () => number): void {
    for (let slot = 0; slot < this.symbol.length; slot++) {
      if (this.stored[slot] !== other.stored[slot]) this.stored[slot] = unequal;
      if (this.symbol[slot] === other.symbol[slot] && this.addend[slot] === other.addend[slot]) continue;
      this.symbol[slot] = fresh();
      this.addend[slot] = 0;
    }
    const facts: MemoryFact[] = [];
    for (const fact of this.facts) {
      const same = other.facts.find(
        ({ address, bytes, type }) => isSame(address, fact.address) && bytes === fact.bytes && type === fact.type,
      );
      if (!same) continue;
      const value = isSame(same.value, fact.value) ? fact.value : { symbol: fresh(), addend: 0 };
      facts.push({ ...fact, value, origins: union(fact.origins, same.origins) });
    }
    this.facts = facts;
  }

  slot(slot: number): Known {
    return { symbol: this.symbol[slot]!, addend: this.addend[slot]! };
  }

  setSlot(slots: SlotNumbers, slot: number, { symbol, addend }: Known, fresh: () => number): void {
    this.symbol[slot] = symbol;
    this.addend[slot] = addend;
    for (const other of slots.overlapping(slot)) {
      this.symbol[other] = fresh();
      this.addend[other] = 0;
      this.stored[other] = unequal;
      this.stored[slot] = unequal;
    }
  }

  /** True if the slot's place in the CPU page holds this value. */
  isStored(slot: number, { symbol, addend }: Known): boolean {
    return addend === 0 && this.stored[slot] === symbol;
  }

  /** A slot that holds the value, or -1. */
  slotWith({ symbol, addend }: Known): number {
    for (let slot = 0; slot < this.symbol.length; slot++)
      if (this.symbol[slot] === symbol && this.addend[slot] === addend) return slot;
    return -1;
  }

  /** What is known of `bytes` bytes of `type` at `address`. */
  find(address: Known, bytes: number, type: string): MemoryFact | undefined {
    return this.facts.find((fact) => fact.bytes === bytes && fact.type === type && isSame(fact.address, address));
  }

  learn(fact: MemoryFact): void {
    if (this.facts.length === maxFacts) this.facts.shift();
    this.facts.push(fact);
  }

  /** Forgets what a store may have changed. Addresses made from different things may be the same. */
  forget(address: Known, bytes: number): void {
    this.facts = this.facts.filter((fact) => {
      if (fact.address.symbol !== address.symbol) return false;
      const distance = (fact.address.addend - address.addend) | 0;
      return distance >= bytes || distance <= -fact.bytes;
    });
  }
}

const isSame = (a: Known, b: Known): boolean => a.symbol === b.symbol && a.addend === b.addend;

function union(a: readonly Origin[], b: readonly Origin[]): readonly Origin[] {
  return [...a, ...b.filter((one) => !a.some(({ node, op }) => node === one.node && op === one.op))];
}
