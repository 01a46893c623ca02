import { ExactCheckedMemory } from '#accel/checked-memory.ts';
import { cpuBase, GuestMemory, memoryPages, pageSize } from '#accel/guest-memory.ts';
import { clearJumpCaches } from '#accel/jump-caches.ts';
import { RegionEmitter } from '#accel/region/emitter.ts';
import { isolatedBlock } from '#accel/region/flow.ts';
import { buildGraph } from '#accel/region/graph.ts';
import { CellLiveness } from '#accel/region/liveness.ts';
import type { FaultSite } from '#accel/region/sites.ts';
import { RegionVariables } from '#accel/region/variables.ts';
import { cpuHeader, ExitReason, leftRegion } from '#tcg/cpu-page.ts';
import { generateInterpreter, sharedImports, sharedTypes, typeIndex } from '#tcg/interpreter-module.ts';
import { engineMemory } from '#tcg/interpreter-ops.ts';
import type { IrBlock } from '#tcg/ir.ts';
import { Predecoder } from '#tcg/predecode.ts';
import { encodeModule } from '#tcg/wasm/module.ts';
import { type IrExecutor, type IrMachine, type IrOutcome, irHelpers, memoryStart, pageAccess } from './ir-exec.ts';
import { irLayout, irLazySlots } from './ir-state.ts';

const word = (field: keyof typeof cpuHeader.fields): number => cpuHeader.fields[field].offset >> 2;
const layout = { cpuBase, memoryPages };

/** Guest memory of the IR tests as the engine sees it, with one machine's content at a time. */
export class IrGuest {
  readonly memory = new GuestMemory();
  private readonly bytes: number;

  constructor(bytes: number, access = pageAccess) {
    this.bytes = bytes;
    for (let offset = 0; offset < bytes; offset += pageSize) {
      const start = memoryStart + offset;
      this.memory.protect(start, start + pageSize, access(start));
    }
  }

  put({ state, memory }: IrMachine): void {
    this.guestBytes().set(memory);
    this.memory.cpu.u8.set(state, irLayout.start);
    this.memory.cpu.i32[word('exitReason')] = ExitReason.none;
    this.memory.cpu.i32[word('budget')] = 1000;
  }

  take(): IrMachine {
    return { state: this.memory.cpu.u8.slice(irLayout.start, irLayout.end), memory: this.guestBytes().slice() };
  }

  private guestBytes(): Uint8Array {
    // Some pages refuse access: not through the checked view.
    const start = memoryStart;
    return this.memory.u8.subarray(start, start + this.bytes);
  }
}

/** What both backends need around them, without an engine. */
class Bench {
  readonly guest: IrGuest;
  readonly model = new ExactCheckedMemory();
  readonly engine = new WebAssembly.Memory({
    initial: engineMemory.pages,
    maximum: engineMemory.pages,
    shared: true,
  });
  readonly predecoder = new Predecoder(cpuBase, new Int32Array(this.engine.buffer));
  readonly imports: WebAssembly.Imports;
  readonly interpreter: { run(address: number): void };

  constructor(bytes: number) {
    this.guest = new IrGuest(bytes);
    const { cpu } = this.guest.memory;
    const regions = new WebAssembly.Table({ element: 'anyfunc', initial: 1 });
    this.imports = {
      e: {
        guest: this.guest.memory.memory,
        engine: this.engine,
        regions,
        syscall: () => {
          cpu.i32[word('exitReason')] = ExitReason.syscall;
          return leftRegion;
        },
        helper: (id: number, a: number, b: number, c: number) => irHelpers[id]!.call(cpu, a, b, c),
      },
    };
    const module = new WebAssembly.Module(generateInterpreter(this.model, layout));
    const { exports } = new WebAssembly.Instance(module, this.imports);
    this.interpreter = exports as unknown as { run(address: number): void };
    regions.set(0, exports.miss);
    clearJumpCaches(new Int32Array(this.engine.buffer));
  }

  header(field: keyof typeof cpuHeader.fields): number {
    return this.guest.memory.cpu.i32[word(field)]!;
  }
}

const irTarget = { layout: irLayout, lazySlots: irLazySlots, helpers: irHelpers };

let bench: Bench | undefined;
const theBench = (bytes: number): Bench => (bench ??= new Bench(bytes));

/** T0: predecoded and run by the interpreter. */
export const interpreted: IrExecutor = {
  name: 'interpreter',
  run(block, initial): IrOutcome {
    const on = theBench(initial.memory.length);
    on.guest.put(initial);
    const { marks } = on.predecoder.encode(block, engineMemory.code, 0x7fffffff);
    on.interpreter.run(engineMemory.code);
    const reason = on.header('exitReason') as ExitReason;
    const machine = on.guest.take();
    if (reason === ExitReason.miss) return { ...machine, reason: ExitReason.none, pc: on.header('pc'), argument: 0 };
    if (reason !== ExitReason.fault) return { ...machine, reason, pc: on.header('pc'), argument: on.header('exitArg') };
    let mark = 0;
    while (mark + 3 < marks.length && marks[mark + 3]! <= on.header('exitArg')) mark += 3;
    return { ...machine, reason, pc: marks[mark + 1]!, argument: on.header('faultAddress') };
  },
};

/** T1: compiled as a region of one block that nothing leads back to. */
export const compiled: IrExecutor = {
  name: 'region',
  run(block, initial): IrOutcome {
    const on = theBench(initial.memory.length);
    on.guest.put(initial);
    const { bytes, sites } = compileAlone(block, on.model);
    const { r0 } = new WebAssembly.Instance(new WebAssembly.Module(bytes), on.imports).exports;
    const pc = (r0 as (depth: number, pc: number) => number)(10, block.pc);
    const reason = on.header('exitReason') as ExitReason;
    const machine = on.guest.take();
    if (reason === ExitReason.none) return { ...machine, reason, pc, argument: 0 };
    if (reason !== ExitReason.fault) return { ...machine, reason, pc: on.header('pc'), argument: on.header('exitArg') };
    const site = sites[on.header('exitArg')]!;
    return { ...machine, reason, pc: site.pc, argument: (on.header('faultAddress') + site.offset) | 0 };
  },
};

function compileAlone(
  block: IrBlock,
  memory: ExactCheckedMemory,
): { bytes: Uint8Array<ArrayBuffer>; sites: FaultSite[] } {
  const graph = buildGraph([[]], [[]]);
  const liveness = new CellLiveness([block], isolatedBlock, irTarget);
  const stops = { exactState: true, memory, dropsDead: false, isBackEdge: () => false };
  const variables = new RegionVariables([block], irTarget, stops, liveness, isolatedBlock);
  const sites: FaultSite[] = [];
  const emitter = new RegionEmitter(
    { pc: block.pc, blocks: [block], graph, variables, liveness },
    {
      memory,
      layout,
      helpers: irHelpers,
      sinks: true,
      groupsChecks: true,
      slotOf: (_pc, call) => (call ? 0 : -1),
      countInstructions: false,
      functionOf: () => -1,
      addSite: (site) => sites.push(site) - 1,
    },
  );
  emitter.emit();
  const { locals, code } = emitter.frame;
  const functions = [{ type: typeIndex.region, locals, code, exportName: 'r0', debugName: 'r0' }];
  return { bytes: encodeModule({ types: sharedTypes, imports: sharedImports(layout), functions }), sites };
}
