import { engineMemory, jumpCacheMask } from '#tcg/interpreter-ops.ts';

/** Byte offset in a jump cache of the entry for `pc`: what generated code computes. */
export const cacheEntry = (pc: number): number => (pc << 2) & jumpCacheMask;

/** The entries in use are listed, since another mode often has used a few only. */
const listLength = engineMemory.jumpList >> 2;
const listStart = listLength + 1;
const listEnd = engineMemory.jumpCache >> 2;
/** The length of a list that does not tell all. */
const incomplete = listEnd - listStart + 1;

/** Notes that the entry at word `entry` is in use. */
function list(words: Int32Array, entry: number): void {
  const length = words[listLength]!;
  if (length >= incomplete) return;
  words[listLength] = length + 1;
  if (length + 1 < incomplete) words[listStart + length] = entry;
}

/** Generated code has written entries. */
export function jumpCachesWritten(words: Int32Array): void {
  words[listLength] = incomplete;
}

/**
 * Empties both jump caches in memory 1 (as words). Every i32 is a PC a guest may jump to, so an empty entry holds one
 * that belongs in another entry.
 */
export function clearJumpCaches(words: Int32Array): void {
  const length = words[listLength]!;
  if (length >= incomplete) words.fill(0, engineMemory.jumpCache >> 2, engineMemory.code >> 2);
  else for (let i = 0; i < length; i++) words.fill(0, words[listStart + i]!, words[listStart + i]! + 2);
  words[listLength] = 0;
  // PC 0 belongs in entry 0; PC −1 does not.
  words[engineMemory.jumpCache >> 2] = -1;
  words[engineMemory.regionCache >> 2] = -1;
}

/** Takes the entry for `pc` out of both jump caches, if it is there. */
export function forgetJump(words: Int32Array, pc: number): void {
  for (const cache of [engineMemory.jumpCache, engineMemory.regionCache]) {
    const at = (cache + cacheEntry(pc)) >> 2;
    if (words[at] === pc) words[at] = at === cache >> 2 ? -1 : 0;
  }
}

/** Notes where the T0 code of `pc` is. */
export function cacheJump(words: Int32Array, pc: number, address: number): void {
  const entry = (engineMemory.jumpCache + cacheEntry(pc)) >> 2;
  list(words, entry);
  words[entry] = pc;
  words[entry + 1] = address;
}

/** Notes the slot of the region at `pc`. */
export function cacheRegion(words: Int32Array, pc: number, slot: number): void {
  const entry = (engineMemory.regionCache + cacheEntry(pc)) >> 2;
  list(words, entry);
  words[entry] = pc;
  words[entry + 1] = slot;
}
