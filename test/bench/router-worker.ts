/**
 * The Worker of `bench:router`: the real objects, and in front of them a function that does nothing but ask for a decision.
 *
 * workerd's clock stands still while code runs and has whole milliseconds, so time is taken outside, per HTTP request.
 * `GET /decide?way=direct|rpc|none&i=&workers=[&pinned=]` makes one decision for prompt `i` and says its overlap. `direct` is
 * how a function beside the object calls it (docs/decisions/0002), `rpc` any other; `none` asks nobody, to know what of the
 * time is the request's.
 */

import { nearbyRouter } from '../../durable/router/nearby.ts';
import type { RouteRequest } from '../../durable/router/rpc.ts';
import { type Env, routerOf } from '../../functions/env.ts';
import { BLOCK_TOKENS, MODEL, PROMPT_BLOCKS, prompt } from './router-workload.ts';

export * from '../../functions/objects.ts';

const NAMESPACE = 'default';
const PROMPTS = 300;
/** Decisions whose requests are in flight at once. */
const IN_FLIGHT = 256;

/** The oldest first. */
const reservations: number[] = [];
let prompts: Uint8Array[] = [];

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const url = new URL(request.url);
    if (url.pathname.startsWith('/fleet/')) return routerOf(env, NAMESPACE).fetch(request);
    if (url.pathname === '/status') return Response.json(await routerOf(env, NAMESPACE).status());
    if (url.pathname === '/metrics') return new Response(await routerOf(env, NAMESPACE).metrics());
    if (url.pathname === '/decide') return decision(env, url.searchParams);
    return new Response('ok');
  },
};

async function decision(env: Env, query: URLSearchParams): Promise<Response> {
  const way = query.get('way');
  if (way === 'none') return new Response('0');
  const workers = Number(query.get('workers'));
  if (prompts.length === 0) prompts = Array.from({ length: PROMPTS }, (_, i) => prompt(i, workers));
  const request: RouteRequest = {
    requestId: 'req_bench',
    model: MODEL,
    blockHashes: prompts[Number(query.get('i')) % PROMPTS]!,
    promptTokens: PROMPT_BLOCKS * BLOCK_TOKENS + 8,
  };
  const pinned = query.get('pinned');
  // Who asks of one worker only wants to know; that never waits.
  if (pinned !== null) Object.assign(request, { pinned, queryOnly: true });
  if (reservations.length >= IN_FLIGHT) request.release = reservations.shift()!;
  const nearby = way === 'direct' ? nearbyRouter(NAMESPACE) : undefined;
  const answer = await (nearby ?? routerOf(env, NAMESPACE)).route(request);
  if (answer.kind !== 'decision') return Response.json(answer, { status: 503 });
  if (pinned === null) reservations.push(answer.reservation);
  return new Response(String(answer.overlapBlocks));
}
