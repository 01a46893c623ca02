import * as fs from 'node:fs';
import { loadFfi } from './host-calls.ts';

/*
 * A copy of tsemu as a process of its own (fork), through node:ffi. Of the threads only the one that calls is in the
 * copy: V8's helpers are not, so V8 is told beforehand to do all by itself. libuv looks after its own (pthread_atfork).
 */

/** Copies made before giving up: about every second one works. */
const attempts = 10;
/** Milliseconds between two looks at a copy that is to prove that it works, and the number of looks. */
const proofLook = 20;
const proofLooks = 500;
const MADV_DOFORK = 11;
const POLLIN = 1;
/** Above are addresses of the kernel, which FFI does not take. */
const userEnd = 1n << 63n;

/** Milliseconds between two looks whether all other threads are asleep, and the number of looks. */
const lookEvery = 4;
const looks = 250;

/**
 * What V8 else leaves to threads that the copy lacks. Where its garbage collector shares its work, it does it alone if
 * nobody comes.
 */
const ownWork = [
  ...['recompilation', 'osr', 'sparkplug'].map((what) => `--no-concurrent-${what}`),
  '--no-wasm-async-compilation',
  '--wasm-sync-tier-up',
];

function openHost() {
  if (process.platform !== 'linux' || (process.arch !== 'x64' && process.arch !== 'arm64')) return null;
  const ffi = loadFfi();
  if (ffi === undefined) return null;
  const { functions } = ffi.dlopen(null, {
    _exit: { arguments: ['i32'], return: 'void' },
    dup2: { arguments: ['i32', 'i32'], return: 'i32' },
    fork: { arguments: [], return: 'i32' },
    madvise: { arguments: ['pointer', 'u64', 'i32'], return: 'i32' },
    pipe: { arguments: ['pointer'], return: 'i32' },
    poll: { arguments: ['pointer', 'u64', 'i32'], return: 'i32' },
    setpgid: { arguments: ['i32', 'i32'], return: 'i32' },
    setsid: { arguments: [], return: 'i32' },
    waitpid: { arguments: ['i32', 'pointer', 'i32'], return: 'i32' },
  });
  return { ffi, functions };
}

type Host = NonNullable<ReturnType<typeof openHost>>;

/** Has V8 do without other threads. The result collects garbage, which some may be at. */
function stopHelpers(): () => void {
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  setFlagsFromString('--expose-gc');
  for (const flag of ownWork) setFlagsFromString(flag);
  return process.getBuiltinModule('node:vm').runInNewContext('gc') as () => void;
}

/** How often each other thread has been at work; null if one is now. */
function workOfOthers(): string | null {
  let work = '';
  for (const tid of fs.readdirSync('/proc/self/task')) {
    if (tid === String(process.pid)) continue;
    const text = fs.readFileSync(`/proc/self/task/${tid}/status`, 'latin1');
    if (!/^State:\tS/m.test(text)) return null;
    work += `${tid} ${text.slice(text.indexOf('voluntary_ctxt_switches'))}`;
  }
  return work;
}

/** V8 keeps its pages out of copies (MADV_DONTFORK). */
function copyAllPages({ functions }: Host): void {
  let before = '';
  // Doing it makes new ones.
  for (let round = 0; round < 5; round++) {
    const maps = fs.readFileSync('/proc/self/maps', 'latin1');
    if (maps === before) return;
    before = maps;
    for (const [, start, end] of maps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) /gm)) {
      const from = BigInt(`0x${start}`);
      // Mappings of the kernel's own refuse, and are copied.
      if (from < userEnd) functions.madvise(from, BigInt(`0x${end}`) - from, MADV_DOFORK);
    }
  }
}

/**
 * Collects garbage and compiles. Where the threads were that waited for work, the copy has a condition variable with
 * waiters that are no more, in one or two groups (glibc's __condvar_quiesce_and_switch_g1). If it is two, who signals
 * waits for ever when it comes to the second: here, where all of them are signalled.
 */
function prove(collect: () => void): void {
  let kept: unknown[] = [];
  for (let i = 0; i < 400_000; i++) {
    if (i % 20_000 === 0) kept = [];
    kept.push({ i, kept: [i] });
  }
  collect();
  const empty = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
  if (kept.length === 0 || !(new WebAssembly.Module(empty) instanceof WebAssembly.Module)) process.abort();
}

/** True when the copy says that it works, false when it has ended or sleeps, which it need not. */
function proves({ ffi, functions }: Host, pid: number, reader: number): boolean {
  const question = Int32Array.of(reader, POLLIN);
  let asleep = 0;
  for (let look = 0; look < proofLooks && asleep < 2; look++) {
    if (functions.poll(ffi.getRawPointer(question.buffer), 1n, proofLook) === 1) {
      return fs.readSync(reader, Buffer.alloc(1)) === 1;
    }
    asleep = /^State:\tS/m.test(fs.readFileSync(`/proc/${pid}/status`, 'latin1')) ? asleep + 1 : 0;
  }
  return false;
}

/** Which of the two processes this is; null if no copy could be made, or it did not work. */
export async function fork(): Promise<'original' | 'copy' | null> {
  const host = openHost();
  if (host === null) return null;
  const collect = stopHelpers();
  for (let attempt = 0; attempt < attempts; attempt++) {
    collect();
    let before: string | null = null;
    for (let look = 0; look < looks; look++) {
      copyAllPages(host);
      const work = workOfOthers();
      if (work !== null && work === before) break;
      before = work;
      await new Promise((resolve) => setTimeout(resolve, lookEvery));
    }
    const which = forkNow(host, collect);
    if (which !== null) return which;
  }
  return null;
}

function forkNow(host: Host, collect: () => void): 'original' | 'copy' | null {
  const { ffi, functions } = host;
  const ends = new Int32Array(2);
  if (functions.pipe(ffi.getRawPointer(ends.buffer)) !== 0) return null;
  const [reader, writer] = ends;
  const pid = functions.fork();
  if (pid === 0) {
    fs.closeSync(reader);
    prove(collect);
    fs.writeSync(writer, 'works');
    fs.closeSync(writer);
    return 'copy';
  }
  fs.closeSync(writer);
  const works = pid > 0 && proves(host, pid, reader);
  fs.closeSync(reader);
  if (works) return 'original';
  if (pid > 0) {
    process.kill(pid, 'SIGKILL');
    functions.waitpid(pid, ffi.getRawPointer(new Int32Array(1).buffer), 0);
  }
  return null;
}

/** The copy, which has a session or a group of its own, lets go of the standard streams among `closed`. */
export function standAlone(own: 'session' | 'group' | null, closed: readonly number[]): void {
  const { functions } = openHost()!;
  if (own === 'session') functions.setsid();
  if (own === 'group') functions.setpgid(0, 0);
  const nothing = fs.openSync('/dev/null', fs.constants.O_RDWR);
  for (const fd of closed) functions.dup2(nothing, fd);
  fs.closeSync(nothing);
}

/** Ends the copy: Node would wait for threads that are not there. */
export function endCopy(): void {
  openHost()!.functions._exit(0);
}
