/** What G4 asks of an object store: a shared directory, S3, or what comes next. One file each; `open-object-store.ts` has them all. */

export interface ObjectStore {
  /** Whole or not at all; replaces what is there. */
  put(key: string, bytes: Uint8Array, signal: AbortSignal): Promise<void>;
  /** Throws TierFault `missing`; `short_read` for an object that is not `length` bytes long. */
  get(key: string, length: number, signal: AbortSignal): Promise<Uint8Array>;
  has(key: string, signal: AbortSignal): Promise<boolean>;
  /** Deleting what is not there is no error. */
  delete(key: string, signal: AbortSignal): Promise<void>;
  /** Keys that begin so, at most `limit`. */
  list(prefix: string, limit: number, signal: AbortSignal): Promise<string[]>;
}
