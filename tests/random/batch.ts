import { spawn } from 'node:child_process';
import { plainEnvironment } from '../support/run.ts';

/** How a rig's process ended: what it wrote, and why, with the end of its stderr. */
export interface BatchEnd {
  stdout: Buffer;
  timedOut: boolean;
  reason: string;
}

/** Runs a rig on `input`; it is killed after `timeout` milliseconds. */
export function runBatch([program, ...args]: readonly string[], input: Buffer, timeout: number): Promise<BatchEnd> {
  return new Promise((resolve, reject) => {
    const child = spawn(program!, args, { env: plainEnvironment });
    const stdout: Buffer[] = [];
    let stderr = '';
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, timeout);
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk.toString()).slice(-2000);
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const how = timedOut ? 'hangs' : (signal ?? `exit code ${code}`);
      resolve({ stdout: Buffer.concat(stdout), timedOut, reason: `${how}\n${stderr}`.trim() });
    });
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}
