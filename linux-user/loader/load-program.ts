import { createLog } from '#util/log.ts';
import type { Abi } from '../abi/abi.ts';
import type { Mm } from '../mm/mm.ts';
import { pageCeil } from '../mm/page-math.ts';
import { type ElfImage, elfMachine, readElf } from './elf.ts';
import { LoadError } from './load-error.ts';
import { type LoadedImage, mapImage } from './map-image.ts';
import type { ProgramFile } from './program-file.ts';
import type { ProgramOpener } from './program-opener.ts';
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
 * Checks an open program, which it takes over: it must be for one of `abis`. A `#!` script runs by its interpreter if that
 * is such a program. Throws LoadError.
 */
export function resolveProgram(
  file: ProgramFile,
  argv: readonly Uint8Array[],
  abis: readonly Abi[],
  programs: ProgramOpener,
  depth = 0,
): ResolvedProgram {
  const { name } = file;
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
    if (!isGuestProgram(line.interpreter, abis, programs)) {
      throw new LoadError(
        `${name}: a script for ${line.interpreter}, which is no ${abis[0].name} program here; -L names a folder with one`,
        126,
      );
    }
    const rest = [line.interpreter, ...(line.argument === null ? [] : [line.argument]), name].map((text) =>
      Buffer.from(text),
    );
    const interpreter = programs.open(line.interpreter);
    const resolved = resolveProgram(interpreter, [...rest, ...argv.slice(1)], abis, programs, depth + 1);
    file.release();
    return resolved;
  } catch (error) {
    file.release();
    throw error;
  }
}

function isGuestProgram(name: string, abis: readonly Abi[], programs: ProgramOpener): boolean {
  try {
    const file = programs.open(name);
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
export function loadProgram(mm: Mm, abi: Abi, resolved: ResolvedProgram, programs: ProgramOpener): LoadedProgram {
  const { file, image } = resolved;
  const interpreterFile = image.interpreter === null ? null : openInterpreter(file, image.interpreter, programs);
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

function openInterpreter(file: ProgramFile, path: string, programs: ProgramOpener): ProgramFile {
  const { prefix } = programs;
  try {
    return programs.open(path);
  } catch (error) {
    if (!(error instanceof LoadError)) throw error;
    const where = prefix === null ? '' : ` (nor below ${prefix})`;
    const hint = prefix === null ? '; -L names the folder with the guest system' : '';
    throw new LoadError(`${file.name}: its interpreter ${error.message}${where}${hint}`, 127);
  }
}
