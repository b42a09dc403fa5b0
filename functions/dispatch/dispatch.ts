/**
 * From a decision to a response. In the ordinary case the worker's head is there within milliseconds and its body is
 * piped; who waits longer gets headers after `LIMITS.headerWaitMs` and a comment or white space every
 * `LIMITS.keepAliveMs`, because workerd notices a gone client only when it writes. One timer per request.
 *
 * The pipe runs beside the returned response and never under `waitUntil` (design 1.4: a client that leaves must end it).
 */
import { StatorError, toStatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { apiOf, type Call } from '../call.ts';
import type { RequestEnd } from '../metrics.ts';
import type { PreparedRequest } from '../prepared-request.ts';
import { writeAnnotations } from './annotations.ts';
import { Attempts, type Opened, type Routing } from './attempts.ts';
import { carryDocument, endDocumentWithError, readDocument } from './document.ts';
import { carryStream, endWithError } from './migrate.ts';
import { documentHead, documentHeaders, streamHead, WORKER_HEADER } from './response-head.ts';
import { LATE, within } from './within.ts';

const encoder = new TextEncoder();
const COMMENT = encoder.encode(': keep-alive\n\n');
/** Before a JSON document. */
const WHITE_SPACE = encoder.encode(' ');

/** Throws StatorError when no worker answers before the response's head is out. */
export async function dispatch(call: Call, prepared: PreparedRequest, routing: Routing): Promise<Response> {
  const attempts = new Attempts(call, prepared);
  const opening = attempts.first(routing);
  let opened = await within(opening, LIMITS.headerWaitMs);
  if (!prepared.request.stream) {
    if (opened === LATE) opened = await longer(call, routing, opening);
    return opened === LATE ? heldDocument(call, attempts, opening) : documentResponse(call, attempts, opened);
  }
  if (opened === LATE) return heldResponse(call, attempts, opening, prepared);
  return carried(call, streamHead(call, opened), async (writable) => {
    await writeAnnotations(prepared, writable);
    return carryStream(attempts, opened, writable);
  });
}

/** Waits on where a status is worth more than noticing that the client has left. */
async function longer(call: Call, routing: Routing, opening: Promise<Opened>): Promise<Opened | typeof LATE> {
  if (call.abort !== undefined) {
    // There is no client who could leave.
    const opened = await within(opening, LIMITS.responseHeadTimeoutMs - LIMITS.headerWaitMs);
    if (opened === LATE) throw headTimeout();
    return opened;
  }
  if (!call.mayBeShed) return LATE;
  // Not longer than its class lets it wait.
  if (routing instanceof Promise) await routing.catch(() => {});
  return within(opening, LIMITS.headerWaitMs);
}

async function documentResponse(call: Call, attempts: Attempts, opened: Opened): Promise<Response> {
  const { headers } = opened.response;
  const length = headers.get('content-length');
  if (length === null) {
    return carried(call, documentHead(call, opened), (writable) => carryDocument(attempts, opened, writable));
  }
  // Head and body were one write of the worker: where the head says all that ours would, it goes through as it is.
  const isShort = Number(length) <= LIMITS.wholeDocumentBytes;
  const isWhole =
    headers.has(WORKER_HEADER) &&
    opened.explained === null &&
    opened.pool === undefined &&
    apiOf(call.endpoint) !== 'anthropic';
  if (isShort && isWhole) {
    call.track.ended('success');
    return opened.response;
  }
  const { text, from } = await readDocument(attempts, opened);
  call.track.ended('success');
  return new Response(text, { headers: documentHead(call, from) });
}

/** A response whose headers go out before a worker has answered. */
function heldResponse(
  call: Call,
  attempts: Attempts,
  opening: Promise<Opened>,
  prepared: PreparedRequest,
): Response {
  return carried(call, streamHead(call, null), async (writable) => {
    try {
      await writeAnnotations(prepared, writable);
      const opened = await keepAlive(opening, writable, COMMENT);
      return opened === null ? 'cancelled' : await carryStream(attempts, opened, writable);
    } catch (thrown) {
      await endWithError(writable, call, toStatorError(thrown), { insideEvent: false, events: 0 });
      return 'error';
    }
  });
}

/** The same for an answer in one piece: an error behind the white space takes the place of the document. */
function heldDocument(call: Call, attempts: Attempts, opening: Promise<Opened>): Response {
  return carried(call, documentHeaders(call), async (writable) => {
    try {
      const opened = await keepAlive(opening, writable, WHITE_SPACE);
      return opened === null ? 'cancelled' : await carryDocument(attempts, opened, writable);
    } catch (thrown) {
      return endDocumentWithError(call, writable, thrown);
    }
  });
}

/** `sign` until a worker answers; null when the client is gone. Throws when no worker will answer. */
async function keepAlive(
  opening: Promise<Opened>,
  writable: WritableStream<Uint8Array>,
  sign: Uint8Array,
): Promise<Opened | null> {
  const writer = writable.getWriter();
  try {
    for (
      let waitedMs = LIMITS.headerWaitMs;
      waitedMs < LIMITS.responseHeadTimeoutMs;
      waitedMs += LIMITS.keepAliveMs
    ) {
      try {
        await writer.write(sign);
      } catch {
        opening.catch(() => {});
        return null;
      }
      const opened = await within(opening, LIMITS.keepAliveMs);
      if (opened !== LATE) return opened;
    }
    opening.catch(() => {});
    throw headTimeout();
  } finally {
    writer.releaseLock();
  }
}

/** A response whose body `carry` writes while it is being sent. */
function carried(
  call: Call,
  headers: Record<string, string>,
  carry: (writable: WritableStream<Uint8Array>) => Promise<RequestEnd>,
): Response {
  const { readable, writable } = new IdentityTransformStream();
  call.track.outlivesHandler();
  carry(writable).then(
    (end) => call.track.ended(end),
    () => call.track.ended('error'),
  );
  return new Response(readable, { headers });
}

function headTimeout(): StatorError {
  const seconds = LIMITS.responseHeadTimeoutMs / 1000;
  return new StatorError('deadline_exceeded', `No worker began to answer within ${seconds} seconds.`);
}
