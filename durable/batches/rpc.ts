/**
 * What functions may ask the Batches object (one per deployment): files, and batches of requests that are worked off from
 * them at the lowest priority. Refusals are values: an exception across RPC loses its class.
 */

/** Name of the one Batches object (`idFromName`). */
export const BATCHES_NAME = 'batches';

/** The policy class that requests of batches name; it goes behind all others (functions/dispatch/route.ts). */
export const BATCH_CLASS = 'batch';

export const BATCH_ENDPOINTS = [
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/embeddings',
  '/v1/responses',
] as const;
export type BatchEndpoint = (typeof BATCH_ENDPOINTS)[number];

/** `batch_output` files are what batches write: answers, and what went wrong. */
export const FILE_PURPOSES = ['batch', 'batch_output'] as const;
export type FilePurpose = (typeof FILE_PURPOSES)[number];

export interface FileRecord {
  id: string;
  filename: string;
  purpose: FilePurpose;
  bytes: number;
  createdMs: number;
  /** null: until it is deleted. */
  expiresMs: number | null;
}

export interface NewFile {
  filename: string;
  purpose: FilePurpose;
  expiresMs: number | null;
}

/** What is wrong with a line of the input file; `line` counts from 1, null: with the file. */
export interface LineError {
  code: string;
  message: string;
  line: number | null;
  param: string | null;
}

export const BATCH_STATES = [
  'validating',
  'failed',
  'in_progress',
  'finalizing',
  'completed',
  'expired',
  'cancelling',
  'cancelled',
] as const;
export type BatchState = (typeof BATCH_STATES)[number];

export interface NewBatch {
  inputFileId: string;
  endpoint: BatchEndpoint;
  metadata: Record<string, string> | null;
}

export interface BatchRecord extends NewBatch {
  id: string;
  state: BatchState;
  errors: LineError[];
  outputFileId: string | null;
  errorFileId: string | null;
  createdMs: number;
  /** What is not answered by then never is. */
  expiresMs: number;
  /** When it came into which state. */
  sinceMs: Partial<Record<BatchState, number>>;
  /** Requests: all, answered, and those that ended with an error. */
  total: number;
  completed: number;
  failed: number;
}

export interface Refused {
  /** One of runtime/errors.ts. */
  refused: string;
  message: string;
  param?: string;
}

/** A page of a list, behind `after`. */
export interface Page<T> {
  data: T[];
  hasMore: boolean;
}

export interface FileQuery {
  after: string | null;
  limit: number;
  /** Newest first, or oldest. */
  order: 'desc' | 'asc';
  purpose: string | null;
}

export interface BatchesRpc {
  /** A file that is being sent; its id. It is forgotten when nothing comes for a while, and with a restart. */
  beginFile(): string | Refused;
  /** The next bytes, at most `LIMITS.fileChunkBytes`. Null: they are kept. */
  appendFile(id: string, bytes: Uint8Array): Refused | null;
  finishFile(id: string, file: NewFile): FileRecord | Refused;
  /** The sender gave up. */
  abandonFile(id: string): void;
  file(id: string): FileRecord | null;
  files(query: FileQuery): Page<FileRecord> | Refused;
  /** Piece number `seq` of a file's content, from 0 up; null behind the last. */
  fileChunk(id: string, seq: number): Uint8Array | null;
  /** False: there is none. */
  removeFile(id: string): boolean | Refused;
  createBatch(batch: NewBatch): BatchRecord | Refused;
  batch(id: string): BatchRecord | null;
  batches(after: string | null, limit: number): Page<BatchRecord> | Refused;
  /** Null: there is none. What has ended stays as it is and is refused. */
  cancelBatch(id: string): BatchRecord | Refused | null;
}
