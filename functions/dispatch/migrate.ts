/**
 * A stream from its first byte to its last, over as many workers as it takes: when the source is lost in mid-stream,
 * another worker continues into the same response (design 1.4). Only the loss of the *source* migrates; a client that
 * is gone ends it. A body that ends in order without the stream's last event counts as lost, too.
 */
import { errorLines } from '../../durable/runtime/error-body.ts';
import { StatorError, toStatorError } from '../../durable/runtime/errors.ts';
import { apiOf, type Call } from '../call.ts';
import { pipeOpenAi } from '../global-router/openai-stream.ts';
import type { RequestEnd } from '../metrics.ts';
import type { Attempts, Opened } from './attempts.ts';
import { KeptEvents } from './event-ids.ts';
import { pipeEvents } from './pipe.ts';
import { CACHED_TOKENS_HEADER } from './response-head.ts';

const encoder = new TextEncoder();

/** Carries the stream to its end and closes `writable`. Never throws; the result is for the metrics. */
export async function carryStream(
  attempts: Attempts,
  opened: Opened,
  writable: WritableStream<Uint8Array>,
): Promise<RequestEnd> {
  const kept = new KeptEvents();
  const cachedTokens = cachedTokensOf(opened.response);
  let current = opened;
  for (;;) {
    if (current.elsewhere !== undefined) {
      const next = await carryElsewhere(attempts, current, writable);
      if (typeof next === 'string') return next;
      current = next;
      continue;
    }
    const end = await pipeEvents(current.body, writable, kept);
    if (end === 'client-gone') return 'cancelled';
    const state = kept.end();
    if (state === 'done' || state === 'failed') {
      await writable.close().catch(() => {});
      return state === 'done' ? 'success' : 'error';
    }
    const resume = kept.resumeState(cachedTokens);
    try {
      if (state === 'damaged')
        throw new StatorError('engine_error', 'The worker sent a stream that cannot be read.');
      attempts.failed(lostSource(end));
      current = await attempts.next(resume);
    } catch (thrown) {
      const insideEvent = resume !== null && resume.partialEvent.byteLength > 0;
      const sent = { insideEvent, events: kept.events };
      await endWithError(writable, attempts.call, toStatorError(thrown), sent);
      return 'error';
    }
  }
}

/** A provider's stream, to its end; or who takes over from one that said nothing at all. */
async function carryElsewhere(
  attempts: Attempts,
  { elsewhere, body }: Opened,
  writable: WritableStream<Uint8Array>,
): Promise<RequestEnd | Opened> {
  const { pool, abort } = elsewhere!;
  const left = await pipeOpenAi(pool, body, writable, abort);
  if (left.end === 'client-gone') return 'cancelled';
  if (left.end === 'done') {
    await writable.close().catch(() => {});
    return 'success';
  }
  const { insideEvent, bytes, error } = left;
  try {
    attempts.failed(error);
    return await attempts.next(null, { sent: bytes > 0 });
  } catch (thrown) {
    await endWithError(writable, attempts.call, toStatorError(thrown), { insideEvent, events: 0 });
    return 'error';
  }
}

/** An SSE error event is the last thing that the client gets. */
export async function endWithError(
  writable: WritableStream<Uint8Array>,
  call: Call,
  error: StatorError,
  { insideEvent, events }: { insideEvent: boolean; events: number },
): Promise<void> {
  const event = `${insideEvent ? '\n\n' : ''}${errorLines(error, apiOf(call.endpoint), events)}\n\n`;
  const writer = writable.getWriter();
  try {
    await writer.write(encoder.encode(event));
    await writer.close();
  } catch {
    // The client is gone.
  }
}

function lostSource(end: 'ended' | 'lost'): StatorError {
  return end === 'lost'
    ? new StatorError('worker_unavailable', 'The connection to the worker broke in mid-stream.')
    : new StatorError('worker_unavailable', "The worker's stream ended before its last event.");
}

function cachedTokensOf(response: Response): number | null {
  const header = response.headers.get(CACHED_TOKENS_HEADER);
  return header === null ? null : Number(header);
}
