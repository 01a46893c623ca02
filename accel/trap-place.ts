/** V8's way to show a wasm frame in a stack trace: module name and a hash, function, byte offset in the module. */
const wasmFrame = /wasm:\/\/wasm\/([\w-]+)-[0-9a-f]+:wasm-function\[\d+\]:0x([0-9a-f]+)/;

/**
 * Where an access to memory that trapped stands: the module by its name and the byte offset of the instruction in it.
 * Undefined if `error` is another error, or has no stack trace.
 */
export function trapPlace(error: unknown): { readonly module: string; readonly offset: number } | undefined {
  if (!(error instanceof WebAssembly.RuntimeError) || error.message !== 'memory access out of bounds') return undefined;
  const [, module, offset] = wasmFrame.exec(error.stack ?? '') ?? [];
  if (module === undefined || offset === undefined) return undefined;
  return { module, offset: Number.parseInt(offset, 16) };
}
