import { pageSize } from '#accel/guest-memory.ts';
import type { Mm } from '../mm/mm.ts';
import { Prot } from '../mm/vma.ts';

/*
 * The vector page at 0xffff0000, as far as user mode may rely on it: the kuser helpers
 * (Documentation/arch/arm/kernel_user_helpers.rst) at fixed addresses, and the code that handlers without SA_RESTORER
 * return to. The instructions are ours.
 */

const vectorPage = 0xffff_0000;

/** Code that calls sigreturn, by what the handler is: two words each, as the frame's `retcode` has them. */
export const sigreturnCode = 0xffff_0500;

/** mov r7,#119; svc 0x900077 — movs r7,#119; svc 0 — the same for rt_sigreturn (173). */
export const sigreturnWords: readonly (readonly number[])[] = [
  [0xe3a0_7077, 0xef90_0077],
  [0xdf00_2777],
  [0xe3a0_70ad, 0xef90_00ad],
  [0xdf00_27ad],
];
const sigreturnStride = 8;

/** Address of entry `index` of `sigreturnWords`. */
export const sigreturnAddress = (index: number): number => sigreturnCode + index * sigreturnStride;

interface Piece {
  readonly address: number;
  readonly name: string;
  readonly words: readonly number[];
}

const pieces: readonly Piece[] = [
  ...sigreturnWords.map((words, i) => ({ address: sigreturnAddress(i), name: '__kernel_sigreturn', words })),
  {
    // int (const int64_t *old, const int64_t *new, volatile int64_t *p): 0 and C set if *p was *old and is now *new.
    address: 0xffff_0f60,
    name: '__kuser_cmpxchg64',
    words: [
      0xe92d_00f0, //    push     {r4-r7}
      0xe1c0_40d0, //    ldrd     r4, r5, [r0]
      0xe1c1_60d0, //    ldrd     r6, r7, [r1]
      0xf57f_f05b, //    dmb      ish
      0xe1b2_0f9f, // 1: ldrexd   r0, r1, [r2]
      0xe030_0004, //    eors     r0, r0, r4
      0x0031_0005, //    eorseq   r0, r1, r5
      0x01a2_0f96, //    strexdeq r0, r6, r7, [r2]
      0x0330_0001, //    teqeq    r0, #1
      0x0aff_fff9, //    beq      1b
      0xf57f_f05b, //    dmb      ish
      0xe270_0000, //    rsbs     r0, r0, #0
      0xe8bd_00f0, //    pop      {r4-r7}
      0xe12f_ff1e, //    bx       lr
    ],
  },
  {
    address: 0xffff_0fa0,
    name: '__kuser_memory_barrier',
    words: [
      0xf57f_f05b, // dmb ish
      0xe12f_ff1e, // bx  lr
    ],
  },
  {
    // int (int old, int new, volatile int *p): 0 and C set if *p was old and is now new.
    address: 0xffff_0fc0,
    name: '__kuser_cmpxchg',
    words: [
      0xf57f_f05b, //    dmb     ish
      0xe192_3f9f, // 1: ldrex   r3, [r2]
      0xe053_3000, //    subs    r3, r3, r0
      0x0182_3f91, //    strexeq r3, r1, [r2]
      0x0333_0001, //    teqeq   r3, #1
      0x0aff_fffa, //    beq     1b
      0xe273_0000, //    rsbs    r0, r3, #0
      0xeaff_ffef, //    b       __kuser_memory_barrier
    ],
  },
  {
    address: 0xffff_0fe0,
    name: '__kuser_get_tls',
    words: [
      0xee1d_0f70, // mrc p15, 0, r0, c13, c0, 3
      0xe12f_ff1e, // bx  lr
    ],
  },
  // Number of helpers, counted in 32-byte slots below the end of the page.
  { address: 0xffff_0ffc, name: '__kuser_helper_version', words: [5] },
];

/** Maps the vector page, readable and executable. */
export function mapVectorPage(mm: Mm): void {
  const bytes = new Uint8Array(pageSize);
  const view = new DataView(bytes.buffer);
  for (const { address, words } of pieces) {
    words.forEach((word, i) => view.setUint32(address - vectorPage + 4 * i, word, true));
  }
  mm.mapKernelPage(vectorPage, bytes, Prot.READ | Prot.EXEC, '[vectors]');
}

/** The name of the helper that holds `address`, or null. */
export function kuserSymbol(address: number): string | null {
  const piece = pieces.find(({ address: start, words }) => address >= start && address < start + 4 * words.length);
  return piece === undefined ? null : piece.name;
}
