/** Number of a register: `cp15(c7, 0, c5, 4)`, or of a 64-bit one: `wide(c14, 1)`. */
export const registerKey = (coprocessor: number, crn: number, opc1: number, crm: number, opc2: number): number =>
  (coprocessor << 16) | (crn << 12) | (crm << 8) | (opc1 << 4) | opc2;
export const wideKey = (coprocessor: number, crm: number, opc1: number): number =>
  (1 << 24) | (coprocessor << 16) | (crm << 8) | opc1;
export const cp15 = (crn: number, opc1: number, crm: number, opc2: number): number =>
  registerKey(15, crn, opc1, crm, opc2);
export const cp14 = (crn: number, opc1: number, crm: number, opc2: number): number =>
  registerKey(14, crn, opc1, crm, opc2);
