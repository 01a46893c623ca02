import { type CodeSpace, newCodeSpace } from './code-space.ts';

/** An engine's code spaces, and which of them is in force. Programs have one for each mode, machines several. */
export class CodeSpaces {
  current: CodeSpace;
  private readonly lists = new Map<number, CodeSpace[]>();
  /** The one last used in each mode. */
  private readonly last = new Map<number, CodeSpace>();

  constructor() {
    this.current = this.of(0);
  }

  /** The space of a mode, the one last used if there are several. */
  of(mode: number): CodeSpace {
    return this.last.get(mode) ?? this.add(mode);
  }

  allOf(mode: number): readonly CodeSpace[] {
    return this.lists.get(mode) ?? [this.of(mode)];
  }

  /** Makes another one for a mode. */
  add(mode: number): CodeSpace {
    const space = newCodeSpace(mode);
    const others = this.lists.get(mode);
    if (others) others.push(space);
    else this.lists.set(mode, [space]);
    if (!this.last.has(mode)) this.last.set(mode, space);
    return space;
  }

  enter(space: CodeSpace): void {
    this.current = space;
    this.last.set(space.mode, space);
  }

  get all(): CodeSpace[] {
    return this.lists.values().toArray().flat();
  }

  /** Forgets all; an empty one of the same mode comes into force. */
  clear(): void {
    this.lists.clear();
    this.last.clear();
    this.current = this.of(this.current.mode);
  }
}
