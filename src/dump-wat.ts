/** The text of a compiled module's functions, the guest's names for them included. */
export type WatPrinter = (module: Uint8Array) => string;

export async function createWatPrinter(): Promise<WatPrinter> {
  // Imported only here: the bundle leaves it in node_modules.
  const { default: loadWabt } = await import('wabt');
  const wabt = await loadWabt();
  const features = { threads: true, simd: true, tail_call: true, sat_float_to_int: true, sign_extension: true };
  return (bytes) => {
    const module = wabt.readWasm(bytes, { readDebugNames: true, check: false, ...features });
    try {
      module.applyNames();
      return module.toText({ foldExprs: false, inlineExport: true });
    } finally {
      module.destroy();
    }
  };
}
