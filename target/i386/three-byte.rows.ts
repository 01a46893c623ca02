import { crc32, movbe } from './bits.ts';
import * as bmi from './bmi.ts';
import { row, type X86Row } from './row.ts';

/** The three-byte maps 0F 38 and 0F 3A (SDM vol. 2, tables ): integer instructions. */
export const threeByteRows: readonly X86Row[] = [
  row('CRC32', 'F2 0F 38 F0', 'Gd,Eb', crc32),
  row('CRC32', 'F2 0F 38 F1', 'Gd,Ev', crc32),
  row('MOVBE', '0F 38 F0', 'Gv,Mv', movbe),
  row('MOVBE', '0F 38 F1', 'Mv,Gv', movbe),
  row('ADCX', '66 0F 38 F6', 'Gy,Ey', bmi.adcx),
  row('ADOX', 'F3 0F 38 F6', 'Gy,Ey', bmi.adox),
  row('ANDN', 'VEX NP 0F 38 F2', 'Gy,By,Ey', bmi.andn),
  row('BLSR', 'VEX NP 0F 38 F3 /1', 'By,Ey', bmi.blsr),
  row('BLSMSK', 'VEX NP 0F 38 F3 /2', 'By,Ey', bmi.blsmsk),
  row('BLSI', 'VEX NP 0F 38 F3 /3', 'By,Ey', bmi.blsi),
  row('BZHI', 'VEX NP 0F 38 F5', 'Gy,Ey,By', bmi.bzhi),
  row('PEXT', 'VEX F3 0F 38 F5', 'Gy,By,Ey', bmi.pext),
  row('PDEP', 'VEX F2 0F 38 F5', 'Gy,By,Ey', bmi.pdep),
  row('MULX', 'VEX F2 0F 38 F6', 'Gy,By,Ey', bmi.mulx),
  row('BEXTR', 'VEX NP 0F 38 F7', 'Gy,Ey,By', bmi.bextr),
  row('SHLX', 'VEX 66 0F 38 F7', 'Gy,Ey,By', bmi.shlx),
  row('SARX', 'VEX F3 0F 38 F7', 'Gy,Ey,By', bmi.sarx),
  row('SHRX', 'VEX F2 0F 38 F7', 'Gy,Ey,By', bmi.shrx),
  row('RORX', 'VEX F2 0F 3A F0', 'Gy,Ey,Ib', bmi.rorx),
];
