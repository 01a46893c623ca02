import { Code, RelocationKind, W, type WasmType } from './code.ts';

export interface FunctionType {
  readonly params: readonly WasmType[];
  readonly results: readonly WasmType[];
}

export type Import =
  | { readonly kind: 'function'; readonly name: string; readonly type: number }
  | { readonly kind: 'memory'; readonly name: string; readonly maximum: number; readonly shared: boolean }
  | { readonly kind: 'table'; readonly name: string };

export interface ModuleFunction {
  readonly type: number;
  /** Locals after the parameters, one type each. */
  readonly locals: readonly WasmType[];
  /** Instructions without the closing `end`. */
  readonly code: Code;
  readonly exportName?: string;
  /** For the name section: shows in profiles and dumps. */
  readonly debugName?: string;
}

/** All imports come from module name `e`. */
export interface ModuleSpec {
  /** For the name section, with names of functions: V8 shows it in stack traces. At most 100 characters. */
  readonly name?: string;
  readonly types: readonly FunctionType[];
  readonly imports: readonly Import[];
  readonly functions: readonly ModuleFunction[];
}

/** Import kinds in the binary format. */
const importKinds = { function: 0, table: 1, memory: 2 } as const;

/**
 * The module's bytes. `codeOffsets[i]`, if given, receives the byte offset of function i's code in the module;
 * `relocations` receives `Code.relocations`.
 */
export function encodeModule(
  spec: ModuleSpec,
  codeOffsets?: number[],
  relocations?: number[],
): Uint8Array<ArrayBuffer> {
  const out = new Code(1024);
  out.append([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
  const section = new Code(1024);
  const flush = (id: number): void => {
    out.u8(id);
    out.uleb(section.length);
    out.appendCode(section);
    section.reset();
  };

  section.uleb(spec.types.length);
  for (const type of spec.types) {
    section.u8(0x60);
    section.uleb(type.params.length);
    section.append(type.params);
    section.uleb(type.results.length);
    section.append(type.results);
  }
  flush(1);

  let importedFunctions = 0;
  section.uleb(spec.imports.length);
  for (const item of spec.imports) {
    section.name('e');
    section.name(item.name);
    section.u8(importKinds[item.kind]);
    switch (item.kind) {
      case 'function':
        section.uleb(item.type);
        importedFunctions++;
        break;
      case 'memory':
        // Minimum 0: V8 then emits no unprotected access for constant addresses.
        section.u8(item.shared ? 3 : 1);
        section.uleb(0);
        section.uleb(item.maximum);
        break;
      case 'table':
        section.u8(0x70);
        section.u8(0);
        section.uleb(0);
        break;
    }
  }
  flush(2);

  section.uleb(spec.functions.length);
  for (const fn of spec.functions) section.uleb(fn.type);
  flush(3);

  const exported = spec.functions.flatMap((fn, index) =>
    fn.exportName === undefined ? [] : [{ name: fn.exportName, index }],
  );
  section.uleb(exported.length);
  for (const { name, index } of exported) {
    section.name(name);
    section.u8(0);
    section.uleb(importedFunctions + index);
  }
  flush(7);

  const heads: number[] = [];
  const bodies = spec.functions.map((fn) => {
    const body = new Code(fn.code.length + 64);
    writeLocals(body, fn.locals);
    heads.push(body.length);
    body.appendCode(fn.code);
    body.u8(W.end);
    return body;
  });
  if (bodies.some((body) => body.unlikelyAt.length > 0)) {
    writeBranchHints(section, bodies, importedFunctions);
    flush(0);
  }
  section.uleb(bodies.length);
  const starts: number[] = [];
  for (const [index, body] of bodies.entries()) {
    section.uleb(body.length);
    starts.push(section.length + heads[index]!);
    section.appendRelocations(body, section.length);
    section.append(body.bytes, body.length);
  }
  const contentLength = section.length;
  flush(10);
  if (codeOffsets) for (const start of starts) codeOffsets.push(out.length - contentLength + start);

  const named = spec.functions.some((fn) => fn.debugName !== undefined);
  if (named) {
    const names = new Code(256);
    names.uleb(spec.functions.length);
    for (const [index, fn] of spec.functions.entries()) {
      names.uleb(importedFunctions + index);
      names.name(fn.debugName ?? fn.exportName ?? `f${index}`);
    }
    section.name('name');
    if (spec.name !== undefined) {
      section.u8(0);
      section.uleb(spec.name.length + 1);
      section.name(spec.name);
      section.relocations.push(section.length - spec.name.length, RelocationKind.name, spec.name.length);
    }
    section.u8(1);
    section.uleb(names.length);
    section.appendCode(names);
    flush(0);
  }
  relocations?.push(...out.relocations);
  return out.finish();
}

/** Custom section `metadata.code.branch_hint`: offsets count from the start of a function's locals. */
function writeBranchHints(section: Code, bodies: readonly Code[], importedFunctions: number): void {
  section.name('metadata.code.branch_hint');
  section.uleb(bodies.filter((body) => body.unlikelyAt.length > 0).length);
  for (const [index, body] of bodies.entries()) {
    if (body.unlikelyAt.length === 0) continue;
    section.uleb(importedFunctions + index);
    section.uleb(body.unlikelyAt.length);
    for (const offset of body.unlikelyAt) {
      section.uleb(offset);
      section.append([1, 0]);
    }
  }
}

function writeLocals(body: Code, locals: readonly WasmType[]): void {
  let groups = 0;
  for (let i = 0; i < locals.length; i++) if (i === 0 || locals[i] !== locals[i - 1]) groups++;
  body.uleb(groups);
  for (let i = 0; i < locals.length; ) {
    let end = i;
    while (end < locals.length && locals[end] === locals[i]) end++;
    body.uleb(end - i);
    body.u8(locals[i]!);
    i = end;
  }
}
