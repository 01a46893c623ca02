/** A module of Node's that is experimental, loaded without its warning; undefined where Node has none. */
export function loadExperimental<Module>(id: string): Module | undefined {
  const warn = Object.getOwnPropertyDescriptor(process, 'emitWarning')!;
  process.emitWarning = () => {};
  try {
    return process.getBuiltinModule(id) as Module | undefined;
  } catch {
    return undefined;
  } finally {
    Object.defineProperty(process, 'emitWarning', warn);
  }
}
