import { cp14, cp15 } from './control-keys.ts';

/** Cortex-A15 r2p1 identification (DDI 0438). No Security or Virtualization Extensions: what they name is not there. */
const cortexA15: readonly (readonly [number, number])[] = [
  [cp15(0, 0, 0, 0), 0x412fc0f1], // MIDR
  [cp15(0, 0, 0, 1), 0x8444c004], // CTR
  [cp15(0, 0, 0, 2), 0], // TCMTR
  [cp15(0, 0, 0, 3), 0], // TLBTR
  [cp15(0, 0, 0, 6), 0], // REVIDR
  [cp15(0, 0, 1, 0), 0x00001131], // ID_PFR0
  [cp15(0, 0, 1, 1), 0x00010001], // ID_PFR1: generic timer
  [cp15(0, 0, 1, 2), 0x02010555], // ID_DFR0
  [cp15(0, 0, 1, 3), 0], // ID_AFR0
  [cp15(0, 0, 1, 4), 0x10201105], // ID_MMFR0
  [cp15(0, 0, 1, 5), 0x20000000], // ID_MMFR1
  [cp15(0, 0, 1, 6), 0x01240000], // ID_MMFR2
  [cp15(0, 0, 1, 7), 0x02102211], // ID_MMFR3
  [cp15(0, 0, 2, 0), 0x02101110], // ID_ISAR0
  [cp15(0, 0, 2, 1), 0x13112111], // ID_ISAR1
  [cp15(0, 0, 2, 2), 0x21232041], // ID_ISAR2
  [cp15(0, 0, 2, 3), 0x11112131], // ID_ISAR3
  [cp15(0, 0, 2, 4), 0x10011142], // ID_ISAR4
  [cp15(0, 0, 2, 5), 0], // ID_ISAR5
  [cp15(0, 0, 2, 6), 0],
  [cp15(0, 0, 2, 7), 0],
  [cp15(0, 1, 0, 1), 0x0a200023], // CLIDR
  [cp15(0, 1, 0, 7), 0], // AIDR
  [cp15(15, 4, 0, 0), 0], // CBAR
  [cp14(0, 0, 0, 0), 0x3515f021], // DBGDIDR
  [cp14(1, 0, 0, 0), 0], // DBGDRAR
  [cp14(2, 0, 0, 0), 0], // DBGDSAR
  [cp14(1, 0, 1, 4), 0x0a], // DBGOSLSR
  [cp14(0, 0, 1, 0), 0], // DBGDSCRint
  [cp14(0, 7, 0, 0), 0], // JIDR
];

/** What a Cortex-A7 r0p5 has otherwise (DDI 0464). */
const cortexA7: typeof cortexA15 = [
  [cp15(0, 0, 0, 0), 0x410fc075], // MIDR
  [cp15(0, 0, 0, 1), 0x84448003], // CTR
  [cp15(0, 0, 1, 4), 0x10101105], // ID_MMFR0
  [cp15(0, 0, 1, 5), 0x40000000], // ID_MMFR1
];

/** How a core describes itself. */
interface CoreIdentity {
  readonly registers: ReadonlyMap<number, number>;
  /** CCSIDR by CSSELR: L1 data, L1 instruction, L2. */
  readonly cacheSizes: readonly number[];
  readonly fpsid: number;
}

/** The cores that machine mode has. */
export const coreIdentities = {
  'cortex-a15': {
    registers: new Map(cortexA15),
    cacheSizes: [0x701fe00a, 0x201fe00a, 0x711fe07a],
    fpsid: 0x410430f0,
  },
  'cortex-a7': {
    registers: new Map([...cortexA15, ...cortexA7]),
    cacheSizes: [0x701fe00a, 0x203fe009, 0x711fe07a],
    fpsid: 0x41023075,
  },
} as const satisfies Record<string, CoreIdentity>;
export type CoreModel = keyof typeof coreIdentities;
