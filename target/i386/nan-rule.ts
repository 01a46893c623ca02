import { opTable } from '#tcg/ops.ts';
import { Code, wasmTypes } from '#tcg/wasm/code.ts';
import { encodeModule } from '#tcg/wasm/module.ts';

/**
 * WebAssembly leaves open which NaN an operation gives. On x86 hosts engines emit the very SSE instructions, without
 * changing the operands' order, and then need no help to be exact (SDM vol. 1, table 4-7: the first operand if it is a
 * NaN, else the second, made quiet; the negative default NaN if neither is). Elsewhere generated code puts it right.
 */
function probe(): boolean {
  const operations = [opTable.add_f64, opTable.sub_f64, opTable.mul_f64, opTable.div_f64];
  const functions = operations.map((operation, n) => {
    const code = new Code(16);
    code.get(0);
    code.append(opTable.from_bits_f64.wasm);
    code.get(1);
    code.append(opTable.from_bits_f64.wasm);
    code.append(operation.wasm);
    code.append(opTable.bits_f64.wasm);
    return { type: 0, locals: [], code, exportName: `f${n}` };
  });
  const types = [{ params: [wasmTypes.i64, wasmTypes.i64], results: [wasmTypes.i64] }];
  const module = new WebAssembly.Module(encodeModule({ types, imports: [], functions }));
  const { exports } = new WebAssembly.Instance(module);
  const quiet = 0x7ff8000000000001n;
  const other = 0x7ff8000000000002n;
  const signalling = 0x7ff0000000000003n;
  const one = 0x3ff0000000000000n;
  const cases: readonly (readonly [bigint, bigint, bigint])[] = [
    [quiet, other, quiet],
    [other, quiet, other],
    [quiet, signalling, quiet],
    [signalling, quiet, signalling | 0x8000000000000n],
    [one, other, other],
    [other, one, other],
  ];
  const infinity = 0x7ff0000000000000n;
  const defaults = [
    [infinity, infinity | (1n << 63n)],
    [infinity, infinity],
    [infinity, 0n],
    [0n, 0n],
  ];
  return operations.every((_, n) => {
    const run = exports[`f${n}`] as (a: bigint, b: bigint) => bigint;
    const gives = (a: bigint, b: bigint): bigint => BigInt.asUintN(64, run(a, b));
    const [a, b] = defaults[n] as [bigint, bigint];
    return cases.every(([x, y, result]) => gives(x, y) === result) && gives(a, b) === 0xfff8000000000000n;
  });
}

let known: boolean | undefined;

/** Do native operations give the NaNs of SSE here? */
export const nativeNans = (): boolean => (known ??= probe());
