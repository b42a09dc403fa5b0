/**
 * The Batches object: files, and batches worked off from them, on disk. A shell around `file-store.ts`, `ledger.ts` and
 * `batch-runner.ts`; `rpc.ts` has its interface.
 *
 * While a batch has work left an alarm rings every few seconds, so that a restart of workerd goes on with it without
 * anybody asking.
 */

import { DurableObject, hostOf, selfOf } from '#platform';
import { DIRECTORY_NAME, type DirectorySnapshot } from '../directory/rpc.ts';
import type { Host } from '../platform/host.ts';
import { settingsFromEnv } from '../runtime/config.ts';
import { toStatorError } from '../runtime/errors.ts';
import { IdSource } from '../runtime/ids.ts';
import { LIMITS } from '../runtime/limits.ts';
import { Logger } from '../runtime/log.ts';
import { BatchRunner } from './batch-runner.ts';
import { FileStore } from './file-store.ts';
import { Ledger } from './ledger.ts';
import { shownBatch } from './output-writer.ts';
import type {
  BatchesRpc,
  BatchRecord,
  FileQuery,
  FileRecord,
  NewBatch,
  NewFile,
  Page,
  Refused,
} from './rpc.ts';
import { sendRequest } from './send-request.ts';

/** What the shell uses of its bindings; STATOR_* variables besides. */
interface BatchesEnv extends Record<string, unknown> {
  DIRECTORY: {
    idFromName(name: string): unknown;
    get(id: unknown): { read(known: number): Promise<DirectorySnapshot | null> };
  };
  ROUTER: {
    idFromName(name: string): unknown;
    get(id: unknown): { abandon(requestIds: string[]): Promise<void> };
  };
}

export class Batches extends DurableObject implements BatchesRpc {
  readonly #env: BatchesEnv;
  readonly #host: Host;
  readonly #log: Logger;
  readonly #files: FileStore;
  readonly #ledger: Ledger;
  readonly #runner: BatchRunner;
  readonly #ids = new IdSource();
  /** When the alarm rings; null: not at all. */
  #alarmMs: number | null = null;

  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env as never);
    this.#env = env as BatchesEnv;
    this.#host = hostOf(ctx);
    const { apiKey, logLevel } = settingsFromEnv(this.#env);
    this.#log = new Logger({ component: 'batches', level: logLevel });
    this.#files = new FileStore(ctx.storage.sql);
    this.#ledger = new Ledger(ctx.storage);
    this.#runner = new BatchRunner({
      files: this.#files,
      ledger: this.#ledger,
      host: this.#host,
      newId: (prefix) => this.#newId(prefix),
      send: (request, gone) => sendRequest(selfOf(ctx, env), request, { apiKey, gone }),
      abandon: (requestIds) => void this.#abandon(requestIds),
    });
    if (this.#ledger.open().length > 0) this.#work();
  }

  beginFile(): string | Refused {
    const id = this.#newId('file-');
    return this.#files.begin(id, 'sending', this.#host.nowMs()) ?? id;
  }

  appendFile(id: string, bytes: Uint8Array): Refused | null {
    return this.#files.append(id, bytes, this.#host.nowMs());
  }

  finishFile(id: string, file: NewFile): FileRecord | Refused {
    const record = this.#files.finish(id, file);
    if (record === null) return { refused: 'not_found', message: `No file '${id}' is being sent.` };
    if (record.expiresMs !== null) this.#ringBy(record.expiresMs);
    return record;
  }

  abandonFile(id: string): void {
    if (this.#files.get(id) === null) this.#files.remove(id);
  }

  file(id: string): FileRecord | null {
    return this.#files.get(id);
  }

  files(query: FileQuery): Page<FileRecord> | Refused {
    return this.#files.list(query) ?? unknown('after', query.after);
  }

  fileChunk(id: string, seq: number): Uint8Array | null {
    return this.#files.get(id) === null ? null : this.#files.chunk(id, seq);
  }

  removeFile(id: string): boolean | Refused {
    if (this.#files.get(id) === null) return false;
    if (!this.#mayGo(id)) {
      return {
        refused: 'invalid_request',
        message: `The file '${id}' is in use by a batch.`,
        param: 'file_id',
      };
    }
    return this.#files.remove(id);
  }

  createBatch(batch: NewBatch): BatchRecord | Refused {
    const file = this.#files.get(batch.inputFileId);
    if (file?.purpose !== 'batch') return unknown('input_file_id', batch.inputFileId);
    if (this.#ledger.open().length >= LIMITS.openBatches) {
      return { refused: 'overloaded', message: `${LIMITS.openBatches} batches are already in work.` };
    }
    const nowMs = this.#host.nowMs();
    const record: BatchRecord = {
      ...batch,
      id: this.#newId('batch_'),
      state: 'validating',
      errors: [],
      outputFileId: null,
      errorFileId: null,
      createdMs: nowMs,
      expiresMs: nowMs + LIMITS.batchWindowMs,
      sinceMs: { validating: nowMs },
      total: 0,
      completed: 0,
      failed: 0,
    };
    this.#ledger.add(record);
    this.#work();
    return record;
  }

  batch(id: string): BatchRecord | null {
    const record = this.#ledger.get(id);
    return record === null ? null : shownBatch(record);
  }

  batches(after: string | null, limit: number): Page<BatchRecord> | Refused {
    const page = this.#ledger.list(after, limit);
    if (page === null) return unknown('after', after);
    return { data: page.data.map(shownBatch), hasMore: page.hasMore };
  }

  cancelBatch(id: string): BatchRecord | Refused | null {
    const record = this.#ledger.get(id);
    if (record === null) return null;
    if (record.state === 'cancelling' || record.state === 'cancelled') return shownBatch(record);
    if (record.state !== 'validating' && record.state !== 'in_progress') {
      return { refused: 'invalid_request', message: `A batch that is ${record.state} cannot be cancelled.` };
    }
    this.#runner.cancel(record);
    return shownBatch(record);
  }

  override async alarm(): Promise<void> {
    this.#alarmMs = null;
    const nextMs = this.#files.sweep(this.#host.nowMs(), (id) => this.#mayGo(id));
    if (nextMs !== null) this.#ringBy(Math.max(nextMs, this.#host.nowMs() + LIMITS.batchAlarmMs));
    if (this.#ledger.open().length > 0) this.#work();
  }

  #work(): void {
    this.#runner.wake();
    this.#ringBy(this.#host.nowMs() + LIMITS.batchAlarmMs);
  }

  #ringBy(dueMs: number): void {
    if (this.#alarmMs !== null && this.#alarmMs <= dueMs) return;
    this.#alarmMs = dueMs;
    void this.ctx.storage.setAlarm(dueMs);
  }

  /** Functions that were cut off say nothing any more: their places in the routers' queues are given back here. */
  async #abandon(requestIds: string[]): Promise<void> {
    const { DIRECTORY, ROUTER } = this.#env;
    try {
      const directory = await DIRECTORY.get(DIRECTORY.idFromName(DIRECTORY_NAME)).read(-1);
      const namespaces = new Set(directory?.models.map(({ namespace }) => namespace));
      for (const name of namespaces) await ROUTER.get(ROUTER.idFromName(name)).abandon(requestIds);
    } catch (thrown) {
      this.#log.warn('requests could not be taken out of the queue', { error: toStatorError(thrown) });
    }
  }

  /** No batch that has work left reads it. */
  #mayGo(file: string): boolean {
    return !this.#ledger.open().some(({ inputFileId }) => inputFileId === file);
  }

  #newId(prefix: string): string {
    return prefix + this.#ids.uuidV7(this.#host.nowMs()).replaceAll('-', '');
  }
}

const unknown = (param: string, id: string | null): Refused => ({
  refused: param === 'after' ? 'invalid_request' : 'not_found',
  message: param === 'after' ? `There is no '${id}' to list behind.` : `There is no file '${id}'.`,
  param,
});
