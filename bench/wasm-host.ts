/** Runs a benchmark program that clang compiled to WebAssembly: `node wasm-host.ts PROGRAM.wasm`. */
import { readFileSync, writeSync } from 'node:fs';

interface Exports {
  memory: WebAssembly.Memory;
  _start: () => void;
}

const module = new WebAssembly.Module(readFileSync(process.argv[2]));
const instance = new WebAssembly.Instance(module, {
  env: {
    write: (at: number, length: number): void => {
      writeSync(1, new Uint8Array(exports.memory.buffer, at, length));
    },
  },
});
const exports = instance.exports as unknown as Exports;
exports._start();
