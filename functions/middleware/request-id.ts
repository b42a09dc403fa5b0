/** The request's id: the caller's own `x-request-id` when it can do no harm in logs and headers, else a new one. */
import { IdSource } from '../../durable/runtime/ids.ts';
import { REQUEST_ID_HEADER } from '../dispatch/response-head.ts';

const SANE = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;

let ids: IdSource | null = null;

export interface Arrival {
  requestId: string;
  /** UUIDv7, unique whatever the caller sent. */
  uuid: string;
  /** Unix milliseconds. */
  startedMs: number;
}

export function arrive(request: Request, nowMs: number): Arrival {
  ids ??= new IdSource();
  const uuid = ids.uuidV7(nowMs);
  const given = request.headers.get(REQUEST_ID_HEADER);
  const requestId = given !== null && SANE.test(given) ? given : `req_${uuid}`;
  return { requestId, uuid, startedMs: nowMs };
}
