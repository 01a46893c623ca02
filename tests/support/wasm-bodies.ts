/** Locals (parameters left out) and bytes of each function body of a module, in order. */
export function wasmBodies(module: Uint8Array): { locals: number; bytes: number }[] {
  let at = 8;
  const uleb = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = module[at++];
      value |= (byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  for (;;) {
    const id = module[at++];
    const end = uleb() + at;
    if (id === 10) break;
    at = end;
  }
  return Array.from({ length: uleb() }, () => {
    const bytes = uleb();
    const end = at + bytes;
    let locals = 0;
    for (let groups = uleb(); groups > 0; groups--) {
      locals += uleb();
      at++;
    }
    at = end;
    return { locals, bytes };
  });
}
