/** Files, batches and lists of them, and refusals of their object, in OpenAI's words. */
import type { BatchRecord, FileRecord, Page, Refused } from '../../durable/batches/rpc.ts';
import { type ErrorDetails, isErrorCode, StatorError } from '../../durable/runtime/errors.ts';
import type { BatchDocument } from './batches-schema.ts';
import type { FileDocument } from './files-schema.ts';

export function fileDocument(file: FileRecord): FileDocument {
  return {
    id: file.id,
    object: 'file',
    bytes: file.bytes,
    created_at: seconds(file.createdMs),
    expires_at: file.expiresMs === null ? null : seconds(file.expiresMs),
    filename: file.filename,
    purpose: file.purpose,
    status: 'processed',
  };
}

export function batchDocument(batch: BatchRecord): BatchDocument {
  const { sinceMs } = batch;
  const since = (ms: number | undefined) => (ms === undefined ? null : seconds(ms));
  return {
    id: batch.id,
    object: 'batch',
    endpoint: batch.endpoint,
    errors: batch.errors.length === 0 ? null : { object: 'list', data: batch.errors },
    input_file_id: batch.inputFileId,
    completion_window: '24h',
    status: batch.state,
    output_file_id: batch.outputFileId,
    error_file_id: batch.errorFileId,
    created_at: seconds(batch.createdMs),
    in_progress_at: since(sinceMs.in_progress),
    expires_at: seconds(batch.expiresMs),
    finalizing_at: since(sinceMs.finalizing),
    completed_at: since(sinceMs.completed),
    failed_at: since(sinceMs.failed),
    expired_at: since(sinceMs.expired),
    cancelling_at: since(sinceMs.cancelling),
    cancelled_at: since(sinceMs.cancelled),
    request_counts: { total: batch.total, completed: batch.completed, failed: batch.failed },
    metadata: batch.metadata,
  };
}

export function listDocument<T extends { id: string }>({ data, hasMore }: Page<T>) {
  return {
    object: 'list' as const,
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: hasMore,
  };
}

/** What the object answered. Throws what it refused with. */
export function granted<T>(answer: T | Refused): T {
  if (typeof answer !== 'object' || answer === null || !('refused' in answer)) return answer as T;
  const { refused, message, param } = answer;
  const details: ErrorDetails = param === undefined ? {} : { param };
  throw new StatorError(isErrorCode(refused) ? refused : 'internal', message, details);
}

export const missing = (what: 'File' | 'Batch', id: string): StatorError =>
  new StatorError('not_found', `No such ${what} object: ${id}`, { param: 'id' });

const seconds = (ms: number): number => Math.floor(ms / 1000);
