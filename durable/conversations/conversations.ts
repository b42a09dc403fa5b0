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
 * Pure but for its disk, which is synchronous: a call is one turn. Cost: a row; `cancel` and `fail` parse the document,
 * nothing else does.
 */

import { LIMITS } from '../runtime/limits.ts';
import type { Cancelled, History, NewResponse, ResponseState, Turn, Watched } from './rpc.ts';
import type { ResponseRow, SqlDisk } from './sql-disk.ts';

const LOST = 'The server lost the response: whoever computed it is gone.';

export class Conversations {
  readonly #disk: SqlDisk;
  #responses: number;
  /** Characters of all texts. */
  #length: number;

  constructor(disk: SqlDisk) {
    this.#disk = disk;
    const { responses, length } = disk.totals();
    this.#responses = responses;
    this.#length = length;
  }

  get responses(): number {
    return this.#responses;
  }

  begin({ id, previous, background, input, document }: NewResponse, nowMs: number): boolean {
    const [inputLength, documentLength] = [input.length, document.length];
    const length = inputLength + documentLength;
    if (length > LIMITS.storedResponseLength) return false;
    this.#makeRoom(length);
    const times = { leaseMs: nowMs + LIMITS.responseLeaseMs, expiresMs: nowMs + LIMITS.responseTtlMs };
    const begun = { state: 'in_progress' as const, cancelled: false };
    const row = { id, previous, background, ...begun, ...times, inputLength, documentLength };
    this.#disk.insert(row, input, document);
    this.#responses++;
    this.#length += length;
    return true;
  }

  finish(id: string, state: ResponseState, document: string): boolean {
    const row = this.#disk.row(id);
    if (row === null) return false;
    const keeps = row.cancelled ? state !== 'cancelled' : isEnd(row.state);
    if (keeps) return true;
    if (document.length > LIMITS.storedResponseLength) {
      this.#break(row, 'failed', 'The response is larger than what is stored.');
      return false;
    }
    this.#end(row, { state, cancelled: row.cancelled, document });
    return true;
  }

  fail(id: string, message: string): void {
    const row = this.#disk.row(id);
    if (row !== null && !row.cancelled && !isEnd(row.state)) this.#break(row, 'failed', message);
  }

  remove(id: string): boolean {
    const row = this.#disk.row(id);
    if (row !== null) this.#remove(row);
    return row !== null;
  }

  read(id: string, nowMs: number): string | null {
    const row = this.#current(id, nowMs);
    return row === null ? null : this.#disk.text(row, 'document');
  }

  input(id: string, nowMs: number): string | null {
    const row = this.#current(id, nowMs);
    return row === null ? null : this.#disk.text(row, 'input');
  }

  history(id: string, nowMs: number): History {
    const chain: ResponseRow[] = [];
    let length = 0;
    for (let next: string | null = id; next !== null; ) {
      const row = this.#current(next, nowMs);
      if (row === null) return { refused: 'missing', id: next };
      if (!row.cancelled && row.state === 'in_progress') return { refused: 'unfinished', id: next };
      chain.push(row);
      length += row.inputLength + row.documentLength;
      if (chain.length > LIMITS.conversationTurns || length > LIMITS.conversationLength) {
        return { refused: 'too_long', id };
      }
      next = row.previous;
    }
    const expiresMs = nowMs + LIMITS.responseTtlMs;
    const turns: Turn[] = [];
    for (const row of chain.reverse()) {
      if (expiresMs - row.expiresMs > LIMITS.responseRenewMs) this.#disk.expire(row.id, expiresMs);
      turns.push({ input: this.#disk.text(row, 'input'), document: this.#disk.text(row, 'document') });
    }
    return { turns };
  }

  cancel(id: string, nowMs: number): Cancelled {
    const row = this.#current(id, nowMs);
    if (row === null) return { refused: 'missing' };
    if (!row.background) return { refused: 'foreground' };
    if (row.cancelled || isEnd(row.state)) return { document: this.#disk.text(row, 'document') };
    return { document: this.#break(row, 'cancelled', null) };
  }

  /** Somebody works on it. */
  watched(id: string, nowMs: number): Watched {
    const row = this.#current(id, nowMs);
    if (row === null || row.cancelled) return 'unwanted';
    if (isEnd(row.state)) return 'ended';
    this.#disk.lease(id, nowMs + LIMITS.responseLeaseMs);
    return 'going';
  }

  /** Deletes a bounded number of those whose time is over. Says when to come again; null: nothing is left. */
  sweep(nowMs: number): number | null {
    for (const row of this.#disk.oldest(LIMITS.sweptResponses)) {
      if (row.expiresMs <= nowMs) this.#remove(row);
    }
    return this.#disk.oldest(1)[0]?.expiresMs ?? null;
  }

  #current(id: string, nowMs: number): ResponseRow | null {
    const row = this.#disk.row(id);
    if (row === null) return null;
    if (row.expiresMs <= nowMs) {
      this.#remove(row);
      return null;
    }
    if (row.state !== 'in_progress' || nowMs < row.leaseMs) return row;
    this.#break(row, 'failed', LOST);
    return this.#disk.row(id);
  }

  #makeRoom(length: number): void {
    while (
      this.#responses > 0 &&
      (this.#responses >= LIMITS.storedResponses || this.#length + length > LIMITS.storedLength)
    ) {
      this.#remove(this.#disk.oldest(1)[0]!);
    }
  }

  #remove(row: ResponseRow): void {
    this.#disk.remove(row);
    this.#responses--;
    this.#length -= row.inputLength + row.documentLength;
  }

  /** An end that no worker told. */
  #break(row: ResponseRow, state: 'cancelled' | 'failed', message: string | null): string {
    const members = JSON.parse(this.#disk.text(row, 'document')) as Record<string, unknown>;
    members['status'] = state;
    if (message !== null) members['error'] = { code: 'server_error', message };
    const document = JSON.stringify(members);
    this.#end(row, { state, cancelled: state === 'cancelled', document });
    return document;
  }

  #end(row: ResponseRow, end: { state: ResponseState; cancelled: boolean; document: string }): void {
    this.#disk.end(row, end);
    this.#length += end.document.length - row.documentLength;
  }
}

/** `cancelled` by its worker is none: another worker may have gone on. */
const isEnd = (state: ResponseState): boolean =>
  state === 'completed' || state === 'incomplete' || state === 'failed';
