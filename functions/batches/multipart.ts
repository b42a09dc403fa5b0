/**
 * Reads `multipart/form-data` (RFC 7578) as it comes: a file of any size passes through in pieces and is never held whole.
 * Pieces may be cut anywhere.
 */
import { StatorError } from '../../durable/runtime/errors.ts';
import { concat } from '../bytes.ts';

export type MultipartEvent =
  /** A part begins; what follows until the next is its content. */
  { kind: 'part'; name: string; filename: string | null } | { kind: 'data'; bytes: Uint8Array };

/** Headers of one part. */
const MOST_HEADER_BYTES = 16 * 1024;
const CR = 0x0d;
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const LINE_END = encoder.encode('\r\n');
const HEADERS_END = encoder.encode('\r\n\r\n');

/** The boundary that a `content-type` names. Throws `invalid_request` when it is another type. */
export function boundaryOf(contentType: string | null): string {
  const type = contentType ?? '';
  const boundary = /;\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(type);
  if (!/^multipart\/form-data\b/i.test(type) || boundary === null) {
    throw new StatorError('invalid_request', 'The body must be multipart/form-data with a boundary.', {
      param: 'file',
    });
  }
  return boundary[1] ?? boundary[2]!;
}

export class MultipartReader {
  /** Stands before each part and behind the last. */
  readonly #delimiter: Uint8Array;
  #state: 'preamble' | 'delimiter' | 'headers' | 'content' | 'end' = 'preamble';
  /** Not looked at, or not enough to know what it is. The first delimiter has no line before it. */
  #rest: Uint8Array = LINE_END;

  constructor(boundary: string) {
    this.#delimiter = encoder.encode(`\r\n--${boundary}`);
  }

  /** What this piece brings. Throws `invalid_request`. */
  push(piece: Uint8Array): MultipartEvent[] {
    this.#rest = this.#rest.byteLength === 0 ? piece : concat([this.#rest, piece]);
    const events: MultipartEvent[] = [];
    while (this.#step(events));
    return events;
  }

  /** The body is over. Throws `invalid_request` when it broke off. */
  end(): void {
    if (this.#state !== 'end') throw broken('it breaks off.');
  }

  /** False: more bytes are wanted. */
  #step(events: MultipartEvent[]): boolean {
    switch (this.#state) {
      case 'preamble':
      case 'content':
        return this.#content(events);
      case 'delimiter':
        return this.#afterDelimiter();
      case 'headers':
        return this.#headers(events);
      case 'end':
        // What follows the last delimiter means nothing.
        this.#rest = this.#rest.subarray(this.#rest.byteLength);
        return false;
    }
  }

  #content(events: MultipartEvent[]): boolean {
    const rest = this.#rest;
    const at = indexOf(rest, this.#delimiter);
    // The beginning of a delimiter may be all that is there of it.
    const safe = at >= 0 ? at : Math.max(rest.byteLength - this.#delimiter.byteLength + 1, 0);
    if (this.#state === 'content' && safe > 0) events.push({ kind: 'data', bytes: rest.subarray(0, safe) });
    this.#rest = rest.subarray(at >= 0 ? at + this.#delimiter.byteLength : safe);
    if (at >= 0) this.#state = 'delimiter';
    return at >= 0;
  }

  #afterDelimiter(): boolean {
    // White space may stand behind a delimiter.
    const end = indexOf(this.#rest, LINE_END);
    const line = decoder.decode(this.#rest.subarray(0, end < 0 ? undefined : end));
    if (line.startsWith('--')) {
      this.#state = 'end';
      return true;
    }
    if (end < 0) {
      if (this.#rest.byteLength > MOST_HEADER_BYTES) throw broken('a delimiter does not end.');
      return false;
    }
    if (line.trim() !== '') throw broken('a delimiter is followed by something else.');
    // The line end stays: headers may be none.
    this.#rest = this.#rest.subarray(end);
    this.#state = 'headers';
    return true;
  }

  #headers(events: MultipartEvent[]): boolean {
    const end = indexOf(this.#rest, HEADERS_END);
    if (end < 0) {
      if (this.#rest.byteLength > MOST_HEADER_BYTES) throw broken('the headers of a part are too long.');
      return false;
    }
    events.push(partOf(decoder.decode(this.#rest.subarray(0, end))));
    this.#rest = this.#rest.subarray(end + HEADERS_END.byteLength);
    this.#state = 'content';
    return true;
  }
}

function partOf(headers: string): MultipartEvent {
  const disposition = /^content-disposition:\s*form-data\s*;(.*)$/im.exec(headers)?.[1] ?? '';
  const name = parameterOf(disposition, 'name');
  if (name === null) throw broken('a part has no name.');
  return { kind: 'part', name, filename: parameterOf(disposition, 'filename') };
}

/** Quotes and line ends in a value are written as %22, %0D and %0A (WHATWG); backslashes before quotes by older clients. */
function parameterOf(disposition: string, name: string): string | null {
  const match = new RegExp(`(?:^|;)\\s*${name}=(?:"((?:[^"\\\\]|\\\\.)*)"|([^;\\s]*))`, 'i').exec(
    disposition,
  );
  if (match === null) return null;
  const value = match[1] ?? match[2] ?? '';
  return value.replace(/%22|%0d|%0a/gi, (code) => decodeURIComponent(code)).replace(/\\(["\\])/g, '$1');
}

function indexOf(bytes: Uint8Array, wanted: Uint8Array): number {
  for (let at = bytes.indexOf(CR); at >= 0; at = bytes.indexOf(CR, at + 1)) {
    if (at + wanted.byteLength > bytes.byteLength) return -1;
    let same = 1;
    while (same < wanted.byteLength && bytes[at + same] === wanted[same]) same++;
    if (same === wanted.byteLength) return at;
  }
  return -1;
}

const broken = (what: string): StatorError =>
  new StatorError('invalid_request', `The multipart body cannot be read: ${what}`, { param: 'file' });
