import type { X86Row } from '#target/i386/row.ts';
import { rows } from '#target/i386/rows.ts';
import { candidates, classes, generate } from './generate.ts';

/** How often `sequences` random sequences of each class (from seed 1) meet each row. */
export function rowCoverage(sequences: number): Map<X86Row, number> {
  const met = new Map<X86Row, number>(rows.map((row) => [row, 0]));
  for (const ofClass of Object.values(classes)) {
    const own = candidates(rows.filter(ofClass));
    for (let seed = 1; seed <= sequences; seed++) {
      for (const { row } of generate(own, seed, { length: 6 }).pieces.flat()) met.set(row, met.get(row)! + 1);
    }
  }
  return met;
}

/**
 * Rows that random sequences do not meet: they leave the place where they stand, look at what the host does its own
 * way, or ask the system. Which tests run them.
 */
export const metByPrograms: readonly (readonly [names: RegExp, tests: string])[] = [
  [/^(CALL|JMP|RET)$/, 'every test with a program; far ones: i386-programs (cpu)'],
  [/^(RETF|IRET|INT|INT1|SYSENTER|SYSEXIT|POPF|CPUID|RDTSC|RDTSCP|RDPMC)$/, 'i386-programs (cpu), i386-models'],
  [/^(SLDT|STR|SMSW|SGDT|SIDT|LMSW|INVLPG)$/, 'i386-programs (cpu)'],
  [/^(LAR|LSL|VERR|VERW|LDS|LES|LSS|LFS|LGS|PUSH|POP|MOV)$/, 'i386-programs (cpu) (segments)'],
  [
    /^(FXSAVE|FXRSTOR|FNSAVE|FNSTENV|STMXCSR|LDMXCSR)$/,
    'random-i386 (the rig itself), x87-arithmetic, i386-programs (cpu)',
  ],
];

export const programsOf = (name: string): string | undefined => metByPrograms.find(([names]) => names.test(name))?.[1];
