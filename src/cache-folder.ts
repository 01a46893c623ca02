type Environment = Readonly<Record<string, string | undefined>>;

/** The folder of the user's for what can be made again (XDG Base Directory Specification), or null. */
export function userCacheFolder({ XDG_CACHE_HOME, HOME }: Environment): string | null {
  // A relative path is to be ignored.
  if (XDG_CACHE_HOME?.startsWith('/')) return `${XDG_CACHE_HOME}/tsemu`;
  return HOME?.startsWith('/') ? `${HOME}/.cache/tsemu` : null;
}
