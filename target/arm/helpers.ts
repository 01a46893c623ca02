import type { Helper } from '#tcg/target.ts';

/** The helpers of the ARM target, in the order the chapters defined them. */
export const armHelpers: Helper[] = [];

/** Adds a helper (when its chapter's module is loaded) and returns its index for `Builder.helper`. */
export const defineHelper = (helper: Helper): number => armHelpers.push(helper) - 1;
