/** RLIMIT_* (include/uapi/asm-generic/resource.h; the same on ARM and x86). */
export const ResourceLimit = {
  CPU: 0,
  FSIZE: 1,
  DATA: 2,
  STACK: 3,
  CORE: 4,
  RSS: 5,
  NPROC: 6,
  NOFILE: 7,
  MEMLOCK: 8,
  AS: 9,
  LOCKS: 10,
  SIGPENDING: 11,
  MSGQUEUE: 12,
  NICE: 13,
  RTPRIO: 14,
  RTTIME: 15,
} as const;
export const resourceLimitCount = 16;

/** Threads and processes of a guest: each process costs the host a reservation of 10 GiB of addresses. */
const processLimit = 4096;

export const unlimited = Infinity;

/** A soft and a hard limit; `unlimited` for none. */
export interface Limit {
  readonly soft: number;
  readonly hard: number;
}

/** The limits of a process, by RLIMIT_* number. Set with `set`; whether a caller may is the system call's business. */
export class ResourceLimits {
  private readonly limits: Limit[] = new Array<Limit>(resourceLimitCount).fill({ soft: unlimited, hard: unlimited });

  constructor(stackBytes: number) {
    this.limits[ResourceLimit.STACK] = { soft: stackBytes, hard: unlimited };
    this.limits[ResourceLimit.CORE] = { soft: 0, hard: unlimited };
    this.limits[ResourceLimit.NOFILE] = { soft: 1024, hard: 1048576 };
    this.limits[ResourceLimit.NPROC] = { soft: processLimit, hard: processLimit };
    this.limits[ResourceLimit.MEMLOCK] = { soft: 8 << 20, hard: 8 << 20 };
    this.limits[ResourceLimit.SIGPENDING] = { soft: 65536, hard: 65536 };
    this.limits[ResourceLimit.MSGQUEUE] = { soft: 819200, hard: 819200 };
    this.limits[ResourceLimit.NICE] = { soft: 0, hard: 0 };
    this.limits[ResourceLimit.RTPRIO] = { soft: 0, hard: 0 };
  }

  /** The limits of a forked child. */
  static copyOf(other: ResourceLimits): ResourceLimits {
    const copy = new ResourceLimits(0);
    other.limits.forEach((limit, resource) => copy.set(resource, limit));
    return copy;
  }

  get(resource: number): Limit {
    return this.limits[resource];
  }

  set(resource: number, limit: Limit): void {
    this.limits[resource] = limit;
  }
}
