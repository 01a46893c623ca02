import type { UserConfig } from './options.ts';

/** Runs one guest program to its end. Returns its exit code. */
export async function runUser(config: UserConfig): Promise<number> {
  throw new Error(`not wired yet: ${config.program}`);
}
