/**
 * The Worker of `bench:router`: the real objects, and in front of them a function that does nothing but ask for decisions.
 *
 * workerd's clock stands still while code runs and has whole milliseconds, so time is taken outside: after each decision
 * one byte goes into the response, and the reader measures the gaps. `/decide?count=&way=rpc|direct|none&workers=` answers
 * so; `none` makes the same call without a decision, to know what of a gap is not ours.
 */

import { nearbyRouter } from '../../durable/router/nearby.ts';
import type { RouteAnswer, RouteRequest } from '../../durable/router/rpc.ts';
import { type Env, routerOf } from '../../functions/env.ts';
import { BLOCK_TOKENS, MODEL, PROMPT_BLOCKS, prompt } from './router-workload.ts';

export { Directory } from '../../durable/directory/directory-object.ts';
export { Router } from '../../durable/router/router-object.ts';

const NAMESPACE = 'default';
const PROMPTS = 300;
/** Decisions whose requests are in flight at once. */
const IN_FLIGHT = 256;
const DOT = Uint8Array.of(46);

let prompts: Uint8Array[] = [];

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const url = new URL(request.url);
    if (url.pathname.startsWith('/fleet/')) return routerOf(env, NAMESPACE).fetch(request);
    if (url.pathname === '/status') return Response.json(await routerOf(env, NAMESPACE).status());
    if (url.pathname === '/metrics') return new Response(await routerOf(env, NAMESPACE).metrics());
    if (url.pathname === '/decide') return decisions(env, url.searchParams);
    return new Response('ok');
  },
};

function decisions(env: Env, query: URLSearchParams): Response {
  const workers = Number(query.get('workers'));
  if (prompts.length === 0) prompts = Array.from({ length: PROMPTS }, (_, i) => prompt(i, workers));
  const { readable, writable } = new IdentityTransformStream();
  void decide(env, writable, { count: Number(query.get('count')), way: query.get('way') ?? 'rpc' });
  return new Response(readable);
}

async function decide(
  env: Env,
  writable: WritableStream<Uint8Array>,
  { count, way }: { count: number; way: string },
): Promise<void> {
  const writer = writable.getWriter();
  const router = routerOf(env, NAMESPACE);
  const nearby = nearbyRouter(NAMESPACE);
  const reservations: number[] = [];
  await writer.write(DOT);
  for (let i = 0; i < count; i++) {
    if (way === 'none') {
      await router.release(0);
    } else {
      const request: RouteRequest = {
        requestId: 'req_bench',
        model: MODEL,
        blockHashes: prompts[i % PROMPTS]!,
        promptTokens: PROMPT_BLOCKS * BLOCK_TOKENS + 8,
      };
      if (reservations.length >= IN_FLIGHT) request.release = reservations.shift()!;
      reservations.push(reservationOf(await (way === 'direct' && nearby ? nearby : router).route(request)));
    }
    await writer.write(DOT);
  }
  await writer.close();
  for (const reservation of reservations) await router.release(reservation);
}

function reservationOf(answer: RouteAnswer): number {
  if (answer.kind !== 'decision') throw new Error(JSON.stringify(answer));
  return answer.reservation;
}
