/**
 * What request headers say about routing, with Dynamo's names: the worker, the tenant, the session. Headers win over the
 * body, because gateways write them. Few are looked at, for each look-up costs every request.
 */
import { StatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { Caller } from '../call.ts';
import type { AgentHints, RoutingWishes } from '../inference-request.ts';

const WORKER_HEADERS = ['x-dynamo-worker-instance-id', 'x-worker-instance-id'];
const RANK_HEADERS = ['x-dynamo-dp-rank', 'x-dp-rank', 'x-data-parallel-rank'];
const SESSION_HEADERS = ['x-dynamo-session-id', 'x-session-id'];
const SESSION_FINAL_HEADER = 'x-dynamo-session-final';
const TENANT_HEADER = 'x-tenant-id';
const PRIORITY_HEADER = 'x-dynamo-request-priority';
const STRICT_PRIORITY_HEADER = 'x-dynamo-request-strict-priority';

/** The request's wishes with those of its headers; null when there are none. Throws `invalid_request` naming the header. */
export function withHeaders(wishes: RoutingWishes | null, call: Caller): RoutingWishes | null {
  const { headers } = call.request;
  const pinned = first(headers, WORKER_HEADERS);
  const tenant = headers.get(TENANT_HEADER);
  const session = call.settings.sessionAffinityTtlSecs === 'off' ? null : first(headers, SESSION_HEADERS);
  if (pinned === null && tenant === null && session === null) return wishes;
  const all: RoutingWishes = { ...wishes };
  if (pinned !== null) {
    if (!/^[0-9a-f]{1,16}$/.test(pinned.value)) throw invalid(pinned.name, 'expected a hex instance id');
    all.pinned = pinned.value;
    const rank = first(headers, RANK_HEADERS);
    if (rank !== null) all.dpRank = rankOf(rank);
  }
  if (tenant !== null && tenant !== '') all.cacheNamespace = bounded(TENANT_HEADER, tenant);
  if (session !== null) {
    const final = headers.get(SESSION_FINAL_HEADER) === 'true';
    all.session = { id: bounded(session.name, session.value), final };
  }
  return all;
}

/** The hints for the queue, with those of the headers. Looked at only where requests may wait. */
export function hintsWithHeaders(hints: AgentHints | null, headers: Headers): AgentHints | null {
  const priority = headers.get(PRIORITY_HEADER);
  const strict = headers.get(STRICT_PRIORITY_HEADER);
  if (priority === null && strict === null) return hints;
  return {
    priority: integer(PRIORITY_HEADER, priority, -0x8000_0000, 0x7fff_ffff) ?? hints?.priority ?? 0,
    strictPriority: integer(STRICT_PRIORITY_HEADER, strict, 0, 0xffff_ffff) ?? hints?.strictPriority ?? 0,
  };
}

function integer(name: string, value: string | null, least: number, most: number): number | null {
  if (value === null) return null;
  const number = Number(value);
  if (/^-?\d{1,10}$/.test(value) && number >= least && number <= most) return number;
  throw invalid(name, `expected an integer from ${least} to ${most}`);
}

interface Header {
  name: string;
  value: string;
}

function first(headers: Headers, names: readonly string[]): Header | null {
  for (const name of names) {
    const value = headers.get(name);
    if (value !== null && value !== '') return { name, value };
  }
  return null;
}

function rankOf({ name, value }: Header): number {
  if (!/^\d{1,5}$/.test(value)) throw invalid(name, 'expected a data parallel rank');
  return Number(value);
}

function bounded(name: string, value: string): string {
  if (value.length > LIMITS.modelNameLength) {
    throw invalid(name, `at most ${LIMITS.modelNameLength} characters are allowed`);
  }
  return value;
}

const invalid = (name: string, reason: string) =>
  new StatorError('invalid_request', `Invalid value for the header '${name}': ${reason}.`, { param: name });
