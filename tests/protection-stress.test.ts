import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Engine } from '#accel/engine.ts';
import { Access, GuestMemory, pageSize } from '#accel/guest-memory.ts';
import { buildInterpreter } from '#accel/interpreter.ts';
import { hostPages } from '#linux-user/mm/host-pages.ts';
import { armState } from '#target/arm/state.ts';
import { armTarget } from '#target/arm/target.ts';
import { cpuHeader, ExitReason } from '#tcg/cpu-page.ts';
import { protectsPages } from './support/guest-memory.ts';

/*
 * A guest program reads addresses from a list and loads or stores there, in turn in each of the ways below. Its arena
 * is a number of pages with random permissions, which change all the time. A model predicts each trap: which access,
 * and what memory holds before. After a trap the program goes on behind the access.
 */

const code = 0x10000;
const list = 0x100000;
const sumAt = 0x8000_0000;
const arena = 0x4000_0000;
const arenaPages = 96;
const arenaBytes = arenaPages * pageSize;
const rounds = 4000;
const runs = 16;

interface Kind {
  /** Instructions from `mov r2, r5; mvn r3, r5` to the access, then from it to the value to add in r2. */
  readonly before: readonly number[];
  readonly access: number;
  readonly after: readonly number[];
  readonly bytes: number;
  readonly store: boolean;
  /** Constant offset of the access. */
  readonly offset: number;
  readonly align: number;
}

const kind = (access: number, bytes: number, store: boolean, more: Partial<Kind> = {}): Kind => ({
  before: [],
  access,
  after: [],
  bytes,
  store,
  offset: 0,
  align: 1,
  ...more,
});
const toD0 = 0xec432b10; // vmov d0, r2, r3
const toD1 = 0xec432b11; // vmov d1, r2, r3
const fromD1 = 0xec532b11; // vmov r2, r3, d1

const kinds: readonly Kind[] = [
  kind(0xe5d12000, 1, false), // ldrb r2, [r1]
  kind(0xe5c12fff, 1, true, { offset: 0xfff }), // strb r2, [r1, #4095]
  kind(0xe1d120b0, 2, false), // ldrh r2, [r1]
  kind(0xe1c120b0, 2, true), // strh r2, [r1]
  kind(0xe5912000, 4, false), // ldr r2, [r1]
  kind(0xe5812000, 4, true), // str r2, [r1]
  kind(0xe5912804, 4, false, { offset: 0x804 }), // ldr r2, [r1, #0x804]
  kind(0xe5812ffc, 4, true, { offset: 0xffc }), // str r2, [r1, #0xffc]
  kind(0xe1c120d0, 8, false, { align: 8 }), // ldrd r2, r3, [r1]
  kind(0xe1c120f0, 8, true, { align: 8 }), // strd r2, r3, [r1]
  kind(0xe891000c, 8, false, { align: 8 }), // ldm r1, {r2, r3}
  kind(0xe881000c, 8, true, { align: 8 }), // stm r1, {r2, r3}
  kind(0xed911b00, 8, false, { after: [fromD1], align: 4 }), // vldr d1, [r1]
  kind(0xed811b00, 8, true, { before: [toD1], align: 4 }), // vstr d1, [r1]
  kind(0xf4210a0f, 16, false, { after: [fromD1] }), // vld1.8 {d0, d1}, [r1]
  kind(0xf4010a0f, 16, true, { before: [toD0, toD1] }), // vst1.8 {d0, d1}, [r1]
];

/** Words of the program; where each kind begins and has its access. */
function assemble(): { words: number[]; starts: number[]; sites: number[] } {
  const words: number[] = [];
  const starts: number[] = [];
  const sites: number[] = [];
  for (const { before, access, after, store } of kinds) {
    starts.push(code + 4 * words.length);
    // ldr r1, [r0], #4; mov r2, r5; mvn r3, r5; add r5, r5, #1
    words.push(0xe4901004, 0xe1a02005, 0xe1e03005, 0xe2855001, ...before);
    sites.push(code + 4 * words.length);
    words.push(access, ...after);
    // eor r4, r2, r4, ror #31; str r4, [r7]
    if (!store) words.push(0xe0224fe4, 0xe5874000);
  }
  // subs r6, r6, #1; bne start; svc 0
  words.push(0xe2566001, 0x1a000000 | (-(words.length + 3) & 0xffffff), 0xef000000);
  return { words, starts, sites };
}

class Random {
  private state: number;

  constructor(seed: number) {
    this.state = seed;
  }

  below(limit: number): number {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return (this.state >>> 0) % limit;
  }
}

const header = (field: 'pc' | 'exitArg'): number => cpuHeader.fields[field].offset >> 2;
const register = (n: number): number => armState.offset('r', n) >> 2;

class Stress {
  readonly memory = new GuestMemory(hostPages);
  readonly engine = new Engine(armTarget, this.memory, { interpreter: buildInterpreter(), tier: 'region' });
  private readonly random: Random;
  private readonly program = assemble();
  /** What the arena should hold, and allow. */
  private readonly model = new Uint8Array(arenaBytes);
  private readonly access = new Uint8Array(arenaPages);
  private readonly addresses = new Uint32Array(rounds * kinds.length);
  private next = 0;
  private counter = 0;
  private sum = 0;
  accesses = 0;
  traps = 0;

  constructor(seed: number) {
    this.random = new Random(seed);
    const { memory } = this;
    memory.protect(code, code + pageSize, Access.read | Access.write);
    this.program.words.forEach((word, i) => memory.store32(code + 4 * i, word >>> 0));
    memory.protect(code, code + pageSize, Access.read | Access.execute);
    memory.protect(list, list + 4 * this.addresses.length, Access.read | Access.write);
    memory.protect(sumAt, sumAt + pageSize, Access.read | Access.write);
    armTarget.reset(memory.cpu, code, 0);
  }

  /** Runs the program over a fresh list to its end. */
  run(): void {
    for (let i = 0; i < this.addresses.length; i++) {
      const { offset, bytes, align } = kinds[i % kinds.length]!;
      const at = this.random.below(arenaBytes - bytes + 1);
      this.addresses[i] = arena + at - (at % align) - offset;
    }
    this.memory.write(list, new Uint8Array(this.addresses.buffer));
    for (let page = 0; page < arenaPages; page++) this.protect(page, page + 1);
    this.next = 0;
    const count = this.addresses.length;
    for (;;) {
      this.setRegisters();
      const stop = this.modelToTrap();
      this.next = stop;
      const reason = this.runEngine();
      this.compareSum(stop);
      if (stop === count) {
        expect(reason).toBe(ExitReason.syscall);
        break;
      }
      if (reason !== ExitReason.trap) throw new Error(`access ${stop}: reason ${reason} where a trap was due`);
      const site = this.program.sites[stop % kinds.length]!;
      const { i32 } = this.memory.cpu;
      if (i32[header('pc')] !== site) throw new Error(`access ${stop}: trap at ${i32[header('pc')]}, not ${site}`);
      const { store } = kinds[stop % kinds.length]!;
      if (i32[header('exitArg')] !== (store ? 2 : 1)) throw new Error(`access ${stop}: the other kind of access`);
      this.traps++;
      this.counter++;
      this.next++;
      if (this.random.below(4) === 0) {
        const page = this.random.below(arenaPages);
        this.protect(page, Math.min(arenaPages, page + 1 + this.random.below(4)));
      }
      if (this.next === count) break;
    }
    this.accesses += count;
    this.compareArena();
  }

  private protect(first: number, end: number): void {
    const access = [1, 0][this.random.below(12)] ?? 3;
    this.access.fill(access, first, end);
    this.memory.protect(arena + first * pageSize, arena + end * pageSize, access);
  }

  /** Performs accesses in the model from `next` on; returns the number of the one that is refused. */
  private modelToTrap(): number {
    const { model, access } = this;
    for (let i = this.next; i < this.addresses.length; i++) {
      const { offset, bytes, store } = kinds[i % kinds.length]!;
      const at = this.addresses[i]! + offset - arena;
      const wanted = store ? 2 : 1;
      if (!(access[at >> 12]! & wanted) || !(access[(at + bytes - 1) >> 12]! & wanted)) return i;
      if (store) {
        // Of r2 = r5 and r3 = ~r5, again and again.
        for (let k = 0; k < bytes; k++) model[at + k] = ((k & 4) === 0 ? this.counter : ~this.counter) >> (8 * (k & 3));
      } else {
        // Of 16 bytes, d1 goes into r2 and r3.
        const low = bytes === 16 ? at + 8 : at;
        let value = 0;
        for (let k = 0; k < Math.min(4, bytes); k++) value |= model[low + k]! << (8 * k);
        this.sum = value ^ ((this.sum << 1) | (this.sum >>> 31));
      }
      this.counter = (this.counter + 1) | 0;
    }
    return this.addresses.length;
  }

  /** As the model has them before access `next`. */
  private setRegisters(): void {
    const { i32 } = this.memory.cpu;
    i32[register(0)] = list + 4 * this.next;
    i32[register(4)] = this.sum;
    i32[register(5)] = this.counter;
    i32[register(6)] = rounds - Math.floor(this.next / kinds.length);
    i32[register(7)] = sumAt | 0;
    const at = this.next % kinds.length;
    i32[header('pc')] = this.program.starts[at]!;
  }

  private runEngine(): ExitReason {
    for (;;) {
      const reason = this.engine.run();
      if (reason !== ExitReason.budget) return reason;
    }
  }

  private compareSum(at: number): void {
    if (this.memory.load32(sumAt) !== this.sum >>> 0) throw new Error(`access ${at}: what was loaded before is wrong`);
  }

  private compareArena(): void {
    this.memory.protect(arena, arena + arenaBytes, 3);
    expect(Buffer.compare(this.memory.view(arena, arenaBytes), this.model)).toBe(0);
  }
}

const { stackTraceLimit } = Error;

describe.skipIf(!protectsPages)('a million accesses to pages of changing permissions', () => {
  // Most of a trap's cost.
  beforeAll(() => {
    Error.stackTraceLimit = 1;
  });
  afterAll(() => {
    Error.stackTraceLimit = stackTraceLimit;
  });

  test('each trap is where it is due, and nothing is lost or torn', () => {
    const stress = new Stress(0x2545f491);
    for (let i = 0; i < runs; i++) stress.run();
    expect(stress.memory.pagesProtected).toBe(true);
    expect(stress.accesses).toBeGreaterThanOrEqual(1_000_000);
    expect(stress.traps).toBeGreaterThanOrEqual(100_000);
  }, 120_000);
});
