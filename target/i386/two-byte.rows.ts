import { cmpxchg, xadd } from './alu.ts';
import { bsf, bsr, bswap, bt, btc, btr, bts, lzcnt, popcnt, tzcnt } from './bits.ts';
import { jcc, sysenter } from './control.ts';
import { cpuid } from './cpuid.ts';
import { cmov, movsx, movzx, setcc } from './move.ts';
import { imul } from './multiply.ts';
import { conditions } from './one-byte.rows.ts';
import { row, type X86Row } from './row.ts';
import { lar, loadFar, lsl, popSegment, pushSegment } from './segment.ts';
import { shld, shrd } from './shift.ts';
import { Seg } from './state.ts';
import { moveControl, privileged, rdtsc, undefined_ } from './system.ts';

const lock = { lock: true } as const;

/** A row for each condition, from opcode `first` on. */
const conditional = (name: string, first: number, codes: string, translate: X86Row['translate']): X86Row[] =>
  conditions.map((condition, i) =>
    row(name + condition, `0F ${(first + i).toString(16).toUpperCase()}`, codes, translate),
  );

/** The two-byte map (SDM vol. 2, table A-3) without its groups: integer instructions. */
export const twoByteRows: readonly X86Row[] = [
  row('LAR', '0F 02', 'Gv,Ew', lar),
  row('LSL', '0F 03', 'Gv,Ew', lsl),
  row('CLTS', '0F 06', '', privileged),
  row('INVD', '0F 08', '', privileged),
  row('WBINVD', '0F 09', '', privileged),
  row('UD2', '0F 0B', '', undefined_),
  row('MOV', '0F 20', 'Rd,Cd', moveControl),
  row('MOV', '0F 21', 'Rd,Dd', privileged),
  row('MOV', '0F 22', 'Cd,Rd', moveControl),
  row('MOV', '0F 23', 'Dd,Rd', privileged),
  row('WRMSR', '0F 30', '', privileged),
  row('RDTSC', '0F 31', '', rdtsc),
  row('RDMSR', '0F 32', '', privileged),
  row('RDPMC', '0F 33', '', privileged),
  row('SYSENTER', '0F 34', '', sysenter),
  row('SYSEXIT', '0F 35', '', privileged),
  ...conditional('CMOV', 0x40, 'Gv,Ev', cmov),
  ...conditional('J', 0x80, 'Jz', jcc),
  ...conditional('SET', 0x90, 'Eb', setcc),
  row('PUSH', '0F A0', 'FS', pushSegment),
  row('POP', '0F A1', 'FS', popSegment),
  row('CPUID', '0F A2', '', cpuid),
  row('BT', '0F A3', 'Ev,Gv', bt),
  row('SHLD', '0F A4', 'Ev,Gv,Ib', shld),
  row('SHLD', '0F A5', 'Ev,Gv,CL', shld),
  row('PUSH', '0F A8', 'GS', pushSegment),
  row('POP', '0F A9', 'GS', popSegment),
  row('BTS', '0F AB', 'Ev,Gv', bts, lock),
  row('SHRD', '0F AC', 'Ev,Gv,Ib', shrd),
  row('SHRD', '0F AD', 'Ev,Gv,CL', shrd),
  row('IMUL', '0F AF', 'Gv,Ev', imul),
  row('CMPXCHG', '0F B0', 'Eb,Gb', cmpxchg, lock),
  row('CMPXCHG', '0F B1', 'Ev,Gv', cmpxchg, lock),
  row('LSS', '0F B2', 'Gv,Mp', loadFar(Seg.ss)),
  row('BTR', '0F B3', 'Ev,Gv', btr, lock),
  row('LFS', '0F B4', 'Gv,Mp', loadFar(Seg.fs)),
  row('LGS', '0F B5', 'Gv,Mp', loadFar(Seg.gs)),
  row('MOVZX', '0F B6', 'Gv,Eb', movzx),
  row('MOVZX', '0F B7', 'Gv,Ew', movzx),
  row('POPCNT', 'F3 0F B8', 'Gv,Ev', popcnt),
  row('BTC', '0F BB', 'Ev,Gv', btc, lock),
  row('TZCNT', 'F3 0F BC', 'Gv,Ev', tzcnt),
  row('BSF', '0F BC', 'Gv,Ev', bsf),
  row('LZCNT', 'F3 0F BD', 'Gv,Ev', lzcnt),
  row('BSR', '0F BD', 'Gv,Ev', bsr),
  row('MOVSX', '0F BE', 'Gv,Eb', movsx),
  row('MOVSX', '0F BF', 'Gv,Ew', movsx),
  row('XADD', '0F C0', 'Eb,Gb', xadd, lock),
  row('XADD', '0F C1', 'Ev,Gv', xadd, lock),
  row('BSWAP', '0F C8+r', 'Zv', bswap),
];
