import type { Frame, Group } from './call-tree.ts';

/** One function of V8's profile (`Runtime.CallFrame`), as far as it matters. */
export interface HostFrame {
  readonly functionName: string;
  readonly url: string;
}

/** What V8 puts under its own names. */
const native: Readonly<Record<string, Group>> = {
  '(garbage collector)': 'garbage collection',
  '(idle)': 'idle',
  '(program)': 'native',
};

/** tsemu's functions that tell what it is doing. The one called last counts, up to a `final` one. */
const marks: Readonly<Record<string, { readonly name: string; readonly group: Group; readonly final?: true }>> = {
  startProcess: { name: '(kernel)', group: 'kernel' },
  createProcess: { name: '(start)', group: 'kernel', final: true },
  runTask: { name: '(kernel)', group: 'kernel' },
  deliverSignals: { name: '(signals)', group: 'kernel', final: true },
  raiseException: { name: '(signals)', group: 'kernel', final: true },
  dispatch: { name: '(dispatch)', group: 'dispatcher' },
  codeAddress: { name: '(translate)', group: 'translation', final: true },
  predecode: { name: '(translate)', group: 'translation', final: true },
  compile: { name: '(compile)', group: 'compilation', final: true },
  syscall: { name: '(system call)', group: 'system calls' },
};

/** Prefix of the functions that `nameSystemCalls` makes. */
export const systemCallPrefix = 'syscall_';

/** What is shown of a stack of V8's, outermost first: guest functions, then what tsemu does for the innermost. */
export function classify(stack: readonly HostFrame[], guest: (pc: number) => Frame): Frame[] {
  const shown: Frame[] = [];
  let tsemu: Frame | null = null;
  let interpreted = false;
  for (const { functionName, url } of stack) {
    if (functionName in native) return [{ name: functionName, group: native[functionName], url: '' }];
    if (url.startsWith('wasm:')) {
      tsemu = null;
      const [, pc] = /^guest_([0-9a-f]+)$/.exec(functionName) ?? [];
      interpreted = functionName === 'interpreter';
      if (pc !== undefined) shown.push(guest(Number.parseInt(pc, 16)));
      continue;
    }
    if (url.startsWith('node:')) continue;
    if (functionName.startsWith(systemCallPrefix)) {
      tsemu = { name: `(${functionName.replace('_', ' ')})`, group: 'system calls', url: '' };
      break;
    }
    const mark = Object.hasOwn(marks, functionName) ? marks[functionName] : undefined;
    if (mark === undefined) continue;
    tsemu = { name: mark.name, group: mark.group, url: '' };
    if (mark.final) break;
  }
  if (tsemu !== null) shown.push(tsemu);
  else if (interpreted) shown.push({ name: '(interpreter)', group: 'interpreter', url: '' });
  return shown.length > 0 ? shown : [{ name: '(tsemu)', group: 'kernel', url: '' }];
}
