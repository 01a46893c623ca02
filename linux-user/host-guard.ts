import type { ChildProcess } from 'node:child_process';

/**
 * The guard's program: it is told of host programs that begin (`+ PID`) and end (`- PID`), and ends those that are left
 * when its input does: tsemu is gone then, killed perhaps.
 */
const script = `
pids=
while read -r what pid; do
  case $what in
  +) pids="$pids $pid" ;;
  -) left=; for each in $pids; do [ "$each" = "$pid" ] || left="$left $each"; done; pids=$left ;;
  esac
done
[ -z "$pids" ] || kill -9 $pids
`;

let guard: ChildProcess | null = null;

/** In a session of its own, no signal of the terminal's reaches it; and it does not keep Node from ending. */
function start(): ChildProcess {
  const { spawn } = process.getBuiltinModule('node:child_process');
  const child = spawn('/bin/sh', ['-c', script], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
  // Without a shell, or once it has been killed, host programs go unguarded.
  child.on('error', () => {});
  child.stdin.on('error', () => {});
  child.unref();
  (child.stdin as unknown as { unref(): void }).unref();
  return child;
}

/** Host program `pid` is not to outlive tsemu. The result is to be called at its end. */
export function guardProgram(pid: number): () => void {
  guard ??= start();
  const { stdin } = guard;
  stdin!.write(`+ ${pid}\n`);
  return () => stdin!.write(`- ${pid}\n`);
}
