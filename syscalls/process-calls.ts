// The calls that make processes and programs of them, by subject: the bundle loads them with the first of them.
import { cloneCalls } from './clone.ts';
import { execCalls } from './exec.ts';
import { jobControlCalls } from './job-control.ts';
import type { Rows } from './row.ts';
import { waitCalls } from './wait.ts';

export const processSubjects = (): readonly Rows[] => [cloneCalls, execCalls, waitCalls, jobControlCalls];
