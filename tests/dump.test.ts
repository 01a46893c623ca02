import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { repoRoot } from './support/cache.ts';
import { runTsemu, type Tier } from './support/run.ts';

const fixture = (name: string): string => join(repoRoot, 'fixtures/arm', name);

async function log(
  items: string,
  program: string,
  options: readonly string[] = [],
  tier: Tier = 'auto',
): Promise<string> {
  const outcome = await runTsemu(['-d', items, ...options, fixture(program)], { tier });
  return outcome.stderr.toString();
}

test('in_asm shows each block once, in ARM and in Thumb state', async () => {
  expect(await log('in_asm', 'hello')).toBe(`----------------
IN: 
0x00010074:  e3a00001  mov      r0, #1
0x00010078:  e59f1014  ldr      r1, [pc, #0x14]
0x0001007c:  e3a02010  mov      r2, #0x10
0x00010080:  e3a07004  mov      r7, #4
0x00010084:  ef000000  svc      #0

----------------
IN: 
0x00010088:  e3a00000  mov      r0, #0
0x0001008c:  e3a07001  mov      r7, #1
0x00010090:  ef000000  svc      #0

`);
  expect(await log('in_asm', 'arith-t32')).toMatch(/^0x[0-9a-f]{8}: {2}b5[0-9a-f]{2} {6}push /m);
});

test('op and op_opt print the IR of the blocks in the range of -dfilter', async () => {
  const text = await log('op,op_opt', 'hello', ['-dfilter', '0x10088+1']);
  expect(text.match(/^block \S+/gm)).toEqual(['block 00010088', 'block 00010088']);
  expect(text).toMatch(/^OP:\n[^]*^OP after optimization:\n/m);
  expect(text).toContain('exit 0, syscall, 0x10094');
});

test('out_asm prints the modules of compiled regions', async () => {
  const text = await log('out_asm', 'hello', [], 'region');
  expect(text).toMatch(/^OUT: \[\d+ bytes\] 0x00010074 \(/m);
  expect(text).toMatch(/\(func \$guest_10074 \(export "r0"\)/);
});

test('exec and cpu show every block that runs, with its registers', async () => {
  expect(await log('exec', 'hello')).toBe('Trace 0: [00010074/00000000] \nTrace 0: [00010088/00000000] \n');
  const text = await log('cpu', 'hello', ['-dfilter', '0x10088+1']);
  expect(text).toMatch(
    /^R00=00000010 R01=00010098 R02=00000010 R03=0{8}\n(R.*\n){2}R12=0{8} R13=[0-9a-f]{8} R14=0{8} R15=00010088\nPSR=00000010 ---- A usr32\n$/,
  );
  expect(await log('cpu,fpu', 'hello')).toMatch(/^s62=0{8} s63=0{8} d31=0{16}\nFPSCR: 0{8}$/m);
  // A loop comes by as often as it runs.
  expect((await log('exec', 'arith')).match(/^Trace/gm)!.length).toBeGreaterThan(100);
});

test('int names faults and system calls', async () => {
  expect(await log('int', 'null-deref')).toMatch(
    /^Taking exception: (read|write) fault at 0x[0-9a-f]{8}, pc 0x[0-9a-f]{8}$/m,
  );
  expect(await log('int', 'undefined')).toMatch(/^Taking exception: undefined 0x[0-9a-f]+, pc /m);
  expect((await log('int', 'hello')).match(/^Taking exception: syscall/gm)).toHaveLength(2);
});

test('page shows the memory map, strace the calls', async () => {
  expect(await log('page', 'hello')).toMatch(/^memory map at the start\n00010000-00011000 r-xp .*hello\n[^]*\[stack\]/);
  expect(await log('strace', 'hello')).toContain('write(1, "Hello from ARM!\\n", 16) = 16\n');
});

test('-D takes the log, with the process id for %d', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tsemu-log-'));
  try {
    expect(await log('exec', 'hello', ['-D', join(folder, 'log-%d')])).toBe('');
    const [name] = readdirSync(folder);
    expect(name).toMatch(/^log-\d+$/);
    expect(readFileSync(join(folder, name), 'utf8')).toContain('Trace 0: [00010074/');
  } finally {
    rmSync(folder, { recursive: true });
  }
  const outcome = await runTsemu(['-d', 'exec', '-D', '/nonexistent/log', fixture('hello')]);
  expect(outcome.status).toBe(1);
  expect(outcome.stderr.toString()).toMatch(/^tsemu-arm: -D \/nonexistent\/log: .*\n$/);
});
