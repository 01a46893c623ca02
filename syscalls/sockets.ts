// The system calls of sockets, which most programs do without.
import type { Rows } from './row.ts';
import { socketCalls } from './socket.ts';
import { socketMessageCalls } from './socket-message-calls.ts';
import { socketOptionCalls } from './socket-option.ts';

export { socketRequest } from './socket-ioctl.ts';

export const socketSubjects: readonly Rows[] = [socketCalls, socketMessageCalls, socketOptionCalls];
