import { cpuAreaBytes, ExitReason, temporariesStart } from './cpu-page.ts';
import { t0Opcodes } from './interpreter-ops.ts';
import { type IrBlock, irError } from './ir.ts';
import { argCount, slotBytes } from './op-tables.ts';
import { MemoryFlag, Op } from './ops.ts';
import {
  fusedCode,
  fusedImmediateCode,
  immediateCode,
  Kind,
  memoryCode,
  moveCode,
  opKind,
  plainCode,
  probedCode,
} from './predecode-tables.ts';

const never = 0x7fffffff;
const maxOps = 8192;

/** A word in the predecoded code that may be linked to another block: its byte address and the guest PC after it. */
export interface LinkSite {
  readonly address: number;
  readonly pc: number;
}

/** Keys of the page a block's code begins in, and of the page it runs on into. */
export interface CodeKeys {
  readonly first: number;
  readonly second?: { readonly address: number; readonly key: number };
}

const nothing: readonly never[] = [];
const exactly = <T>(list: readonly T[]): readonly T[] => (list.length === 0 ? nothing : list.slice());

/** What the engine keeps of a predecoded block. */
export interface PredecodedBlock {
  readonly pc: number;
  /** Byte address in memory 1. */
  readonly address: number;
  readonly bytes: number;
  /** Byte address of each guest instruction's code, ascending, beside its PC and aux word. */
  readonly marks: readonly number[];
  readonly links: readonly LinkSite[];
  /** By PC it comes back to: the first of two words with the last PCs an indirect call went to (0: none yet). */
  readonly indirectCalls: readonly LinkSite[];
  /** Byte addresses of the words that hold T0 addresses within it. */
  readonly targets: readonly number[];
  /** Byte addresses of its `count` instructions. */
  readonly counters: readonly number[];
}

/** Turns an optimized `IrBlock` into T0 code. One object per engine; its scratch arrays are reused. */
export class Predecoder {
  private readonly cpuBase: number;
  /** Memory 1 as words. */
  private readonly words: Int32Array;
  private readonly uses = new Uint16Array(maxOps);
  /** Uses that need the value in a cell (not as an immediate word). */
  private readonly lastUse = new Int32Array(maxOps);
  /** The branch that is the only user of a compare and has it fused in, else -1. */
  private readonly fusedInto = new Int32Array(maxOps);
  /** First op after a value's definition that overwrites the slot it could live in. */
  private readonly overwritten = new Int32Array(maxOps);
  /** Wasm address of each value's cell. */
  private readonly cell = new Int32Array(maxOps);
  /** By cell: the next op that writes it. `never` between blocks. */
  private readonly nextSet = new Int32Array(cpuAreaBytes / 16).fill(never);
  private at = 0;
  private nextTemporary = 0;
  private ifs: number[] = [];
  // What a `PredecodedBlock` lists, copied at its exact size: an array that has grown is larger than it need be.
  private readonly marks: number[] = [];
  private readonly links: LinkSite[] = [];
  private readonly indirectCalls: LinkSite[] = [];
  private readonly targets: number[] = [];
  private readonly counters: number[] = [];

  /** `words`: memory 1. */
  constructor(cpuBase: number, words: Int32Array) {
    this.cpuBase = cpuBase;
    this.words = words;
  }

  /**
   * Writes the block's code at byte `address` of memory 1; `threshold` is its profile counter's start. `counts`: where
   * to count instructions (`countingPoints`), if they are to be counted. `codeKeys`: in machine mode, the keys of its pages.
   */
  encode(
    block: IrBlock,
    address: number,
    threshold: number,
    counts?: ReadonlyMap<number, number>,
    codeKeys?: CodeKeys,
  ): PredecodedBlock {
    this.analyse(block);
    this.at = address >> 2;
    // The first cell is never written: zero.
    this.nextTemporary = this.cpuBase + temporariesStart + 16;
    this.ifs.length = 0;
    const { marks, links, indirectCalls, targets, counters } = this;
    marks.length = links.length = indirectCalls.length = targets.length = counters.length = 0;
    this.put3(t0Opcodes.enter!, threshold, block.pc);
    this.put(block.instructions);
    if (codeKeys) {
      this.put(codeKeys.first);
      if (codeKeys.second) {
        this.put3(t0Opcodes.guard!, codeKeys.second.address | 0, codeKeys.second.key);
        this.put(block.pc);
      }
    }
    for (let i = 0; i < block.length; i++) {
      const count = counts?.get(i);
      if (count !== undefined) {
        counters.push(this.at << 2);
        this.put3(t0Opcodes.count!, count, 0);
        this.put(0);
      }
      switch (opKind[block.op[i]!]) {
        case Kind.plain:
          this.plain(block, i);
          break;
        case Kind.const32:
          if (this.lastUse[i]! >= 0) this.put3(t0Opcodes.const32!, this.define(block, i), block.x[i]!);
          break;
        case Kind.get:
          this.get(block, i);
          break;
        case Kind.set:
          this.set(block, i);
          break;
        case Kind.memory:
          this.memory(block, i);
          break;
        case Kind.marker:
          marks.push(this.at << 2, block.x[i]!, block.y[i]!);
          break;
        default:
          this.other(block, i, links);
      }
    }
    const bytes = (this.at << 2) - address;
    return {
      pc: block.pc,
      address,
      bytes,
      marks: marks.slice(),
      links: exactly(links),
      indirectCalls: exactly(indirectCalls),
      targets: exactly(targets),
      counters: exactly(counters),
    };
  }

  /** Backward scan: uses, last uses, and when the slot a `get` names is overwritten. */
  private analyse(block: IrBlock): void {
    const { uses, lastUse, overwritten, fusedInto } = this;
    const n = block.length;
    uses.fill(0, 0, n);
    lastUse.fill(-1, 0, n);
    fusedInto.fill(-1, 0, n);
    let helperAt = never;
    for (let i = n - 1; i >= 0; i--) {
      const op = block.op[i]!;
      const kind = opKind[op];
      if (kind === Kind.get)
        overwritten[i] = Math.min(helperAt, this.slotWritten(block.x[i]! >> 2, slotBytes[op]! >> 2));
      else if (kind === Kind.set) {
        // The value may live in this slot until the slot is written again.
        const count = slotBytes[op]! >> 2;
        overwritten[i] = Math.min(helperAt, this.slotWritten(block.x[i]! >> 2, count));
        this.willWrite(block.x[i]! >> 2, count, i);
      } else if (op >= Op.helper0 && op <= Op.helper3) helperAt = i;
      // Only now are all uses known: a compare that something else needs too is computed where it stands.
      if (uses[i]! > 1) fusedInto[i] = -1;
      if (op === Op.branch && i === n - 1 && fusedCode[block.op[block.a[i]!]!]! >= 0) fusedInto[block.a[i]!] = i;
      const user = fusedInto[i]! >= 0 ? fusedInto[i]! : i;
      const args = argCount[op]!;
      if (args > 0) this.use(block, block.a[i]!, user, true);
      if (args > 1) this.use(block, block.b[i]!, user, immediateCode[op]! < 0 || args > 2);
      if (args > 2) this.use(block, block.c[i]!, user, true);
    }
    for (let i = 0; i < n; i++) {
      const op = block.op[i]!;
      if (opKind[op] === Kind.set) this.willWrite(block.x[i]! >> 2, slotBytes[op]! >> 2, never);
    }
  }

  private willWrite(cell: number, count: number, op: number): void {
    for (let k = 0; k < count; k++) this.nextSet[cell + k] = op;
  }

  private slotWritten(cell: number, count: number): number {
    let first = never;
    for (let k = 0; k < count; k++) first = Math.min(first, this.nextSet[cell + k]!);
    return first;
  }

  private use(block: IrBlock, value: number, user: number, needsCell: boolean): void {
    this.uses[value]!++;
    if (!needsCell && block.op[value] === Op.const_i32) return;
    if (this.lastUse[value]! < user) this.lastUse[value] = user;
  }

  private put3(a: number, b: number, c: number): void {
    const { words } = this;
    words[this.at] = a;
    words[this.at + 1] = b;
    words[this.at + 2] = c;
    this.at += 3;
  }

  private put(word: number): void {
    this.words[this.at++] = word;
  }

  private temporary(): number {
    const cell = this.nextTemporary;
    this.nextTemporary = cell + 16;
    if (cell + 16 > this.cpuBase + cpuAreaBytes) throw new Error('interpreter: out of temporaries');
    return cell;
  }

  /** The cell op i's result goes to: the slot of a `set` right after it where that is safe, else a temporary. */
  private define(block: IrBlock, i: number): number {
    const next = i + 1;
    if (next < block.length && opKind[block.op[next]!] === Kind.set && block.a[next] === i) {
      if (this.overwritten[next]! >= this.lastUse[i]!) {
        this.cell[i] = this.cpuBase + block.x[next]!;
        return this.cell[i]!;
      }
    }
    this.cell[i] = this.temporary();
    return this.cell[i]!;
  }

  private get(block: IrBlock, i: number): void {
    const slot = this.cpuBase + block.x[i]!;
    if (this.overwritten[i]! >= this.lastUse[i]!) {
      this.cell[i] = slot;
      return;
    }
    this.cell[i] = this.temporary();
    this.put3(moveCode[block.op[i]!]!, this.cell[i]!, slot);
  }

  private set(block: IrBlock, i: number): void {
    const value = block.a[i]!;
    const slot = this.cpuBase + block.x[i]!;
    if (this.cell[value] !== slot) this.put3(moveCode[block.op[i]!]!, slot, this.cell[value]!);
  }

  private plain(block: IrBlock, i: number): void {
    const op = block.op[i]!;
    if (this.fusedInto[i]! >= 0) return;
    const { cell } = this;
    const args = argCount[op]!;
    if (args === 2 && immediateCode[op]! >= 0 && block.op[block.b[i]!] === Op.const_i32) {
      const a = cell[block.a[i]!]!;
      this.put(immediateCode[op]!);
      this.put3(this.define(block, i), a, block.x[block.b[i]!]!);
      return;
    }
    this.put(plainCode[op]!);
    this.put(this.define(block, i));
    this.put(cell[block.a[i]!]!);
    if (args > 1) this.put(cell[block.b[i]!]!);
    if (args > 2) this.put(cell[block.c[i]!]!);
  }

  private memory(block: IrBlock, i: number): void {
    const op = block.op[i]!;
    const address = this.cell[block.a[i]!]!;
    const data = argCount[op] === 2 ? this.cell[block.b[i]!]! : this.define(block, i);
    this.put(block.y[i]! & MemoryFlag.probed ? probedCode[op]! : memoryCode[op]!);
    this.put3(data, address, block.x[i]!);
  }

  private other(block: IrBlock, i: number, links: LinkSite[]): void {
    const op = block.op[i]!;
    const { cell } = this;
    const a = block.a[i]! >= 0 ? cell[block.a[i]!]! : 0;
    const b = block.b[i]! >= 0 ? cell[block.b[i]!]! : 0;
    const c = block.c[i]! >= 0 ? cell[block.c[i]!]! : 0;
    const x = block.x[i]!;
    const y = block.y[i]!;
    switch (op) {
      case Op.const_f32:
        this.put3(t0Opcodes.const32!, this.define(block, i), x);
        return;
      case Op.const_i64:
      case Op.const_f64:
        this.put3(t0Opcodes.const64!, this.define(block, i), x);
        this.put(y);
        return;
      case Op.const_v128:
        this.put(t0Opcodes.const128!);
        this.put(this.define(block, i));
        this.putBytes16(block, i);
        return;
      case Op.shuffle_i8x16:
        this.put(t0Opcodes.shuffle!);
        this.put3(this.define(block, i), a, b);
        this.putBytes16(block, i);
        return;
      case Op.extract_lane_s_i8x16:
        return this.put3(t0Opcodes.mov8_s!, this.define(block, i), a + x);
      case Op.extract_lane_u_i8x16:
        return this.put3(t0Opcodes.mov8_u!, this.define(block, i), a + x);
      case Op.extract_lane_s_i16x8:
        return this.put3(t0Opcodes.mov16_s!, this.define(block, i), a + 2 * x);
      case Op.extract_lane_u_i16x8:
        return this.put3(t0Opcodes.mov16_u!, this.define(block, i), a + 2 * x);
      case Op.extract_lane_i32x4:
      case Op.extract_lane_f32x4:
        return this.put3(t0Opcodes.mov32!, this.define(block, i), a + 4 * x);
      case Op.extract_lane_i64x2:
      case Op.extract_lane_f64x2:
        return this.put3(t0Opcodes.mov64!, this.define(block, i), a + 8 * x);
      case Op.replace_lane_i8x16:
        return this.insert(t0Opcodes.insert8!, block, i, a, b, x);
      case Op.replace_lane_i16x8:
        return this.insert(t0Opcodes.insert16!, block, i, a, b, 2 * x);
      case Op.replace_lane_i32x4:
      case Op.replace_lane_f32x4:
        return this.insert(t0Opcodes.insert32!, block, i, a, b, 4 * x);
      case Op.replace_lane_i64x2:
      case Op.replace_lane_f64x2:
        return this.insert(t0Opcodes.insert64!, block, i, a, b, 8 * x);
      case Op.fpnan1_f32:
      case Op.fpnan1_f64:
      case Op.fpnan2_f32:
      case Op.fpnan2_f64:
        this.put(plainCode[op]!);
        this.put3(this.define(block, i), a, b);
        if (argCount[op] === 3) this.put(c);
        return;
      case Op.cmpxchg8:
      case Op.cmpxchg16:
      case Op.cmpxchg_i32:
      case Op.cmpxchg_i64:
        this.put(plainCode[op]!);
        this.put(this.define(block, i));
        this.put3(a, b, c);
        this.put(x);
        return;
      case Op.probe:
        this.put(t0Opcodes.probe!);
        this.put3(a, x, y);
        return;
      case Op.fence:
        this.put(t0Opcodes.fence!);
        return;
      case Op.helper0:
      case Op.helper1:
      case Op.helper2:
      case Op.helper3: {
        const zero = this.cpuBase + temporariesStart;
        this.put3(t0Opcodes.helper!, this.define(block, i), x);
        this.put3(a || zero, b || zero, c || zero);
        return;
      }
      case Op.if:
        this.put3(t0Opcodes.if!, a, 0);
        this.ifs.push(this.at - 1);
        return;
      case Op.else: {
        this.put(t0Opcodes.skip!);
        this.put(0);
        const skip = this.at - 1;
        this.leadHere(this.ifs.pop()!);
        this.ifs.push(skip);
        return;
      }
      case Op.endif:
        this.leadHere(this.ifs.pop()!);
        return;
      case Op.jump:
      case Op.call:
        this.put(t0Opcodes.jump!);
        this.link(x, links);
        return;
      case Op.branch:
        this.branch(block, i, links);
        return;
      case Op.return:
      case Op.jump_indirect:
        this.put(t0Opcodes.indirect!);
        this.put(a);
        return;
      case Op.call_indirect:
        this.put3(t0Opcodes.call_indirect!, a, 0);
        this.indirectCalls.push({ pc: x, address: (this.at - 1) << 2 });
        this.put(0);
        return;
      case Op.switch: {
        const table = block.tables[x]!;
        this.put3(t0Opcodes.switch!, a, table.length);
        for (const pc of table) this.put(pc);
        return;
      }
      case Op.exit:
        if (x === ExitReason.syscall) {
          this.put3(t0Opcodes.syscall!, a, y);
          return;
        }
        this.put(t0Opcodes.exit!);
        this.put3(a, x, y);
        return;
      default:
        irError(block, i, 'the predecoder has no case for it');
    }
  }

  /** Makes the word at index `word` the address of what comes next. */
  private leadHere(word: number): void {
    this.words[word] = this.at << 2;
    this.targets.push(word << 2);
  }

  private insert(code: number, block: IrBlock, i: number, vector: number, value: number, offset: number): void {
    this.put3(code, this.define(block, i), vector);
    this.put(value);
    this.put(offset);
  }

  private putBytes16(block: IrBlock, i: number): void {
    this.put(block.z[i]!);
    this.put3(block.x[i]!, block.y[i]!, block.w[i]!);
  }

  private link(pc: number, links: LinkSite[]): void {
    links.push({ address: this.at << 2, pc });
    this.put(0);
    this.put(pc);
  }

  private branch(block: IrBlock, i: number, links: LinkSite[]): void {
    const condition = block.a[i]!;
    if (this.fusedInto[condition] === i) {
      const op = block.op[condition]!;
      const right = block.b[condition]!;
      const immediate = block.op[right] === Op.const_i32;
      this.put3(
        immediate ? fusedImmediateCode[op]! : fusedCode[op]!,
        this.cell[block.a[condition]!]!,
        immediate ? block.x[right]! : this.cell[right]!,
      );
    } else {
      this.put(t0Opcodes.branch!);
      this.put(this.cell[condition]!);
    }
    this.link(block.x[i]!, links);
    this.link(block.y[i]!, links);
  }
}
