import type { IrBlock } from '#tcg/ir.ts';
import type { AccessBits, MemoryModel } from '#tcg/memory-model.ts';
import { memoryAccess } from '#tcg/memory-ops.ts';
import { MemoryFlag, Op, opDefs, opNames } from '#tcg/ops.ts';
import type { Helper } from '#tcg/target.ts';

/**
 * Accesses off one base that are tested together: the first one tests all their bytes, [low, high) from the base. If
 * that is refused, a local says so, and each is tested by itself.
 */
export interface CheckGroup {
  low: number;
  high: number;
  access: AccessBits;
  /** Ops, the first of them tests for all. */
  readonly members: number[];
  /** Holds 1 if the test was refused; -1 before there is one. */
  local: number;
}

/** What is tested for an access. */
export interface PlannedCheck {
  /** Undefined: nothing, bytes that were tested already hold it. */
  readonly group: CheckGroup | undefined;
  /** Where it begins, from the base. */
  readonly offset: number;
}

/** By op; what is not in it tests for itself. */
export type CheckPlan = ReadonlyMap<number, PlannedCheck>;

export const noCheckPlan: CheckPlan = new Map();

/** Bytes a group may span: two pages at most, its first and last byte's. */
const maxSpan = 4096;

interface Tested {
  readonly low: number;
  readonly high: number;
  readonly access: AccessBits;
}

/** What is known of the accesses off one base. */
interface BaseFacts {
  group: CheckGroup;
  tested: readonly Tested[];
}

/** Plans the checks of a block. Permissions change between blocks alone, in system calls; a helper is not trusted. */
export function planChecks(block: IrBlock, memory: MemoryModel, helpers: readonly Helper[]): CheckPlan {
  const plan = new Map<number, PlannedCheck>();
  /** By base; outside of each open `if`: what held there. */
  let facts = new Map<number, BaseFacts>();
  const open: Map<number, BaseFacts>[] = [];
  for (let i = 0; i < block.length; i++) {
    const op = block.op[i]!;
    switch (opDefs[op]!.effect) {
      case 'load':
      case 'store': {
        const { bytes, write } = memoryAccess[opNames[op]!]!;
        const access = !write ? 1 : opDefs[op]!.result ? 3 : 2;
        if ((block.y[i]! & MemoryFlag.probed) === 0 && memory.needsCheck(access)) add(i, block.x[i]!, bytes, access);
        break;
      }
      case 'probe':
        if (memory.needsCheck(block.y[i]!)) add(i, 0, block.x[i]!, block.y[i]!);
        break;
      case 'helper':
        if (helpers[block.x[i]!]?.pure) break;
        facts.clear();
        for (const outer of open) outer.clear();
        break;
      case 'structure':
        if (op === Op.if) open.push(new Map(facts));
        else if (op === Op.else) facts = new Map(open.at(-1)!);
        else facts = open.pop()!;
        break;
      case 'pure':
      case 'get':
      case 'set':
      case 'marker':
      case 'fence':
      case 'terminal':
        break;
    }
  }
  for (const [i, { group }] of plan) if (group?.members.length === 1) plan.delete(i);
  return plan;

  function add(i: number, immediate: number, bytes: number, access: AccessBits): void {
    let base = block.a[i]!;
    let offset = immediate;
    while (block.op[base] === Op.add_i32 && block.op[block.b[base]!] === Op.const_i32) {
      offset = (offset + block.x[block.b[base]!]!) | 0;
      base = block.a[base]!;
    }
    const low = offset;
    const high = offset + bytes;
    const known = facts.get(base);
    const isTested = (tested: Tested): boolean =>
      tested.low <= low && tested.high >= high && (tested.access & access) === access;
    if (known?.tested.some(isTested)) {
      plan.set(i, { group: undefined, offset });
      return;
    }
    let group = known?.group;
    if (!group || Math.max(group.high, high) - Math.min(group.low, low) > maxSpan)
      group = { low, high, access, members: [], local: -1 };
    group.low = Math.min(group.low, low);
    group.high = Math.max(group.high, high);
    group.access |= access;
    group.members.push(i);
    plan.set(i, { group, offset });
    facts.set(base, { group, tested: [...(known?.tested ?? []), { low, high, access }] });
  }
}
