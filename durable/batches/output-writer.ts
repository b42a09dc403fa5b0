/**
 * Makes the files of a batch that has come to its end, a portion a turn: answers, then errors, lines without a result
 * among them. A portion's bytes and the removal of what they were made of are written together, so that a restart goes
 * on where it was and no line is written twice.
 */

import { LIMITS } from '../runtime/limits.ts';
import type { FileStore } from './file-store.ts';
import { isOpen, type Ledger } from './ledger.ts';
import { errorLine } from './output-line.ts';
import type { BatchRecord, BatchState } from './rpc.ts';

/** Why requests without an answer have none. */
const UNANSWERED: Partial<Record<BatchState, { code: string; message: string }>> = {
  expired: { code: 'batch_expired', message: 'The completion window was over before this request began.' },
  cancelled: { code: 'batch_cancelled', message: 'The batch was cancelled before this request was done.' },
};

export interface OutputOptions {
  files: FileStore;
  ledger: Ledger;
  newId: (prefix: string) => string;
  nowMs: () => number;
}

const utf8 = new TextEncoder();

export class OutputWriter {
  readonly #options: OutputOptions;

  constructor(options: OutputOptions) {
    this.#options = options;
  }

  /** Writes on. True: the batch is in its last state. */
  turn(batch: BatchRecord, end: BatchState): boolean {
    const { ledger } = this.#options;
    let done = false;
    ledger.together(() => {
      done = !(this.#results(batch, false) || this.#results(batch, true) || this.#unanswered(batch, end));
      if (!done) return;
      this.#finish(batch.outputFileId, `${batch.id}_output.jsonl`);
      this.#finish(batch.errorFileId, `${batch.id}_error.jsonl`);
      batch.state = end;
      batch.sinceMs[end] = this.#options.nowMs();
      ledger.put(batch);
    });
    return done;
  }

  /** False: there is none of that kind. */
  #results(batch: BatchRecord, failed: boolean): boolean {
    const { ledger } = this.#options;
    const results = ledger.results(batch.id, failed, LIMITS.fileChunkBytes);
    if (results.length === 0) return false;
    this.#append(batch, failed, results.map(({ text }) => text).join(''));
    ledger.forgetResults(batch.id, failed, results.at(-1)!.line);
    for (const { line } of results) ledger.forgetLine(batch.id, line);
    return true;
  }

  #unanswered(batch: BatchRecord, end: BatchState): boolean {
    const { ledger, newId } = this.#options;
    const error = UNANSWERED[end];
    const lines = error === undefined ? [] : ledger.pending(batch.id, 0, LIMITS.batchTurnLines);
    if (error === undefined || lines.length === 0) return false;
    const text = lines
      .map(({ customId }) => errorLine({ id: newId('batch_req_'), customId }, error))
      .join('');
    this.#append(batch, true, text);
    for (const { line } of lines) ledger.forgetLine(batch.id, line);
    return true;
  }

  #append(batch: BatchRecord, failed: boolean, text: string): void {
    const { files, ledger, newId, nowMs } = this.#options;
    const field = failed ? 'errorFileId' : 'outputFileId';
    const id = batch[field] ?? newId('file-');
    if (batch[field] === null) {
      files.begin(id, 'writing', nowMs());
      batch[field] = id;
      ledger.put(batch);
    }
    const bytes = utf8.encode(text);
    for (let at = 0; at < bytes.byteLength; at += LIMITS.fileChunkBytes) {
      files.append(id, bytes.subarray(at, at + LIMITS.fileChunkBytes), nowMs());
    }
  }

  #finish(id: string | null, filename: string): void {
    if (id !== null) this.#options.files.finish(id, { filename, purpose: 'batch_output', expiresMs: null });
  }
}

/** As others see it: files that are still written do not show. */
export function shownBatch(batch: BatchRecord): BatchRecord {
  return isOpen(batch.state) ? { ...batch, outputFileId: null, errorFileId: null } : batch;
}
