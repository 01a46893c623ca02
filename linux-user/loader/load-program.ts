import { createLog } from '#util/log.ts';
import type { Abi } from '../abi/abi.ts';
import type { Mm } from '../mm/mm.ts';
import { pageCeil } from '../mm/page-math.ts';
import { type ElfImage, elfMachine, readElf } from './elf.ts';
import { hostPathOf } from './guest-path.ts';
import { LoadError } from './load-error.ts';
import { type LoadedImage, mapImage } from './map-image.ts';
import { ProgramFile } from './program-file.ts';
import { scriptLine } from './script.ts';

const log = createLog('loader');

/** A program ready to be mapped: the ELF file that runs, after `#!` lines, and its arguments. */
export interface ResolvedProgram {
  readonly file: ProgramFile;
  readonly image: ElfImage;
  readonly argv: readonly Uint8Array[];
  readonly abi: Abi;
}

/** Scripts that interpret scripts. */
const maximumScripts = 4;

/**
 * Opens and checks the program at `hostPath`, which the guest calls `name`: it must be for one of `abis`. A `#!` script
 * runs by its interpreter if that is such a program (below the -L folder, or the host's). Throws LoadError.
 */
export function resolveProgram(
  name: string,
  hostPath: string,
  argv: readonly Uint8Array[],
  abis: readonly Abi[],
  prefix: string | null,
  depth = 0,
): ResolvedProgram {
  const file = new ProgramFile(name, hostPath);
  try {
    const start = file.read(0, 256);
    const line = scriptLine(start);
    if (line === null) {
      if (file.size === 0) throw new LoadError(`${name}: the file is empty`, 126);
      const machine = elfMachine(start);
      const abi = abis.find(({ elf }) => elf.machine === machine) ?? abis[0];
      return { file, image: readElf(file, abi), argv, abi };
    }
    if (line.interpreter === '') throw new LoadError(`${name}: a script whose #! line names no interpreter`, 126);
    if (depth >= maximumScripts) throw new LoadError(`${name}: too many scripts interpret one another`, 126, 'ELOOP');
    const interpreter = hostPathOf(line.interpreter, prefix);
    if (!isGuestProgram(interpreter, abis)) {
      throw new LoadError(
        `${name}: a script for ${line.interpreter}, which is no ${abis[0].name} program here; -L names a folder with one`,
        126,
      );
    }
    const rest = [line.interpreter, ...(line.argument === null ? [] : [line.argument]), name].map((text) =>
      Buffer.from(text),
    );
    const resolved = resolveProgram(
      line.interpreter,
      interpreter,
      [...rest, ...argv.slice(1)],
      abis,
      prefix,
      depth + 1,
    );
    file.release();
    return resolved;
  } catch (error) {
    file.release();
    throw error;
  }
}

function isGuestProgram(hostPath: string, abis: readonly Abi[]): boolean {
  try {
    const file = new ProgramFile(hostPath);
    const start = file.read(0, 256);
    file.release();
    const machine = elfMachine(start);
    return abis.some(({ elf }) => elf.machine === machine) || scriptLine(start) !== null;
  } catch (error) {
    if (error instanceof LoadError) return false;
    throw error;
  }
}

/** A mapped program. */
export interface LoadedProgram {
  readonly program: LoadedImage;
  /** PT_INTERP's image, which runs first; null for a static program. */
  readonly interpreter: LoadedImage | null;
}

/** Maps a program and its PT_INTERP, and sets where the heap starts. Throws LoadError. */
export function loadProgram(mm: Mm, abi: Abi, resolved: ResolvedProgram, prefix: string | null): LoadedProgram {
  const { file, image } = resolved;
  const interpreterFile = image.interpreter === null ? null : openInterpreter(file, image.interpreter, prefix);
  try {
    const interpreterImage = interpreterFile === null ? null : readElf(interpreterFile, abi);
    const program = mapImage(mm, file, image, abi.pieBase);
    mm.brkStart = pageCeil(program.end);
    mm.brkEnd = mm.brkStart;
    const interpreter = interpreterImage === null ? null : mapImage(mm, interpreterFile!, interpreterImage, 0);
    for (const loaded of [program, interpreter]) {
      if (loaded) log('%s at 0x%s, entry 0x%s', loaded.path, loaded.start.toString(16), loaded.entry.toString(16));
    }
    return { program, interpreter };
  } finally {
    file.release();
    interpreterFile?.release();
  }
}

function openInterpreter(file: ProgramFile, path: string, prefix: string | null): ProgramFile {
  try {
    return new ProgramFile(path, hostPathOf(path, prefix));
  } catch (error) {
    if (!(error instanceof LoadError)) throw error;
    const where = prefix === null ? '' : ` (nor below ${prefix})`;
    const hint = prefix === null ? '; -L names the folder with the guest system' : '';
    throw new LoadError(`${file.name}: its interpreter ${error.message}${where}${hint}`, 127);
  }
}
