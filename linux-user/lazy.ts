// What is loaded when it is first needed: in the bundle the function loads a script (scripts/build.ts).
import * as hostAlias from './mm/host-alias.ts';

export const loadHostAlias = (): typeof hostAlias => hostAlias;
