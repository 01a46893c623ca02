import type { Vma } from './vma.ts';

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');

/** Column at which names start on a 32-bit Linux. */
const nameColumn = 48;

function line(vma: Vma): string {
  const { start, end, prot, file } = vma;
  const access = `${prot & 1 ? 'r' : '-'}${prot & 2 ? 'w' : '-'}${prot & 4 ? 'x' : '-'}${vma.shared ? 's' : 'p'}`;
  const device = `${hex(file?.deviceMajor ?? 0, 2)}:${hex(file?.deviceMinor ?? 0, 2)}`;
  const facts = `${hex(start, 8)}-${hex(end, 8)} ${access} ${hex(vma.offset, 8)} ${device} ${file?.inode ?? 0} `;
  const name = file?.path ?? vma.name;
  return name === '' ? `${facts}\n` : `${facts.padEnd(nameColumn)} ${name}\n`;
}

/** The text of /proc/self/maps (proc_pid_maps(5)). */
export function mapsText(vmas: Iterable<Vma>): string {
  let text = '';
  for (const vma of vmas) text += line(vma);
  return text;
}
