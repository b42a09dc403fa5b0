/**
 * An answer that is not streamed. A short one (its length is known) is read whole and, when its worker is lost on the
 * way, computed again elsewhere. A long one begins with JSON white space, by which a gone client is noticed, so it is
 * piped; when it breaks, another worker computes it again: the same id, time and seed give the same document, so what
 * the client has of it is left out.
 */
import { StatorError, toStatorError } from '../../durable/runtime/errors.ts';
import type { RequestEnd } from '../metrics.ts';
import type { Attempts, Opened } from './attempts.ts';
import { isBroken } from './pipe.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The whole document and who computed it. Throws when no worker can. */
export async function readDocument(
  attempts: Attempts,
  opened: Opened,
): Promise<{ bytes: ArrayBuffer; from: Opened }> {
  let from = opened;
  for (;;) {
    try {
      return { bytes: await from.response.arrayBuffer(), from };
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
  const sent = (await textOf(copy)).trimStart();
  if (!broken && isJson(sent)) return close(writable, sent);
  try {
    attempts.failed(new StatorError('worker_unavailable', 'The connection to the worker broke.'));
    const { bytes } = await readDocument(attempts, await attempts.next(null));
    const again = decoder.decode(bytes).trimStart();
    if (!again.startsWith(sent))
      throw new StatorError('migration_exhausted', 'The answer could not be repeated.');
    return await write(writable, again.slice(sent.length), again);
  } catch (thrown) {
    // The status is out. Before the document an error body can take its place; inside it nothing can.
    if (sent !== '') return abort(writable, thrown);
    const body = JSON.stringify(toStatorError(thrown).toOpenAi());
    return write(writable, body, body);
  }
}

async function textOf(copy: ReadableStream<Uint8Array>): Promise<string> {
  let text = '';
  const utf8 = new TextDecoder();
  const reader = copy.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return text + utf8.decode();
      text += utf8.decode(value, { stream: true });
    }
  } catch {
    return text;
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const endOf = (document: string): RequestEnd => (document.startsWith('{"error"') ? 'error' : 'success');

async function close(writable: WritableStream<Uint8Array>, document: string): Promise<RequestEnd> {
  await writable.close().catch(() => {});
  return endOf(document);
}

async function write(
  writable: WritableStream<Uint8Array>,
  rest: string,
  document: string,
): Promise<RequestEnd> {
  const writer = writable.getWriter();
  try {
    await writer.write(encoder.encode(rest));
    await writer.close();
    return endOf(document);
  } catch {
    return 'cancelled';
  }
}

async function abort(writable: WritableStream<Uint8Array>, reason: unknown): Promise<RequestEnd> {
  await writable.abort(reason).catch(() => {});
  return 'error';
}
