import { guestStateStart } from '#tcg/cpu-page.ts';
import { stateLayout } from '#util/state-layout.ts';

/** State of the made-up guest of the IR tests. */
export const irLayout = stateLayout(
  { r: ['u32', 8], nf: 'u32', zf: 'u32', cf: 'u32', vf: 'u32', d: ['v128', 4], fuel: ['u32', 3], sp: 'u32' },
  guestStateStart,
);

/** End of what random blocks read and write. */
export const irRandomEnd = irLayout.offset('fuel');

/** The four flags are lazy: not exact at a fault unless asked for. */
export const irLazySlots: readonly (readonly [number, number])[] = [[irLayout.offset('nf'), irLayout.offset('vf') + 4]];
