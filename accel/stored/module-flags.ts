/** What regions were made for: with exact state, with accesses refused by the host's pages. */
export const ModuleFlag = { exact: 1, pages: 2 } as const;
