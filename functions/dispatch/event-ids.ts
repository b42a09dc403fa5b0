/**
 * What the kept bytes of a stream contain: the token ids of all complete events, how many there were, and the piece
 * of an event behind them. It is what another worker needs to continue (design 1.4).
 *
 * Fed with arbitrary cuts of the stream. Three things stand between blank lines: events (`id:` line and data, numbered
 * from 0), comments (not counted), and an event without an id, which is the worker's error and the end. Cost per
 * event: one search and one parse of a short id; texts are never decoded. Memory: four bytes a token and the last
 * unfinished event.
 */
import { parseEventId } from '../../durable/runtime/event-id.ts';
import type { ResumeState } from './generate-request.ts';

const ID = 'id: ';
const DONE = '\ndata: [DONE]';
const COMMENT = ':';

export class KeptEvents {
  #tokenIds = new Uint32Array(64);
  #tokens = 0;
  #events = 0;
  /** Bytes after the last complete event or comment, one character a byte. */
  #partial = '';
  #end: 'done' | 'failed' | 'damaged' | null = null;

  /**
   * `done`: the last event has passed, nothing is missing. `failed`: the worker ended it with an error. `damaged`: an
   * event is not of our grammar, so nobody can continue behind it. null: there is more to come.
   */
  get end(): 'done' | 'failed' | 'damaged' | null {
    return this.#end;
  }

  push(bytes: Uint8Array): void {
    const text = this.#partial + latin1(bytes);
    let start = 0;
    for (;;) {
      const end = text.indexOf('\n\n', start);
      if (end < 0) break;
      this.#take(text, start, end);
      start = end + 2;
    }
    this.#partial = text.slice(start);
  }

  /** For another worker; null when the client has nothing yet, so that the request can simply run again. */
  resumeState(cachedTokens: number | null): ResumeState | null {
    if (this.#events === 0 && this.#partial === '') return null;
    return {
      tokenIds: new Uint8Array(this.#tokenIds.buffer.slice(0, this.#tokens * 4)),
      partialEvent: bytesOf(this.#partial),
      events: this.#events,
      cachedTokens,
    };
  }

  #take(text: string, start: number, end: number): void {
    if (!text.startsWith(ID, start)) {
      if (!text.startsWith(COMMENT, start))
        this.#end ??= text.startsWith('data: ', start) ? 'failed' : 'damaged';
      return;
    }
    const lineEnd = text.indexOf('\n', start);
    const id = parseEventId(text.slice(start + ID.length, lineEnd));
    if (id === null || id.index !== this.#events) {
      this.#end ??= 'damaged';
      return;
    }
    this.#events++;
    for (const tokenId of id.tokenIds) this.#append(tokenId);
    if (end - lineEnd === DONE.length && text.startsWith(DONE, lineEnd)) this.#end ??= 'done';
  }

  #append(tokenId: number): void {
    if (this.#tokens === this.#tokenIds.length) {
      const larger = new Uint32Array(this.#tokens * 2);
      larger.set(this.#tokenIds);
      this.#tokenIds = larger;
    }
    this.#tokenIds[this.#tokens++] = tokenId;
  }
}

const PORTION = 8192;

/** One character per byte, so that positions stay byte positions. */
function latin1(bytes: Uint8Array): string {
  if (bytes.byteLength <= PORTION) return String.fromCharCode.apply(null, bytes as unknown as number[]);
  let text = '';
  for (let at = 0; at < bytes.byteLength; at += PORTION) text += latin1(bytes.subarray(at, at + PORTION));
  return text;
}

function bytesOf(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}
