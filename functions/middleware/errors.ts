/** Every failure becomes an error body of the API that was called, with the status of its code; what nobody foresaw is logged. */
import { type Api, errorBody } from '../../durable/runtime/error-body.ts';
import { type ErrorCode, StatorError, toStatorError } from '../../durable/runtime/errors.ts';
import { Logger } from '../../durable/runtime/log.ts';
import { requestIdHeaders } from '../dispatch/response-head.ts';
import { CODE_HEADER } from '../dispatch/worker-error.ts';

const logger = new Logger({ component: 'functions' });
const UNFORESEEN: readonly ErrorCode[] = ['internal', 'engine_error'];

/** `overloadStatus`: what clients understand as "try later" (setting `overload_status_code`). */
export function errorResponse(
  thrown: unknown,
  { requestId, api }: { requestId: string; api: Api },
  overloadStatus?: number,
): Response {
  const error = toStatorError(thrown);
  if (UNFORESEEN.includes(error.code)) {
    logger.error('request failed', {
      requestId,
      code: error.code,
      reason: error.message,
      cause: error.cause,
    });
  }
  const status = error.code === 'overloaded' ? (overloadStatus ?? error.httpStatus) : error.httpStatus;
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    ...requestIdHeaders(requestId, api),
    [CODE_HEADER]: error.code,
  };
  if (error.retryAfterS !== null) headers['retry-after'] = String(Math.ceil(error.retryAfterS));
  return new Response(errorBody(shown(error), api, requestId), { status, headers });
}

/** An unforeseen exception's own words may say too much; the log has them under the request's id. */
function shown(error: StatorError): StatorError {
  if (error.code !== 'internal') return error;
  return new StatorError('internal', 'The server had an error while processing your request.');
}
