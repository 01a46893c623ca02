import type * as NodeFfi from 'node:ffi';
import { HostAccess, type HostPages, pageSize } from '#accel/host-pages.ts';
import { Code, W, wasmTypes } from '#tcg/wasm/code.ts';
import { encodeModule } from '#tcg/wasm/module.ts';
import { loadFfi } from '../host-calls.ts';

/*
 * mprotect on the pages of a WebAssembly.Memory, through Node's own foreign function interface: V8 turns the page
 * faults of wasm code into traps. Each rule below keeps the process alive:
 *
 * - Modules import guest memory with minimum 0, else accesses at constant addresses are not made to trap.
 * - Nobody may listen for SIGSEGV: V8's handler would be gone.
 * - Atomics check the permission byte, and bulk memory instructions are not used on guest memory.
 * - The memory has grown to its full size: to grow opens its pages.
 * - No file is mapped over the memory: a truncated one would raise SIGBUS.
 * - Each run of pages of one protection is a mapping of the host, of which it has a limited number.
 */

type Ffi = typeof NodeFfi;
type LibC = ReturnType<typeof openLibC>['functions'];

const SIGSEGV = 11;
/** bytes of a struct sigaction, with room to spare. */
const sigactionBytes = 256;
const MADV_DONTNEED = 4;
/** PROT_* by HostAccess. */
const protections = { [HostAccess.none]: 0, [HostAccess.read]: 1, [HostAccess.write]: 3 } as const;

/**
 * Runs of pages of one protection that the guest memories of this process may have: a quarter of what Linux allows
 * (vm.max_map_count). Where that is used up, V8 ends the process.
 */
const maxRuns = 16_000;
let runsInUse = 0;

function openLibC(ffi: Ffi) {
  return ffi.dlopen(null, {
    mprotect: { arguments: ['pointer', 'u64', 'i32'], return: 'i32' },
    madvise: { arguments: ['pointer', 'u64', 'i32'], return: 'i32' },
    sigaction: { arguments: ['i32', 'pointer', 'pointer'], return: 'i32' },
  });
}

/** Opened once; kept, since its functions end with it. */
let libCOfProcess: ReturnType<typeof openLibC> | undefined;

/** Is there a handler for SIGSEGV? V8 installs it only where it can reserve memory for guard pages. */
function faultsAreHandled(ffi: Ffi, libC: LibC): boolean {
  const action = new ArrayBuffer(sigactionBytes);
  if (libC.sigaction(SIGSEGV, 0n, ffi.getRawPointer(action)) !== 0) return false;
  // The first word is the handler; SIG_DFL is 0, SIG_IGN 1.
  return new BigUint64Array(action)[0] > 1n;
}

class LinuxPages implements HostPages {
  private readonly libC: LibC;
  /** Keeps the memory alive as long as its address is in use. */
  readonly memory: WebAssembly.Memory;
  private readonly base: bigint;
  private readonly holder: { runs: number };

  constructor(libC: LibC, memory: WebAssembly.Memory, base: bigint) {
    this.libC = libC;
    this.memory = memory;
    this.base = base;
    this.holder = { runs: 0 };
    abandoned.register(this, this.holder);
  }

  protect(start: number, end: number, access: HostAccess): boolean {
    return this.libC.mprotect(this.base + BigInt(start), BigInt(end - start), protections[access]) === 0;
  }

  discard(start: number, end: number): void {
    if (this.libC.madvise(this.base + BigInt(start), BigInt(end - start), MADV_DONTNEED) === 0) return;
    new Uint8Array(this.memory.buffer, start, end - start).fill(0);
  }

  account(change: number): boolean {
    this.holder.runs += change;
    runsInUse += change;
    return runsInUse <= maxRuns;
  }
}

/** The runs of address spaces that are gone. */
const abandoned = new FinalizationRegistry<{ readonly runs: number }>(({ runs }) => {
  runsInUse -= runs;
});

/** A module with `load(address)` and `store(address)`, which stores 0. */
function probeModule(): Uint8Array<ArrayBuffer> {
  const load = new Code(16);
  load.get(0);
  load.mem(W.i32_load8_u, 0, 0);
  const store = new Code(16);
  store.get(0);
  store.i32(0);
  store.mem(W.i32_store8, 0, 0);
  return encodeModule({
    types: [
      { params: [wasmTypes.i32], results: [wasmTypes.i32] },
      { params: [wasmTypes.i32], results: [] },
    ],
    imports: [{ kind: 'memory', name: 'guest', maximum: 65536, shared: true }],
    functions: [
      { type: 0, locals: [], code: load, exportName: 'load' },
      { type: 1, locals: [], code: store, exportName: 'store' },
    ],
  });
}

function traps(access: (address: number) => unknown): boolean {
  try {
    access(0);
    return false;
  } catch (error) {
    return error instanceof WebAssembly.RuntimeError;
  }
}

/** Tries on page 0, which no guest can map, whether protection does what it should. */
function pagesAreProtected(pages: HostPages, memory: WebAssembly.Memory): boolean {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(probeModule()), { e: { guest: memory } });
  const { load, store } = exports as Record<'load' | 'store', (address: number) => unknown>;
  const refuses = (access: HostAccess, loads: boolean, stores: boolean): boolean =>
    pages.protect(0, pageSize, access) && traps(load) === loads && traps(store) === stores;
  return (
    refuses(HostAccess.none, true, true) &&
    refuses(HostAccess.read, false, true) &&
    refuses(HostAccess.write, false, false)
  );
}

/** The host's page tables of `memory`, or why they cannot be used. Loading what it needs takes some 2 ms. */
export function hostPages(memory: WebAssembly.Memory): HostPages | string {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'only on Linux on x86-64';
  try {
    const ffi = loadFfi();
    if (ffi === undefined) return `${process.version} of Node.js has no node:ffi`;
    libCOfProcess ??= openLibC(ffi);
    const libC = libCOfProcess.functions;
    if (!faultsAreHandled(ffi, libC)) return 'V8 does not handle page faults here';
    const pages = new LinuxPages(libC, memory, ffi.getRawPointer(memory.buffer as unknown as ArrayBuffer));
    return pagesAreProtected(pages, memory) ? pages : 'the host does not protect pages';
  } catch (error) {
    return (error as Error).message;
  }
}
