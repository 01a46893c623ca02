import { GuestMemory } from '#accel/guest-memory.ts';
import { hostPages } from '#linux-user/mm/host-pages.ts';

/** Guest memory whose refused pages end the test's process when JavaScript touches them, where the host can do that. */
export function protectedMemory(): GuestMemory {
  const memory = new GuestMemory(hostPages);
  memory.protectPages();
  return memory;
}

/** Whether this host protects pages. */
export const protectsPages: boolean = protectedMemory().pagesProtected;
