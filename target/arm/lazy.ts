// What is loaded when it is first needed: in the bundle the function loads a script (scripts/build.ts).
import * as translation from './translation.ts';

export const loadTranslation = (): typeof translation => translation;
