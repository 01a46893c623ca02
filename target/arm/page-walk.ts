import { walkLong } from './long-descriptor.ts';

/*
 * Address translation (DDI 0406C B3). Addresses are u32 numbers; descriptors are read as i32 words.
 */

/** FSR.WnR. */
export const faultOfWrite = 1 << 11;

/** FSR.LPAE. */
export const longFormat = 1 << 9;

/** Access bits: 1 read, 2 write, 4 execute. */
const write = 2;
const execute = 4;

/** Fault status, FSR[10,3:0] of the short-descriptor format (B3.13.3). */
export const FaultStatus = {
  alignment: 0b00001,
  debug: 0b00010,
  accessFlagSection: 0b00011,
  translationSection: 0b00101,
  accessFlagPage: 0b00110,
  translationPage: 0b00111,
  externalAbort: 0b01000,
  domainSection: 0b01001,
  domainPage: 0b01011,
  walkAbortFirst: 0b01100,
  permissionSection: 0b01101,
  walkAbortSecond: 0b01110,
  permissionPage: 0b01111,
} as const;

/** TTBCR.EAE: the tables are of the long-descriptor format. */
export const ttbcrEae = 1 << 31;

/** What a walk finds out. */
export interface WalkResult {
  physical: number;
  allowed: number;
  global: boolean;
  large: boolean;
}

/** The registers that a walk reads. */
export interface TranslationControl {
  readonly sctlr: number;
  readonly ttbcr: number;
  readonly ttbr0: number;
  readonly ttbr1: number;
  /** High words, in the long-descriptor format. */
  readonly ttbr0High: number;
  readonly ttbr1High: number;
  readonly dacr: number;
  readonly privileged: boolean;
}

/** SCTLR bits. */
const sctlrM = 1;
const sctlrAfe = 1 << 29;

/** By AP[2:0]: what is allowed at PL1 and at PL0 (B3.7.1); bits as above, without execute. */
const privilegedAccess = [0, 3, 3, 3, 0, 1, 1, 1];
const userAccess = [0, 0, 1, 3, 0, 0, 1, 1];

/** Walks page tables, short descriptors (B3.5) or long ones. A fault is left in `fault` and `domain`. */
export class PageTableWalker {
  /** A translation of more than 2 MiB has been found: TLB maintenance by address does not know all of its pages. */
  huge = false;
  /** `FaultStatus` or `LongStatus` of the last walk that failed, and the domain it concerns. */
  fault = 0;
  domain = 0;
  private readonly control: TranslationControl;
  private readonly word: (physical: number) => number | undefined;

  /** `word`: the word at a physical address, undefined where there is no memory. */
  constructor(control: TranslationControl, word: (physical: number) => number | undefined) {
    this.control = control;
    this.word = word;
  }

  walk(address: number, access: number, into: WalkResult, _peek = false): boolean {
    const { control } = this;
    if ((control.sctlr & sctlrM) === 0) {
      into.physical = (address & -4096) >>> 0;
      into.allowed = 7;
      into.global = true;
      into.large = false;
      return true;
    }
    if (control.ttbcr & ttbcrEae) {
      const fault = walkLong(control, this.word, address, access, into);
      this.huge ||= into.large;
      return fault === 0 || this.refuse(fault);
    }
    const n = control.ttbcr & 7;
    const upper = n !== 0 && address >>> (32 - n) !== 0;
    this.domain = 0;
    if (control.ttbcr & (upper ? 0x20 : 0x10)) return this.refuse(FaultStatus.translationSection);
    const shift = upper ? 0 : n;
    const base = (upper ? control.ttbr1 : control.ttbr0) & (-1 << (14 - shift));
    const index = ((address << shift) >>> (shift + 20)) << 2;
    const first = this.word((base | index) >>> 0);
    if (first === undefined) return this.refuse(FaultStatus.walkAbortFirst);
    switch (first & 3) {
      case 0:
        return this.refuse(FaultStatus.translationSection);
      case 1:
        return this.walkSecond(address, access, into, first);
      default:
        return this.section(address, access, into, first);
    }
  }

  private section(address: number, access: number, into: WalkResult, first: number): boolean {
    const isSuper = (first & (1 << 18)) !== 0;
    this.domain = isSuper ? 0 : (first >>> 5) & 15;
    into.physical = isSuper
      ? ((first & 0xff000000) | (address & 0x00fff000)) >>> 0
      : ((first & 0xfff00000) | (address & 0x000ff000)) >>> 0;
    into.global = (first & (1 << 17)) === 0;
    into.large = true;
    this.huge ||= isSuper;
    const ap = ((first >>> 10) & 3) | ((first >>> 13) & 4);
    return this.check(access, into, ap, (first & 0x10) !== 0, (first & 1) !== 0, 0);
  }

  private walkSecond(address: number, access: number, into: WalkResult, first: number): boolean {
    this.domain = (first >>> 5) & 15;
    const second = this.word(((first & -1024) | ((address >>> 10) & 0x3fc)) >>> 0);
    if (second === undefined) return this.refuse(FaultStatus.walkAbortSecond);
    if ((second & 3) === 0) return this.refuse(FaultStatus.translationPage);
    const isLarge = (second & 2) === 0;
    into.physical = isLarge ? ((second & 0xffff0000) | (address & 0xf000)) >>> 0 : (second & -4096) >>> 0;
    into.global = (second & (1 << 11)) === 0;
    into.large = isLarge;
    const ap = ((second >>> 4) & 3) | ((second >>> 7) & 4);
    const executeNever = (second & (isLarge ? 1 << 15 : 1)) !== 0;
    return this.check(access, into, ap, executeNever, (first & 4) !== 0, 2);
  }

  /** `level`: 0 for a section's fault codes, 2 for a page's. */
  private check(
    access: number,
    into: WalkResult,
    ap: number,
    executeNever: boolean,
    privilegedNever: boolean,
    level: number,
  ): boolean {
    const { sctlr, dacr, privileged } = this.control;
    const client = (dacr >>> (2 * this.domain)) & 3;
    if (sctlr & sctlrAfe && (ap & 1) === 0) {
      return this.refuse(level === 0 ? FaultStatus.accessFlagSection : FaultStatus.accessFlagPage);
    }
    if (client === 0 || client === 2) return this.refuse(FaultStatus.domainSection + level);
    if (client === 3) {
      into.allowed = 7;
      return true;
    }
    const permissions = sctlr & sctlrAfe ? ap | 1 : ap;
    const data = (privileged ? privilegedAccess : userAccess)[permissions]!;
    const fetches = (data & 1) !== 0 && !executeNever && !(privileged && privilegedNever);
    into.allowed = data | (fetches ? execute : 0);
    return (into.allowed & access) === access || this.refuse(FaultStatus.permissionSection + level);
  }

  private refuse(fault: number): boolean {
    this.fault = fault;
    return false;
  }

  /** DFSR or IFSR for the last fault: status, domain, WnR. */
  status(access: number): number {
    const { fault } = this;
    if (this.control.ttbcr & ttbcrEae) return longFormat | fault | (access === write ? faultOfWrite : 0);
    return ((fault & 0x10) << 6) | (fault & 15) | (this.domain << 4) | (access === write ? faultOfWrite : 0);
  }
}
