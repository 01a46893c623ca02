import { crc32, movbe } from './bits.ts';
import { row, type X86Row } from './row.ts';

/** The three-byte maps 0F 38 and 0F 3A (SDM vol. 2, tables ): integer instructions. */
export const threeByteRows: readonly X86Row[] = [
  row('CRC32', 'F2 0F 38 F0', 'Gd,Eb', crc32),
  row('CRC32', 'F2 0F 38 F1', 'Gd,Ev', crc32),
  row('MOVBE', '0F 38 F0', 'Gv,Mv', movbe),
  row('MOVBE', '0F 38 F1', 'Mv,Gv', movbe),
];
