/**
 * An answer that is not streamed. A short one (its length is known) is read whole and, when its worker is lost on the
 * way, computed again elsewhere. A long one begins with JSON white space, by which a gone client is noticed, so it is
 * piped; when it breaks, another worker computes it again: the same id, time and seed give the same document, so what
 * the client has of it is left out.
 */
import { ERROR_BODY, errorBody } from '../../durable/runtime/error-body.ts';
import { StatorError, toStatorError } from '../../durable/runtime/errors.ts';
import { concat } from '../bytes.ts';
import { apiOf, type Call } from '../call.ts';
import type { RequestEnd } from '../metrics.ts';
import type { Attempts, Opened } from './attempts.ts';
import { isBroken } from './pipe.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The whole document and who computed it (as text: workerd reads that five times as fast as an ArrayBuffer). Throws when no worker can. */
export async function readDocument(
  attempts: Attempts,
  opened: Opened,
): Promise<{ text: string; from: Opened }> {
  let from = opened;
  for (;;) {
    try {
      return { text: await from.response.text(), from };
    } catch (cause) {
      attempts.failed(
        new StatorError('worker_unavailable', 'The connection to the worker broke.', { cause }),
      );
      from = await attempts.next(null);
    }
  }
}

/** Pipes a document of unknown length and closes `writable`, or aborts it when what was sent cannot be completed. */
export async function carryDocument(
  attempts: Attempts,
  opened: Opened,
  writable: WritableStream<Uint8Array>,
): Promise<RequestEnd> {
  const [live, copy] = opened.body.tee();
  let broken = false;
  try {
    await live.pipeTo(writable, { preventAbort: true, preventClose: true });
  } catch {
    broken = true;
    if (await isBroken(writable)) {
      copy.cancel('the client is gone').catch(() => {});
      return 'cancelled';
    }
  }
  const sent = withoutWhiteSpace(await bytesOf(copy));
  if (!broken && isJson(sent)) {
    await writable.close().catch(() => {});
    return endOf(sent);
  }
  try {
    attempts.failed(new StatorError('worker_unavailable', 'The connection to the worker broke.'));
    const { text } = await readDocument(attempts, await attempts.next(null, { sent: sent.byteLength > 0 }));
    const again = withoutWhiteSpace(encoder.encode(text));
    if (!startsWith(again, sent)) {
      throw new StatorError('migration_exhausted', 'The answer could not be repeated.');
    }
    return await write(writable, again.subarray(sent.byteLength), endOf(again));
  } catch (thrown) {
    // The status is out. Before the document an error body can take its place; inside it nothing can.
    return sent.byteLength > 0
      ? abort(writable, thrown)
      : endDocumentWithError(attempts.call, writable, thrown);
  }
}

/** The body of an error in place of the document, before which nothing but white space was sent. */
export function endDocumentWithError(
  { endpoint, requestId }: Call,
  writable: WritableStream<Uint8Array>,
  thrown: unknown,
): Promise<RequestEnd> {
  const body = errorBody(toStatorError(thrown), apiOf(endpoint), requestId);
  return write(writable, encoder.encode(body), 'error');
}

/** All that went through, also when it broke. */
async function bytesOf(copy: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const reader = copy.getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) chunks.push(part.value);
  } catch {
    // Broken: what came before is what the client has.
  }
  return concat(chunks);
}

const isWhiteSpace = (byte: number) => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

function withoutWhiteSpace(bytes: Uint8Array): Uint8Array {
  let start = 0;
  while (start < bytes.byteLength && isWhiteSpace(bytes[start]!)) start++;
  return bytes.subarray(start);
}

function startsWith(bytes: Uint8Array, beginning: Uint8Array): boolean {
  if (beginning.byteLength > bytes.byteLength) return false;
  return beginning.every((byte, at) => bytes[at] === byte);
}

function isJson(bytes: Uint8Array): boolean {
  try {
    JSON.parse(decoder.decode(bytes));
    return true;
  } catch {
    return false;
  }
}

const ERROR_HEAD_BYTES = 32;
const endOf = (document: Uint8Array): RequestEnd =>
  ERROR_BODY.test(decoder.decode(document.subarray(0, ERROR_HEAD_BYTES))) ? 'error' : 'success';

async function write(
  writable: WritableStream<Uint8Array>,
  bytes: Uint8Array,
  end: RequestEnd,
): Promise<RequestEnd> {
  const writer = writable.getWriter();
  try {
    if (bytes.byteLength > 0) await writer.write(bytes);
    await writer.close();
    return end;
  } catch {
    return 'cancelled';
  }
}

async function abort(writable: WritableStream<Uint8Array>, reason: unknown): Promise<RequestEnd> {
  await writable.abort(reason).catch(() => {});
  return 'error';
}
