import { describe, expect, test } from 'vitest';
import { bareStart, cp15, move, powerOff, runBare } from './support/bare-machine.ts';

const tiers = ['interp', 'region'] as const;

/** A first-level table at 0x40004000: RAM and the first GiB mapped to themselves; `more` by index. */
function table(more: Readonly<Record<number, number>>): Record<number, number[]> {
  // Section, AP = 3 (everybody), domain 0.
  const sections = Array.from({ length: 4096 }, (_, i) => (i < 0x410 ? ((i << 20) | 0xc02) >>> 0 : 0));
  for (const [index, entry] of Object.entries(more)) sections[Number(index)] = entry;
  return { 0x40004000: sections };
}

/** TTBR0, DACR (domain 0: client), vectors at VBAR 0x40001000, MMU on. */
const mmuOn = [
  ...move(1, 0x40004000),
  cp15(1, 2, 0, 0),
  ...move(1, 1),
  cp15(1, 3, 0, 0),
  ...move(1, 0x40001000),
  cp15(1, 12, 0, 0),
  cp15(1, 1, 0, 0, 0, true),
  0xe3811001, // orr r1, r1, #1
  cp15(1, 1, 0, 0),
];

/** Vectors at 0x40001000: a data or prefetch abort reads what is known of it into r4 to r8 and switches the machine off. */
const vectors = {
  0x40001000: [
    ...[0xeafffffe, 0xeafffffe, 0xeafffffe], // reset, undefined, svc: loop
    0xea000003, // prefetch abort: b 0x40001020
    0xea000002, // data abort: b 0x40001020
    ...[0xeafffffe, 0xeafffffe, 0xeafffffe],
    cp15(4, 5, 0, 0, 0, true), // DFSR
    cp15(5, 6, 0, 0, 0, true), // DFAR
    cp15(6, 5, 0, 1, 0, true), // IFSR
    cp15(7, 6, 0, 2, 0, true), // IFAR
    0xe1a0800e, // mov r8, lr
    0xe10f9000, // mrs r9, cpsr
    ...powerOff,
  ],
};

describe.each(tiers)('a bare machine, %s', (tier) => {
  test('writes to its UART and goes off', async () => {
    const { output } = await runBare(
      [...move(1, 0x09000000), ...[0x48, 0x69, 0x0a].flatMap((char) => [0xe3a02000 | char, 0xe5812000]), ...powerOff],
      tier,
    );
    expect(output).toBe('Hi\n');
  });

  test('a page leads elsewhere, and again after it is changed', async () => {
    // 0x50000000 → 0x40800000, then → 0x40900000
    const first = (0x40800000 | 0xc02) >>> 0;
    const program = [
      ...mmuOn,
      ...move(2, 0x50000000),
      0xe5923000, // ldr r3, [r2]
      ...move(4, 0x40004000 + 0x500 * 4),
      ...move(5, (0x40900000 | 0xc02) >>> 0),
      0xe5845000, // str r5, [r4]
      0xe592a000, // ldr r10, [r2]: may still be the old one
      cp15(2, 8, 7, 1), // TLBIMVA
      0xe5926000, // ldr r6, [r2]
      0xe5826004, // str r6, [r2, #4]
      ...powerOff,
    ];
    const run = await runBare(program, tier, { ...table({ 0x500: first }), 0x40800000: [11], 0x40900000: [22] });
    expect([run.registers[3], run.registers[6]]).toEqual([11, 22]);
    expect(run.machine.memory.physicalWord(0x40900004)).toBe(22);
  });

  test('an access to nothing is a data abort that names address, cause and instruction', async () => {
    const program = [...mmuOn, ...move(2, 0x60000124), 0xe5823000, ...powerOff];
    const { registers } = await runBare(program, tier, { ...table({}), ...vectors });
    const at = bareStart + 4 * (mmuOn.length + 2);
    // Section translation fault of a write; LR is the instruction's address + 8; Abort mode, IRQs masked.
    expect([registers[4], registers[5], registers[8]]).toEqual([0x805, 0x60000124, at + 8]);
    expect(registers[9]! & 0x9f).toBe(0x97);
  });

  test('an access that runs into a page that is not there faults at that page', async () => {
    const program = [...mmuOn, ...move(2, 0x500ffffe), 0xe5923000, ...powerOff];
    const { registers } = await runBare(program, tier, { ...table({ 0x500: 0x40800c02 }), ...vectors });
    expect([registers[4], registers[5]]).toEqual([0x5, 0x50100000]);
  });

  test.each([
    ['ldmia r2, {r3, r6}', 0xe8920048, 0x40800002, 0x1],
    ['stmia r2, {r3, r6}', 0xe8820048, 0x40800001, 0x801],
    ['ldrd r6, r7, [r2]', 0xe1c260d0, 0x40800002, 0x1],
    ['strd r6, r7, [r2]', 0xe1c260f0, 0x40800002, 0x801],
    ['ldrex r3, [r2]', 0xe1923f9f, 0x40800001, 0x1],
    ['ldr r3, [r2], of a device', 0xe5923000, 0x09000fe2, 0x1],
    ['strh r3, [r2], to a device', 0xe1c230b0, 0x09000001, 0x801],
  ])('%s is an alignment fault', async (_, instruction, address, status) => {
    const program = [...mmuOn, ...move(2, address), instruction, ...powerOff];
    const { registers } = await runBare(program, tier, { ...table({}), ...vectors });
    const at = bareStart + 4 * (mmuOn.length + 2);
    expect([registers[4], registers[5], registers[8]]).toEqual([status, address, at + 8]);
  });

  test('LDM and LDRD of words, unaligned LDR and STRH of memory are no faults', async () => {
    const program = [
      ...mmuOn,
      ...move(2, 0x40800004),
      0xe8920048, // ldmia r2, {r3, r6}
      0xe1c280d0, // ldrd r8, r9, [r2]
      0xe5924001, // ldr r4, [r2, #1]
      0xe1c230b3, // strh r3, [r2, #3]
      0xe5925004, // ldr r5, [r2, #4]
      ...powerOff,
    ];
    const data = { 0x40800004: [0x11223344, 0x55667788] };
    const { registers } = await runBare(program, tier, { ...table({}), ...vectors, ...data });
    expect(registers.slice(3, 10)).toEqual([
      ...[0x11223344, 0x88112233, 0x55667733, 0x55667788],
      ...[registers[7], 0x11223344, 0x55667788],
    ]);
  });

  test('WFE waits unless there has been an event', async () => {
    const counter = 0xec510f1e; // mrrc p15, 1, r0, r1, c14
    const program = [
      0xe320f004, // sev
      0xe320f002, // wfe: at once
      counter,
      0xe1a04000, // mov r4, r0
      0xe320f005, // sevl
      0xe320f002,
      counter,
      0xe0405004, // sub r5, r0, r4
      0xe1a04000,
      0xe320f002, // waits
      counter,
      0xe0406004, // sub r6, r0, r4
      ...powerOff,
    ];
    const { registers } = await runBare(program, tier);
    // A millisecond of the counter's 62.5 MHz
    expect(registers[5]).toBeLessThan(1000);
    expect(registers[6]).toBeGreaterThanOrEqual(62_500);
  });

  test('a fetch from nothing is a prefetch abort', async () => {
    const program = [...mmuOn, ...move(2, 0x60000000), 0xe12fff12];
    const { registers } = await runBare(program, tier, { ...table({}), ...vectors });
    expect([registers[6], registers[7], registers[8]]).toEqual([0x5, 0x60000000, 0x60000004]);
  });

  test('a fetch from a device is an external abort', async () => {
    const program = [...mmuOn, ...move(2, 0x09000000), 0xe12fff12];
    const { registers } = await runBare(program, tier, { ...table({}), ...vectors });
    expect([registers[6], registers[7]]).toEqual([0x8, 0x09000000]);
  });

  test('Thumb code that runs on into the next page is looked up in both', async () => {
    // A 32-bit MOVW at the end of a page; the page after it leads elsewhere the second time.
    const fn = 0x50000ffe;
    const program = [
      ...mmuOn,
      ...move(2, fn | 1),
      0xe12fff32, // blx r2
      0xe1a04000, // mov r4, r0
      ...move(3, 0x40008000 + 4),
      ...move(5, 0x40902032),
      0xe5835000, // str r5, [r3]
      ...move(1, 0x50001000),
      cp15(1, 8, 7, 1), // TLBIMVA
      0xe12fff32, // blx r2
      0xe1a05000, // mov r5, r0
      ...powerOff,
    ];
    const { registers } = await runBare(program, tier, {
      ...table({ 0x500: 0x40008001 }),
      // Small pages, AP = 3: 0x50000000 and 0x50001000
      0x40008000: [0x40900032, 0x40901032],
      0x40900ffc: [0xf240 << 16],
      0x40901000: [(0x4770 << 16) | 0x0011], // the second half of movw r0, #0x11; bx lr
      0x40902000: [(0x4770 << 16) | 0x0022],
    });
    expect([registers[4], registers[5]]).toEqual([0x11, 0x22]);
  });

  test('code that is written over is another code', async () => {
    // bx to a function that returns 1; store over it so that it returns 2; call again
    const fn = 0x40002000;
    const program = [
      ...move(2, fn),
      0xe12fff32, // blx r2
      0xe1a04000, // mov r4, r0
      ...move(3, 0xe3a00002), // mov r0, #2
      0xe5823000, // str r3, [r2]
      cp15(3, 7, 5, 0), // ICIALLU
      0xe12fff32, // blx r2
      0xe1a05000, // mov r5, r0
      ...powerOff,
    ];
    const { registers } = await runBare(program, tier, { [fn]: [0xe3a00001, 0xe12fff1e] });
    expect([registers[4], registers[5]]).toEqual([1, 2]);
  });

  test('an SVC enters and leaves Supervisor mode, with User mode’s own stack pointer', async () => {
    const handler = [
      0xeafffffe,
      0xeafffffe,
      0xea000004, // svc: b 0x40001020
      ...[0xeafffffe, 0xeafffffe, 0xeafffffe, 0xeafffffe, 0xeafffffe],
      0xe14f5000, // mrs r5, spsr
      0xe1a0600d, // mov r6, sp
      0xe3570000, // cmp r7, #0
      0x01b0f00e, // moveqs pc, lr
      ...powerOff,
    ];
    const program = [
      ...move(1, 0x40001000),
      cp15(1, 12, 0, 0),
      0xe3a0d011, // mov sp, #0x11
      0xe3a01010, // mov r1, #0x10
      0xe169f001, // msr spsr_fc, r1
      ...[0xe28fe000, 0xe1b0f00e], // add lr, pc, #0; movs pc, lr: to User mode, the next instruction
      0xe3a0d022, // mov sp, #0x22
      0xef000000, // svc
      0xe1a0800d, // mov r8, sp
      0xe3a07001, // mov r7, #1
      0xef000000, // svc
    ];
    const { registers } = await runBare(program, tier, { 0x40001000: handler });
    expect([registers[5]! & 0x1f, registers[6], registers[8]]).toEqual([0x10, 0x11, 0x22]);
  });

  test('LDM and STM of User mode’s registers leave FIQ mode’s own alone', async () => {
    const program = [
      ...move(1, 0x40800000),
      0xe3a08001, // mov r8, #1
      0xf1020011, // cps #0x11
      0xe3a08002, // mov r8, #2
      0xe8c10100, // stmia r1, {r8}^
      0xe5915000, // ldr r5, [r1]
      0xe3a02007, // mov r2, #7
      0xe5812000, // str r2, [r1]
      0xe8d10100, // ldmia r1, {r8}^
      0xe1a06008, // mov r6, r8
      0xf1020013, // cps #0x13
      0xe1a07008, // mov r7, r8
      ...powerOff,
    ];
    const { registers } = await runBare(program, tier);
    expect(registers.slice(5, 8)).toEqual([1, 2, 7]);
  });

  test('the timer interrupts a loop', async () => {
    const handler = [
      ...Array.from({ length: 6 }, () => 0xeafffffe),
      0xe3a04001, // irq: mov r4, #1
      ...powerOff,
    ];
    const program = [
      ...move(1, 0x40001000),
      cp15(1, 12, 0, 0),
      // GIC: distributor on, PPI 27 on; interface on, mask open
      ...move(1, 0x08000000),
      0xe3a02001, // mov r2, #1
      0xe5812000, // str r2, [r1]
      ...move(3, 1 << 27),
      0xe5813100, // str r3, [r1, #0x100]
      ...move(1, 0x08010000),
      0xe5812000,
      0xe3a030ff, // mov r3, #255
      0xe5813004, // str r3, [r1, #4]
      0xe3a01c01, // mov r1, #256
      cp15(1, 14, 3, 0), // CNTV_TVAL
      cp15(2, 14, 3, 1), // CNTV_CTL = 1
      0xf1080080, // cpsie i
      0xeafffffe, // b .
    ];
    const { registers } = await runBare(program, tier, { 0x40001000: handler });
    expect(registers[4]).toBe(1);
  });
});
