import type { AddressSpace } from './address-space.ts';
import type { Credentials } from './credentials.ts';
import type { Kernel } from './kernel.ts';
import { fillStack, mapStack } from './loader/initial-stack.ts';
import { loadProgram, type ResolvedProgram } from './loader/load-program.ts';
import type { ProgramOpener } from './loader/program-opener.ts';
import { ResourceLimit, type ResourceLimits } from './resource-limits.ts';

/** What a program is started with. */
export interface ImageRequest {
  readonly resolved: ResolvedProgram;
  /** The path execve got: AT_EXECFN. */
  readonly execPath: Uint8Array;
  readonly environment: readonly Uint8Array[];
  readonly credentials: Credentials;
  readonly limits: ResourceLimits;
  /** Where the program's dynamic loader is looked for. */
  readonly programs: ProgramOpener;
}

/** A program in an address space of its own, ready to run. */
export interface ProgramImage {
  readonly space: AddressSpace;
  /** PC of the first instruction, in the target's encoding. */
  readonly entry: number;
  readonly stackPointer: number;
  /** Absolute path of the program, as `ProgramFile.path`. */
  readonly exePath: string;
}

/** Largest stack that is set aside: RLIMIT_STACK may be more than there is room for. */
const largestStack = 256 << 20;

/** Maps a program with its stack into a new address space. Throws LoadError. */
export function makeImage(kernel: Kernel, request: ImageRequest): ProgramImage {
  const { resolved, limits } = request;
  const { abi } = resolved;
  const { entropy, stackBytes: usualStack } = kernel.options;
  const { soft } = limits.get(ResourceLimit.STACK);
  const stackBytes = soft === Infinity ? usualStack : Math.min(soft, largestStack);
  const space = kernel.newSpace(limits, resolved.file.path, abi);
  try {
    const { mm } = space;
    mapStack(mm, stackBytes, resolved.image.executableStack);
    const { program, interpreter } = loadProgram(mm, abi, resolved, request.programs);
    abi.mapKernelPages(mm);
    const random = new Uint8Array(16);
    entropy(random, 0, random.length);
    const { execPath, environment, credentials } = request;
    const { argv } = resolved;
    const setup = { abi, program, interpreter, execPath, argv, environment, credentials, random, stackBytes };
    const stackPointer = fillStack(mm, setup);
    mm.settle();
    space.images.add(program);
    if (interpreter !== null) space.images.add(interpreter);
    return { space, entry: (interpreter ?? program).entry, stackPointer, exePath: program.path };
  } catch (error) {
    space.release();
    throw error;
  }
}
