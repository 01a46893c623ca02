import { readFileSync } from 'node:fs';
import { buildInterpreter } from '#accel/interpreter.ts';

/** The interpreter module's name, beside the bundle's chunks. */
export const interpreterFile = 'interpreter.wasm';

/** The bytes of the interpreter module: prebuilt beside the bundle, generated when run from source. */
export function interpreterBytes(): Uint8Array<ArrayBuffer> {
  try {
    return readFileSync(`${import.meta.dirname}/${interpreterFile}`);
  } catch {
    return buildInterpreter();
  }
}
