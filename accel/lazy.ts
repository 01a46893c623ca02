// What is loaded when it is first needed: in the bundle each of these functions loads a script (scripts/build.ts).
import * as models from './checked-memory.ts';
import * as compiler from './region/compiler.ts';
import * as translator from './translator.ts';

export const loadTranslator = (): typeof translator => translator;
export const loadMemoryModels = (): typeof models => models;
export const loadCompiler = (): typeof compiler => compiler;
