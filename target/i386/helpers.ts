import type { Helper } from '#tcg/target.ts';

/** The helpers of the i386 target, in the order the chapters defined them. */
export const i386Helpers: Helper[] = [];

/** Adds a helper (when its chapter's module is loaded) and returns its index for `Builder.helper`. */
export const defineHelper = (helper: Helper): number => i386Helpers.push(helper) - 1;
