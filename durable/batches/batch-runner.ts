/**
 * Works batches off: checks their input, sends their requests, a bounded number at once, takes turns among batches, writes
 * their files. Pure but for its storage: the clock, timers and the way to send a request are given.
 *
 * What is on disk is the whole state: a request under way is not, so after a restart it is sent again, and its one result
 * is written in the turn in which it comes. Every turn is bounded; a timer or the end of a request brings the next.
 * A request that finds no room goes back (`retries.ts`), and everything pauses: interactive requests need the room.
 */

import type { Host } from '../platform/host.ts';
import { LIMITS } from '../runtime/limits.ts';
import type { FileStore } from './file-store.ts';
import { InputCheck } from './input-check.ts';
import { type InputLine, parseInputLine } from './input-line.ts';
import { type BatchLine, isOpen, type Ledger } from './ledger.ts';
import { answerLine, errorLine, type LineAnswer } from './output-line.ts';
import { OutputWriter } from './output-writer.ts';
import { Retries, type Setback } from './retries.ts';
import type { BatchRecord, BatchState } from './rpc.ts';

/** An answer, or why it may come later. */
export type SendResult = LineAnswer | { again: Setback; answer: LineAnswer };

export interface BatchRequest {
  requestId: string;
  endpoint: string;
  body: Record<string, unknown>;
}

export interface RunnerOptions {
  files: FileStore;
  ledger: Ledger;
  host: Host;
  newId: (prefix: string) => string;
  /** Never rejects; after `gone` aborts its result means nothing. */
  send: (request: BatchRequest, gone: AbortSignal) => Promise<SendResult>;
  /** These requests, which were sent, are wanted no more. */
  abandon: (requestIds: string[]) => void;
}

/** What a batch has beside its record while requests are sent. */
interface Work {
  check: InputCheck | null;
  /** Read from the ledger and not sent. */
  ready: BatchLine[];
  /** The last line that was read. */
  readLine: number;
  /** Requests that were sent, by their id. */
  underWay: Map<string, AbortController>;
  retries: Retries;
}

const utf8 = new TextDecoder();

export class BatchRunner {
  readonly #options: RunnerOptions;
  readonly #writer: OutputWriter;
  readonly #work = new Map<string, Work>();
  readonly #startedMs: number;
  /** Where the next turn begins to hand out places. */
  #next = 0;
  #underWay = 0;
  #pausedUntilMs = 0;
  #pauseMs: number = LIMITS.batchPauseMs;
  #dueMs = Number.POSITIVE_INFINITY;

  constructor(options: RunnerOptions) {
    const { files, ledger, newId, host } = options;
    this.#options = options;
    this.#startedMs = host.nowMs();
    this.#writer = new OutputWriter({ files, ledger, newId, nowMs: () => host.nowMs() });
  }

  /** There may be something to do. */
  wake(): void {
    this.#after(0);
  }

  /** Its requests end now; its files are written next. */
  cancel(batch: BatchRecord): void {
    this.#leave(batch, 'cancelling');
  }

  #after(delayMs: number): void {
    const { host } = this.#options;
    const dueMs = host.nowMs() + delayMs;
    if (dueMs >= this.#dueMs) return;
    this.#dueMs = dueMs;
    host.after(delayMs, () => {
      if (this.#dueMs !== dueMs) return;
      this.#dueMs = Number.POSITIVE_INFINITY;
      this.#turn();
    });
  }

  #turn(): void {
    const nowMs = this.#options.host.nowMs();
    const open = this.#options.ledger.open();
    let busy = false;
    for (const batch of open) {
      if (batch.state === 'in_progress' && nowMs >= batch.expiresMs) this.#leave(batch, 'finalizing');
      if (batch.state === 'validating') busy = this.#check(batch) || busy;
      if (batch.state === 'cancelling' || batch.state === 'finalizing') busy = this.#write(batch) || busy;
    }
    const running = open.filter(({ state }) => state === 'in_progress');
    if (nowMs >= this.#pausedUntilMs) this.#send(running, nowMs);
    else this.#after(this.#pausedUntilMs - nowMs);
    if (busy) this.#after(0);
    else if (running.length > 0) this.#after(Math.min(...running.map(({ expiresMs }) => expiresMs)) - nowMs);
  }

  /** True: it wants another turn. */
  #check(batch: BatchRecord): boolean {
    const { files, ledger } = this.#options;
    const work = this.#workOf(batch.id);
    work.check ??= new InputCheck(batch, files, ledger);
    if (!work.check.turn()) return true;
    const { errors, total } = work.check;
    work.check = null;
    batch.total = errors.length === 0 ? total : 0;
    batch.errors = errors.slice(0, LIMITS.batchErrors);
    if (errors.length === 0) this.#enter(batch, 'in_progress');
    else {
      while (ledger.forgetLines(batch.id));
      this.#enter(batch, 'failed');
      this.#work.delete(batch.id);
    }
    return true;
  }

  #write(batch: BatchRecord): boolean {
    const done = this.#writer.turn(batch, endOf(batch));
    if (done) this.#work.delete(batch.id);
    return true;
  }

  /** Gives free places to the batches in turn. */
  #send(batches: readonly BatchRecord[], nowMs: number): void {
    let without = 0;
    while (this.#underWay < LIMITS.batchRequests && without < batches.length) {
      const batch = batches[this.#next++ % batches.length]!;
      const line = batch.state === 'in_progress' ? this.#nextLine(batch, nowMs) : null;
      without = line === null ? without + 1 : 0;
      if (line !== null) void this.#request(batch, line);
      else this.#rest(batch, nowMs);
    }
  }

  #nextLine({ id }: BatchRecord, nowMs: number): BatchLine | null {
    const work = this.#workOf(id);
    const again = work.retries.next(nowMs);
    if (again !== null) return again;
    if (work.retries.size >= LIMITS.batchRequests * 4) return null;
    if (work.ready.length === 0) {
      work.ready = this.#options.ledger.pending(id, work.readLine, LIMITS.batchRequests * 4);
      work.readLine = work.ready.at(-1)?.line ?? work.readLine;
    }
    return work.ready.shift() ?? null;
  }

  /** There is nothing to send now: all is done, or something waits. */
  #rest(batch: BatchRecord, nowMs: number): void {
    if (batch.state !== 'in_progress') return;
    const { underWay, retries } = this.#workOf(batch.id);
    if (retries.size > 0) this.#after(retries.dueMs - nowMs);
    else if (underWay.size === 0) {
      this.#enter(batch, 'finalizing');
      this.#after(0);
    }
  }

  async #request(batch: BatchRecord, line: BatchLine): Promise<void> {
    const { files, ledger, newId, send } = this.#options;
    const work = this.#workOf(batch.id);
    const gone = new AbortController();
    const requestId = newId('req_');
    work.underWay.set(requestId, gone);
    this.#underWay++;
    const text = utf8.decode(files.slice(batch.inputFileId, line.start, line.length));
    const { body } = parseInputLine(text, batch.endpoint) as InputLine;
    const model = String(body['model']);
    const result = await send({ requestId, endpoint: batch.endpoint, body }, gone.signal);
    this.#underWay--;
    work.underWay.delete(requestId);
    // Cancelled or expired: without an answer.
    if (gone.signal.aborted) return;
    if (!('again' in result && this.#mayComeLater(work, line, result.again, model))) {
      const answer = 'again' in result ? result.answer : result;
      if (!('again' in result)) work.retries.answered(line, model);
      this.#pauseMs = LIMITS.batchPauseMs;
      const output = { id: newId('batch_req_'), customId: line.customId };
      const error = this.#cannotKeep(answer);
      ledger.record(batch.id, line.line, {
        failed: error !== null || answer.status >= 400,
        text: error !== null ? errorLine(output, error) : answerLine(output, answer),
      });
    }
    this.#after(0);
  }

  /** Null: there is room. */
  #cannotKeep({ body }: LineAnswer): { code: string; message: string } | null {
    const { files, ledger } = this.#options;
    if (body.length > LIMITS.batchAnswerBytes) return TOO_LONG;
    const kept = files.bytes + ledger.resultCharacters + body.length;
    return kept > LIMITS.storedFileBytes ? NO_STORAGE : null;
  }

  /** Where nobody has room, all pause. */
  #mayComeLater(work: Work, line: BatchLine, why: Setback, model: string): boolean {
    const nowMs = this.#options.host.nowMs();
    if (why === 'no_room' && nowMs >= this.#pausedUntilMs) {
      this.#pausedUntilMs = nowMs + this.#pauseMs;
      this.#pauseMs = Math.min(this.#pauseMs * 2, LIMITS.batchLongPauseMs);
    }
    return work.retries.keep(line, why, model, nowMs);
  }

  #enter(batch: BatchRecord, state: BatchState): void {
    batch.state = state;
    batch.sinceMs[state] = this.#options.host.nowMs();
    this.#options.ledger.put(batch);
  }

  #leave(batch: BatchRecord, state: 'cancelling' | 'finalizing'): void {
    this.#enter(batch, state);
    const work = this.#work.get(batch.id);
    if (work) {
      for (const controller of work.underWay.values()) controller.abort();
      this.#options.abandon([...work.underWay.keys()]);
      work.ready.length = 0;
      work.retries.clear();
    }
    this.#after(0);
  }

  #workOf(id: string): Work {
    let work = this.#work.get(id);
    if (work === undefined) {
      work = {
        check: null,
        ready: [],
        readLine: 0,
        underWay: new Map(),
        retries: new Retries(this.#startedMs),
      };
      this.#work.set(id, work);
    }
    return work;
  }
}

const TOO_LONG = {
  code: 'answer_too_long',
  message: `The answer has more than ${LIMITS.batchAnswerBytes} characters.`,
};

const NO_STORAGE = {
  code: 'storage_full',
  message: `The files of this deployment have ${LIMITS.storedFileBytes} bytes, their limit.`,
};

/** Where a batch goes that is left to be written. */
function endOf(batch: BatchRecord): BatchState {
  if (!isOpen(batch.state)) return batch.state;
  if (batch.state === 'cancelling') return 'cancelled';
  const { finalizing = 0 } = batch.sinceMs;
  return finalizing >= batch.expiresMs ? 'expired' : 'completed';
}
