// What is loaded when it is first needed: in the bundle the function loads a script (scripts/build.ts).
import * as ptrace from './ptrace-requests.ts';
import * as sockets from './sockets.ts';

export const loadSockets = (): typeof sockets => sockets;
export const loadPtrace = (): typeof ptrace => ptrace;
