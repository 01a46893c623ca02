import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The interpreter module's name, beside the bundle's chunks. */
export const interpreterFile = 'interpreter.wasm';

/** The bytes of the interpreter module: prebuilt beside the bundle, generated when run from source. */
export async function interpreterBytes(): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return readFileSync(join(import.meta.dirname, interpreterFile));
  } catch {
    const { buildInterpreter } = await import('#accel/interpreter.ts');
    return buildInterpreter();
  }
}
