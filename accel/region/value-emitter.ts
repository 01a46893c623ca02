import { importedFunction } from '#tcg/interpreter-module.ts';
import { type IrBlock, irError } from '#tcg/ir.ts';
import { type AddressTranslation, type MemoryModel, translateHelper, translationBias } from '#tcg/memory-model.ts';
import { type MemoryAccess, memoryAccess } from '#tcg/memory-ops.ts';
import { MemoryFlag, Op, opDefs, opNames, type ValueType } from '#tcg/ops.ts';
import { emptyBlockType, RelocationKind, W, type WasmType, wasmTypes } from '#tcg/wasm/code.ts';
import type { CheckPlan } from './check-plan.ts';
import type { RegionFrame } from './frame.ts';
import type { InheritedNan } from './nan-emitter.ts';
import type { SunkSets } from './sinking.ts';
import type { FaultSite, TrapSite } from './sites.ts';
import { type BlockValues, lazy, pending } from './values.ts';
import { add, addAll, slotType, type VariableSet } from './variables.ts';

/** Reinterpretation between types of one size. */
const reinterprets: Partial<Record<string, number>> = {
  'f32>i32': 0xbc,
  'f64>i64': 0xbd,
  'i32>f32': 0xbe,
  'i64>f64': 0xbf,
};

/** A block while it is emitted. */
export interface BlockEmission {
  readonly node: number;
  readonly block: IrBlock;
  readonly values: BlockValues;
  readonly sunk: SunkSets;
  readonly checks: CheckPlan;
  /** Variables whose NaNs are not exact at block entry. */
  readonly inherited: readonly InheritedNan[];
  /** Temporaries in use and the op after which they are free. */
  readonly live: { local: number; type: WasmType; until: number }[];
  /** Variables set so far (since the last helper). */
  readonly written: VariableSet;
  cleared: boolean;
  /** Guest instruction being emitted. */
  pc: number;
  aux: number;
  ifs: number;
}

/** What accesses to guest memory need of the engine. */
export interface AccessHost {
  readonly memory: MemoryModel;
  /** Registers a place that may fault; the number names it in `cpuHeader.exitArg`. */
  addSite(site: FaultSite): number;
}

/** Emits the values of a block, and the accesses to state and guest memory among its ops. */
export class ValueEmitter {
  /** Unchecked accesses so far. */
  readonly trapSites: TrapSite[] = [];
  private readonly frame: RegionFrame;
  private readonly host: AccessHost;
  /** Branch depth, from where code is emitted now, of the fault exit that stores these variables. */
  private readonly faultDepth: (dirty: VariableSet) => number;

  constructor(frame: RegionFrame, host: AccessHost, faultDepth: (dirty: VariableSet) => number) {
    this.frame = frame;
    this.host = host;
    this.faultDepth = faultDepth;
  }

  /** Pushes value i. */
  push(emission: BlockEmission, i: number): void {
    const { values } = emission;
    const place = values.place[i]!;
    if (place >= 0) {
      this.frame.code.get(place);
      return;
    }
    if (place !== lazy) irError(emission.block, i, 'value used before it was made');
    this.emitValue(emission, i);
  }

  /** Computes value i onto the stack. */
  private emitValue(emission: BlockEmission, i: number): void {
    const { code } = this.frame;
    const { block } = emission;
    const op = block.op[i]!;
    const def = opDefs[op]!;
    if (def.wasm) {
      for (const operand of [block.a[i]!, block.b[i]!, block.c[i]!].slice(0, def.args.length))
        this.push(emission, operand);
      code.append(def.wasm);
      if (def.immediates?.[0] === 'lane') code.u8(block.x[i]!);
      return;
    }
    switch (op) {
      case Op.const_i32:
        code.i32(block.x[i]!);
        return;
      case Op.const_i64:
        code.u8(W.i64_const);
        code.sleb64(block.x[i]!, block.y[i]!);
        return;
      case Op.const_f32:
        // Through the integer: a signalling NaN constant keeps its bits.
        code.u8(W.f32_const);
        code.u32(block.x[i]!);
        return;
      case Op.const_f64:
        code.u8(W.f64_const);
        code.u32(block.x[i]!);
        code.u32(block.y[i]!);
        return;
      case Op.const_v128:
        code.append([0xfd, 12]);
        this.bytes16(block, i);
        return;
      case Op.shuffle_i8x16:
        this.push(emission, block.a[i]!);
        this.push(emission, block.b[i]!);
        code.append([0xfd, 13]);
        this.bytes16(block, i);
        return;
      case Op.helper0:
      case Op.helper1:
      case Op.helper2:
      case Op.helper3:
        this.callHelper(emission, i);
        return;
      default:
        break;
    }
    if (def.effect === 'get') return this.emitGet(block, i);
    if (def.effect === 'load' || def.effect === 'store') return this.emitAccess(emission, i);
    // The rule itself is applied where the value escapes.
    if (opNames[op]!.startsWith('fpnan')) return this.push(emission, block.a[i]!);
    irError(block, i, 'the region emitter has no case for it');
  }

  private bytes16(block: IrBlock, i: number): void {
    for (const word of [block.z[i]!, block.x[i]!, block.y[i]!, block.w[i]!]) this.frame.code.u32(word);
  }

  private emitGet(block: IrBlock, i: number): void {
    const type = slotType(block.op[i]!);
    const variable = this.frame.variables.variableAt(block.x[i]!);
    if (!variable) {
      this.frame.loadSlot(type, block.x[i]!);
      return;
    }
    this.frame.code.get(this.frame.localOf(variable));
    this.reinterpret(variable.type, type);
  }

  private reinterpret(from: ValueType, to: ValueType): void {
    if (from === to) return;
    const opcode = reinterprets[`${from}>${to}`];
    if (opcode === undefined) throw new Error(`no reinterpretation from ${from} to ${to}`);
    this.frame.code.u8(opcode);
  }

  /** Computes value i into a local that holds it until its last use. */
  materialise(emission: BlockEmission, i: number): void {
    const { values, block } = emission;
    if (values.place[i]! >= 0) return;
    const type = wasmTypes[opDefs[block.op[i]!]!.result!];
    this.emitValue(emission, i);
    if (values.lastUse[i]! < 0) {
      this.frame.code.u8(W.drop);
      return;
    }
    const home = this.homeOf(emission, i);
    if (home >= 0) {
      this.frame.code.set(home);
      values.place[i] = home;
      return;
    }
    const local = this.frame.temporary(type);
    this.frame.code.set(local);
    values.place[i] = local;
    emission.live.push({ local, type, until: values.lastUse[i]! });
  }

  /** The local of the variable that the next op sets to value i, if the value can live there; else -1. */
  private homeOf(emission: BlockEmission, i: number): number {
    const { values, block } = emission;
    // The variables are loaded anew after a helper.
    if (opDefs[block.op[i]!]!.effect === 'helper') return -1;
    const next = i + 1;
    if (next >= block.length || opDefs[block.op[next]!]!.effect !== 'set' || block.a[next] !== i) return -1;
    if (emission.sunk.has(next)) return -1;
    const variable = this.frame.variables.variableAt(block.x[next]!);
    if (!variable || variable.type !== slotType(block.op[next]!)) return -1;
    return values.overwritten[next]! >= values.lastUse[i]! ? this.frame.localOf(variable) : -1;
  }

  emitSet(emission: BlockEmission, i: number): void {
    const { block } = emission;
    const type = slotType(block.op[i]!);
    const value = block.a[i]!;
    const variable = this.frame.variables.variableAt(block.x[i]!);
    if (!variable) {
      this.frame.storeSlot(type, block.x[i]!, () => this.push(emission, value));
      return;
    }
    const local = this.frame.localOf(variable);
    if (emission.values.place[value] !== local) {
      this.push(emission, value);
      this.reinterpret(type, variable.type);
      this.frame.code.set(local);
    }
    if (!this.frame.variables.isPrivate(variable)) add(emission.written, variable.index);
  }

  // ---- guest memory

  /** Variables a fault here must find in memory. */
  private dirtyAtFault(emission: BlockEmission): VariableSet {
    const { variables } = this.frame;
    const dirty = emission.written.slice();
    if (!emission.cleared) addAll(dirty, variables.dirtyIn[emission.node]!);
    for (let w = 0; w < dirty.length; w++) dirty[w]! &= ~variables.lazy[w]!;
    return dirty;
  }

  /** Checks access i, of `bytes` bytes at (`service.address` + `offset`). */
  private emitCheck(emission: BlockEmission, i: number, offset: number, bytes: number, access: number): void {
    const planned = emission.checks.get(i);
    if (!planned) {
      this.checkAlone(emission, offset, bytes, access, 0);
      return;
    }
    const { group } = planned;
    if (!group) return;
    const { code } = this.frame;
    if (group.local < 0) {
      group.local = this.frame.temporary(wasmTypes.i32);
      const { values } = emission;
      const ends = group.members.map((at) => (values.place[at] === lazy ? values.lastUse[at]! : at));
      emission.live.push({ local: group.local, type: wasmTypes.i32, until: Math.max(...ends) });
      const start = offset + group.low - planned.offset;
      this.host.memory.pushRefused!(code, this.frame.service.address, start, group.high - group.low, group.access);
      code.tee(group.local);
    } else {
      code.get(group.local);
    }
    code.unlikely();
    code.op2(W.if, emptyBlockType);
    this.checkAlone(emission, offset, bytes, access, 1);
    code.u8(W.end);
  }

  /** The same, for itself, within `depth` blocks of code. */
  private checkAlone(emission: BlockEmission, offset: number, bytes: number, access: number, depth: number): void {
    const site = this.host.addSite({ pc: emission.pc, aux: emission.aux, offset, bytes, access });
    this.frame.code.i32Relocated(site, RelocationKind.site, site);
    this.frame.code.set(this.frame.service.site);
    this.host.memory.emitCheck(
      this.frame.code,
      this.frame.service.address,
      offset,
      bytes,
      access,
      this.faultDepth(this.dirtyAtFault(emission)) + depth,
    );
  }

  /** A load (value on the stack) or cmpxchg. */
  private emitAccess(emission: BlockEmission, i: number): void {
    const { code } = this.frame;
    const { block } = emission;
    const access = memoryAccess[opNames[block.op[i]!]!]!;
    const offset = block.x[i]!;
    const isCmpxchg = access.write;
    if (this.host.memory.translation) {
      this.emitTranslatedAccess(emission, i, access, this.host.memory.translation);
      return;
    }
    if (!this.host.memory.needsCheck(isCmpxchg ? 3 : 1)) {
      this.push(emission, block.a[i]!);
      this.emitUnchecked(emission, access.wasm, offset, 1);
      return;
    }
    if (isCmpxchg) {
      this.settleLoads(emission, block.b[i]!);
      this.settleLoads(emission, block.c[i]!);
    }
    this.push(emission, block.a[i]!);
    code.set(this.frame.service.address);
    if (!(block.y[i]! & MemoryFlag.probed)) this.emitCheck(emission, i, offset, access.bytes, isCmpxchg ? 3 : 1);
    const immediate = this.host.memory.emitAddress(code, this.frame.service.address, offset);
    if (isCmpxchg) {
      this.push(emission, block.b[i]!);
      this.push(emission, block.c[i]!);
    }
    code.append(access.wasm);
    code.u8(isCmpxchg ? Math.log2(access.bytes) : 0);
    code.uleb(immediate);
  }

  /** The same where addresses are virtual. */
  private emitTranslatedAccess(
    emission: BlockEmission,
    i: number,
    access: MemoryAccess,
    translation: AddressTranslation,
  ): void {
    const { code } = this.frame;
    const { block } = emission;
    if (access.write) {
      this.settleLoads(emission, block.b[i]!);
      this.settleLoads(emission, block.c[i]!);
    }
    const physical = this.emitTranslation(emission, i, access, access.write ? 3 : 1, translation);
    code.get(physical);
    if (access.write) {
      this.push(emission, block.b[i]!);
      this.push(emission, block.c[i]!);
    }
    code.append(access.wasm);
    code.op2(access.write ? Math.log2(access.bytes) : 0, translationBias);
    this.frame.release(wasmTypes.i32, physical);
  }

  private emitTranslatedStore(
    emission: BlockEmission,
    i: number,
    access: MemoryAccess,
    translation: AddressTranslation,
  ): void {
    const { code } = this.frame;
    const { block, values } = emission;
    const value = block.b[i]!;
    // It is pushed twice. What other ops use too, perhaps outside an `if` we are in, stays where it is.
    if (
      values.place[value] === lazy &&
      block.op[value] !== Op.const_i32 &&
      opDefs[block.op[value]!]!.effect !== 'get'
    ) {
      values.place[value] = pending;
      this.materialise(emission, value);
    }
    const physical = this.emitTranslation(emission, i, access, 2, translation);
    code.get(physical);
    this.push(emission, value);
    code.append(access.wasm);
    code.op2(0, translationBias);
    this.frame.release(wasmTypes.i32, physical);
  }

  /** Emits the look-up of access i, and the call that serves what is not found; returns the local with the result. */
  private emitTranslation(
    emission: BlockEmission,
    i: number,
    { bytes, wasm }: MemoryAccess,
    kind: number,
    translation: AddressTranslation,
  ): number {
    const { code, service } = this.frame;
    const { block } = emission;
    this.push(emission, block.a[i]!);
    if (block.x[i] !== 0) {
      code.i32(block.x[i]!);
      code.u8(W.i32_add);
    }
    code.set(service.address);
    const physical = this.frame.temporary(wasmTypes.i32);
    const site = this.host.addSite({ pc: emission.pc, aux: emission.aux, offset: 0, bytes, access: kind });
    code.op2(W.block, emptyBlockType); // done
    code.op2(W.block, emptyBlockType); // slow
    translation.emitLookup(code, service.address, bytes, kind, physical, 0);
    code.br(1);
    code.u8(W.end);
    if (kind === 2) {
      const scratch = this.frame.pushScratch();
      this.push(emission, block.b[i]!);
      code.append(wasm);
      code.u8(0);
      code.uleb(scratch);
    }
    code.i32(translateHelper);
    code.get(service.address);
    code.i32Relocated(site, RelocationKind.site, site);
    code.tee(service.site);
    code.i32(0);
    code.u8(W.call);
    code.uleb(importedFunction.helper);
    code.tee(physical);
    code.u8(W.i32_eqz);
    code.brIf(this.faultDepth(this.dirtyAtFault(emission)) + 1);
    code.u8(W.end);
    return physical;
  }

  /** An access that traps where it is refused, with its operands on the stack. */
  private emitUnchecked(emission: BlockEmission, wasm: readonly number[], offset: number, access: number): void {
    const { code } = this.frame;
    this.trapSites.push({ at: code.length, pc: emission.pc, aux: emission.aux, access });
    code.append(wasm);
    code.u8(0);
    code.uleb(offset);
  }

  emitStore(emission: BlockEmission, i: number): void {
    const { code } = this.frame;
    const { block } = emission;
    const access = memoryAccess[opNames[block.op[i]!]!]!;
    const offset = block.x[i]!;
    const value = block.b[i]!;
    if (this.host.memory.translation) {
      this.emitTranslatedStore(emission, i, access, this.host.memory.translation);
      return;
    }
    if (!this.host.memory.needsCheck(2)) {
      this.push(emission, block.a[i]!);
      this.push(emission, value);
      this.emitUnchecked(emission, access.wasm, offset, 2);
      return;
    }
    this.settleLoads(emission, value);
    this.push(emission, block.a[i]!);
    code.set(this.frame.service.address);
    if (!(block.y[i]! & MemoryFlag.probed)) this.emitCheck(emission, i, offset, access.bytes, 2);
    const immediate = this.host.memory.emitAddress(code, this.frame.service.address, offset);
    this.push(emission, value);
    code.append(access.wasm);
    code.u8(0);
    code.uleb(immediate);
  }

  /** Computes a value now if there is a load in it: that would use the address local of the access it belongs to. */
  private settleLoads(emission: BlockEmission, value: number): void {
    const { values } = emission;
    if (values.place[value] !== lazy || !values.hasLoad[value]) return;
    values.place[value] = pending;
    this.materialise(emission, value);
  }

  emitProbe(emission: BlockEmission, i: number): void {
    const { block } = emission;
    if (this.host.memory.translation || !this.host.memory.needsCheck(block.y[i]!)) return;
    this.push(emission, block.a[i]!);
    this.frame.code.set(this.frame.service.address);
    this.emitCheck(emission, i, 0, block.x[i]!, block.y[i]!);
  }

  callHelper(emission: BlockEmission, i: number): void {
    const { block } = emission;
    this.frame.code.i32(block.x[i]!);
    for (const value of [block.a[i]!, block.b[i]!, block.c[i]!]) {
      if (value >= 0) this.push(emission, value);
      else this.frame.code.i32(0);
    }
    this.frame.code.u8(W.call);
    this.frame.code.uleb(importedFunction.helper);
  }
}
