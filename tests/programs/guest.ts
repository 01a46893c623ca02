import type { GuestArch } from '../support/debian.ts';

/** A guest architecture that Debian has programs for. */
export interface Guest {
  readonly arch: GuestArch;
  /** What of tsemu runs its programs. */
  readonly command: string;
  /** What the programs' scripts know of it: names of folders and of musl's loader. */
  readonly environment: Readonly<Record<'ARCH' | 'TRIPLET' | 'MUSL_TRIPLET' | 'MUSL_ARCH', string>>;
}

/** By the name `--arch` takes. */
export const guests = {
  armhf: {
    arch: 'armhf',
    command: 'tsemu-arm',
    environment: {
      ARCH: 'armhf',
      TRIPLET: 'arm-linux-gnueabihf',
      MUSL_TRIPLET: 'arm-linux-musleabihf',
      MUSL_ARCH: 'armhf',
    },
  },
  i386: {
    arch: 'i386',
    command: 'tsemu-i386',
    environment: { ARCH: 'i386', TRIPLET: 'i386-linux-gnu', MUSL_TRIPLET: 'i386-linux-musl', MUSL_ARCH: 'i386' },
  },
} as const satisfies Record<string, Guest>;

/** Has this architecture got the program? */
export const has = ({ only }: { readonly only?: readonly GuestArch[] }, { arch }: Guest): boolean =>
  only === undefined || only.includes(arch);
