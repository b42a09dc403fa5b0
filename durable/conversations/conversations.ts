/**
 * Stored responses: what may become of one, how long it lives, how much there may be.
 *
 *     in_progress ──finish──▶ completed | incomplete | failed    (ends: the first one counts)
 *        │     └────finish──▶ cancelled ──finish──▶ any end      (its worker lost its reader; another may go on)
 *        └──cancel──▶ cancelled, by its client: an end           (its worker still adds what there was)
 *
 * Bounds: responses and characters of an object, past which the one that ends first goes; the size of one; turns and
 * characters of a conversation that is continued. A response lives `LIMITS.responseTtlMs`, counted anew for the whole
 * conversation when it is continued, so that a conversation ends at once and not from its head. One without an end whose
 * lease is over has failed: nobody is left who could end it. That is found out when somebody reads it.
 *
 * Pure but for its disk, which is synchronous: a call is one turn. Cost: a row and its pieces; `cancel` and `fail` parse
 * the document, nothing else does.
 */

import { LIMITS } from '../runtime/limits.ts';
import type { Cancelled, History, NewResponse, ResponseState, Turn } from './rpc.ts';
import type { ResponseRow, SqlDisk } from './sql-disk.ts';

const LOST = 'The server lost the response: whoever computed it is gone.';

export class Conversations {
  readonly #disk: SqlDisk;
  #responses: number;
  #size: number;

  constructor(disk: SqlDisk) {
    this.#disk = disk;
    const { responses, size } = disk.totals();
    this.#responses = responses;
    this.#size = size;
  }

  get responses(): number {
    return this.#responses;
  }

  begin({ id, previous, background, input, document }: NewResponse, nowMs: number): boolean {
    const size = input.length + document.length;
    if (size > LIMITS.storedResponseLength) return false;
    this.remove(id);
    this.#makeRoom(size);
    const leaseMs = nowMs + (background ? LIMITS.backgroundLeaseMs : LIMITS.foregroundLeaseMs);
    const expiresMs = nowMs + LIMITS.responseTtlMs;
    this.#disk.put({
      id,
      previous,
      state: 'in_progress',
      background,
      cancelled: false,
      expiresMs,
      leaseMs,
      size,
    });
    this.#disk.putText(id, 'input', input);
    this.#disk.putText(id, 'document', document);
    this.#responses++;
    this.#size += size;
    return true;
  }

  finish(id: string, state: ResponseState, document: string): boolean {
    const row = this.#disk.row(id);
    if (row === null) return false;
    const keeps = row.cancelled ? state !== 'cancelled' : isEnd(row.state);
    if (keeps) return true;
    if (document.length > LIMITS.storedResponseLength) {
      this.#end(row, 'failed', 'The response is larger than what is stored.');
      return false;
    }
    this.#replace(row, state, document);
    return true;
  }

  fail(id: string, message: string): void {
    const row = this.#disk.row(id);
    if (row !== null && !row.cancelled && !isEnd(row.state)) this.#end(row, 'failed', message);
  }

  remove(id: string): boolean {
    const row = this.#disk.row(id);
    if (row === null) return false;
    this.#disk.remove(id);
    this.#responses--;
    this.#size -= row.size;
    return true;
  }

  read(id: string, nowMs: number): string | null {
    return this.#current(id, nowMs) === null ? null : this.#disk.text(id, 'document');
  }

  input(id: string, nowMs: number): string | null {
    return this.#current(id, nowMs) === null ? null : this.#disk.text(id, 'input');
  }

  history(id: string, nowMs: number): History {
    const chain: ResponseRow[] = [];
    let size = 0;
    for (let next: string | null = id; next !== null; ) {
      const row = this.#current(next, nowMs);
      if (row === null) return { refused: 'missing', id: next };
      if (!row.cancelled && !isEnd(row.state) && row.state !== 'cancelled')
        return { refused: 'unfinished', id: next };
      chain.push(row);
      size += row.size;
      if (chain.length > LIMITS.conversationTurns || size > LIMITS.conversationLength) {
        return { refused: 'too_long', id };
      }
      next = row.previous;
    }
    const expiresMs = nowMs + LIMITS.responseTtlMs;
    const turns: Turn[] = [];
    for (const row of chain.reverse()) {
      this.#disk.put({ ...row, expiresMs });
      turns.push({ input: this.#disk.text(row.id, 'input'), document: this.#disk.text(row.id, 'document') });
    }
    return { turns };
  }

  cancel(id: string, nowMs: number): Cancelled {
    const row = this.#current(id, nowMs);
    if (row === null) return { refused: 'missing' };
    if (!row.background) return { refused: 'foreground' };
    if (!row.cancelled && !isEnd(row.state)) this.#end({ ...row, cancelled: true }, 'cancelled', null);
    return { document: this.#disk.text(id, 'document') };
  }

  /** Somebody works on it: false when nobody wants it any more. */
  wanted(id: string, nowMs: number): boolean {
    const row = this.#current(id, nowMs);
    if (row === null || row.cancelled || isEnd(row.state)) return false;
    this.#disk.put({ ...row, leaseMs: nowMs + LIMITS.backgroundLeaseMs });
    return true;
  }

  /** Deletes a bounded number of those whose time is over. Says when to come again; null: nothing is left. */
  sweep(nowMs: number): number | null {
    for (const row of this.#disk.oldest(LIMITS.sweptResponses)) {
      if (row.expiresMs <= nowMs) this.remove(row.id);
    }
    return this.#disk.oldest(1)[0]?.expiresMs ?? null;
  }

  #current(id: string, nowMs: number): ResponseRow | null {
    const row = this.#disk.row(id);
    if (row === null) return null;
    if (row.expiresMs <= nowMs) {
      this.remove(id);
      return null;
    }
    if (isEnd(row.state) || row.state === 'cancelled' || nowMs < row.leaseMs) return row;
    this.#end(row, 'failed', LOST);
    return this.#disk.row(id);
  }

  #makeRoom(size: number): void {
    while (
      this.#responses > 0 &&
      (this.#responses >= LIMITS.storedResponses || this.#size + size > LIMITS.storedLength)
    ) {
      this.remove(this.#disk.oldest(1)[0]!.id);
    }
  }

  #end(row: ResponseRow, state: 'cancelled' | 'failed', message: string | null): void {
    const document = JSON.parse(this.#disk.text(row.id, 'document')) as Record<string, unknown>;
    document['status'] = state;
    if (message !== null) document['error'] = { code: 'server_error', message };
    this.#replace(row, state, JSON.stringify(document));
  }

  #replace(row: ResponseRow, state: ResponseState, document: string): void {
    const size = row.size - this.#disk.text(row.id, 'document').length + document.length;
    this.#disk.put({ ...row, state, size });
    this.#disk.putText(row.id, 'document', document);
    this.#size += size - row.size;
  }
}

/** `cancelled` by its worker is none: another worker may have gone on. */
const isEnd = (state: ResponseState): boolean =>
  state === 'completed' || state === 'incomplete' || state === 'failed';
