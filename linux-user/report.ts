import type { Target } from '#tcg/target.ts';
import { writeWhole } from './host-write.ts';
import type { ImageDirectory } from './images.ts';
import { mapsText } from './mm/maps-text.ts';
import type { Mm } from './mm/mm.ts';
import type { Termination } from './process.ts';
import { signalName, signalTexts } from './signal/numbers.ts';
import type { SigInfo } from './signal/siginfo.ts';
import type { Task } from './task.ts';

type SignalEnd = Extract<Termination, { kind: 'signal' }> & { readonly task: Task };

const hex = (value: number): string => `0x${value.toString(16).padStart(8, '0')}`;

/** What the fault was, in words. */
function causeText(info: SigInfo): string {
  if (info.kind === 'kill') return `sent by process ${info.pid}`;
  if (info.kind !== 'fault') return 'raised by the kernel';
  const at = hex(info.address);
  switch (info.cause.kind) {
    case 'access': {
      const what = { read: 'read from', write: 'write to', fetch: 'jump to' }[info.cause.access];
      return `${what} ${at}, which is ${info.cause.mapped ? 'protected' : 'not mapped'}`;
    }
    case 'trap':
      return `a refused ${info.cause.access} (--protection=checks tells its address)`;
    case 'alignment':
      return `unaligned access to ${at}`;
    case 'undefined':
      return `undefined instruction at ${at}`;
    case 'breakpoint':
      return `breakpoint at ${at}`;
    case 'exception':
      return `${info.cause.name} exception`;
  }
}

/** The mapping that holds an address, or its neighbours. */
function mappingText(mm: Mm, address: number): string {
  const vma = mm.vmas.at(address);
  if (vma !== null) return `in    ${mapsText([vma])}`;
  const { before, after } = mm.vmas.neighbours(address);
  const lines: string[] = [];
  if (before !== null) lines.push(`below ${mapsText([before])}`);
  if (after !== null) lines.push(`above ${mapsText([after])}`);
  return lines.join('  ');
}

function registersText(task: Task, exact: boolean): string {
  let text = exact ? '' : ' some time before (--protection=checks tells those at the fault)';
  task.abi.registers(task.cpu).forEach(([name, value], i) => {
    text += `${i % 4 === 0 ? '\n   ' : ''} ${name.padStart(4)} ${value.toString(16).padStart(8, '0')}`;
  });
  return `  registers${text}\n`;
}

function instructionText(task: Task, target: Target): string {
  const pc = task.abi.pc(task.cpu);
  if (!task.memory.fetchable(pc, 2)) return '(cannot be fetched)';
  try {
    return target.describe(task.memory, task.rawPc).text;
  } catch {
    return '(cannot be read)';
  }
}

function backtraceText(task: Task, images: ImageDirectory): string {
  const { how, addresses } = task.abi.backtrace(task, (address) => ({ unwindTable: images.unwindTable(address) }));
  if (addresses.length === 0) return '';
  const lines = addresses.map((address, i) => `    #${i + 1} ${hex(address)} ${images.symbol(address) ?? '?'}\n`);
  return `  called from (${how})\n${lines.join('')}`;
}

/** What happened, for a guest that a signal ends: some twenty lines. */
export function reportText(end: SignalEnd, target: Target, images: ImageDirectory): string {
  const { task, info, signo } = end;
  const pc = task.abi.pc(task.cpu);
  const title = `${signalName(signo)} (${signalTexts[signo] ?? 'signal'})`;
  let text = `tsemu: the guest ended by signal ${signo}, ${title}: ${causeText(info)}\n`;
  text += `  pc    ${hex(pc)} ${images.symbol(pc) ?? ''}\n`;
  if (info.kind === 'fault') {
    text += `  insn  ${instructionText(task, target)}\n`;
    if (info.cause.kind === 'access' || info.cause.kind === 'alignment')
      text += `  ${mappingText(task.mm, info.address)}`;
  }
  const exact = info.kind !== 'fault' || info.cause.kind !== 'trap';
  text += registersText(task, exact);
  return exact ? text + backtraceText(task, images) : text;
}

/** Prints the report; an unwritable stderr is no reason to fail. */
export function printReport(
  end: SignalEnd,
  options: { readonly target: Target; readonly report: ((text: string) => void) | null },
  images: ImageDirectory,
): void {
  const text = reportText(end, options.target, images);
  if (options.report !== null) {
    options.report(text);
    return;
  }
  try {
    writeWhole(2, Buffer.from(text));
  } catch {
    // Closed or full: there is nobody to tell.
  }
}
