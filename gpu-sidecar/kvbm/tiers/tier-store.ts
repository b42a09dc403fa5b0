/**
 * Where the bytes of a tier's blocks are: memory, a file, an object store. One interface, so that faults can be put in between.
 *
 * A store knows slots and trusts its caller: nobody reads a slot that is being written. `read` fills `into` with bytes that were
 * written under this name, or throws (`toTierFault` says what); it never returns others.
 */

import type { BlockIdentity } from '../block.ts';

/** A block's name and the checksum of its bytes (`checksum.ts`). */
export interface BlockDescription {
  readonly identity: BlockIdentity;
  readonly checksum: bigint;
}

/** What goes wrong with a block in a tier; label `fault` of kvbm_faults_total. */
export type Fault =
  | 'short_read'
  | 'checksum'
  | 'missing'
  | 'no_space'
  | 'denied'
  | 'unavailable'
  | 'timeout'
  | 'io';

export class TierFault extends Error {
  readonly fault: Fault;

  constructor(fault: Fault, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'TierFault';
    this.fault = fault;
  }

  /** The block's own fault: the tier may be sound, the block is dropped. */
  get ofBlock(): boolean {
    return this.fault === 'checksum' || this.fault === 'missing' || this.fault === 'short_read';
  }
}

export interface TierStore {
  write(slot: number, described: BlockDescription, bytes: Uint8Array, signal: AbortSignal): Promise<void>;
  /** Returns the checksum of the bytes, which it has compared. */
  read(slot: number, described: BlockDescription, into: Uint8Array, signal: AbortSignal): Promise<bigint>;
  /** Whether the block is there without our knowing, as in a store that others write to. */
  has?(hash: bigint, signal: AbortSignal): Promise<boolean>;
  /** The slot's block is no more; failures do not matter, because checksums find out. */
  erase(slot: number, described: BlockDescription, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** What a catch clause got, as a fault. */
export function toTierFault(thrown: unknown): TierFault {
  if (thrown instanceof TierFault) return thrown;
  const { code, name, message } = thrown as { code?: string; name?: string; message?: string };
  const fault =
    code === 'ENOSPC' || code === 'EDQUOT'
      ? 'no_space'
      : code === 'ENOENT'
        ? 'missing'
        : code === 'EACCES' || code === 'EPERM' || code === 'EROFS'
          ? 'denied'
          : name === 'TimeoutError' || name === 'AbortError'
            ? 'timeout'
            : 'io';
  return new TierFault(fault, message ?? String(thrown), thrown);
}
