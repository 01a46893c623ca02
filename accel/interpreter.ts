import { generateInterpreter } from '#tcg/interpreter-module.ts';
import { ExactCheckedMemory } from './checked-memory.ts';
import { cpuBase, memoryPages } from './guest-memory.ts';

/** The bytes of the interpreter module for user mode; the build keeps them in a file. */
export function buildInterpreter(): Uint8Array<ArrayBuffer> {
  return generateInterpreter(new ExactCheckedMemory(), { cpuBase, memoryPages });
}
