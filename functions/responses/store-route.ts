/**
 * `PUT /fleet/v1/responses/{id}?state=…`: a worker tells what is to be stored of a response, its JSON as it is. Workers have
 * the fleet token and are believed.
 */
import * as z from 'zod';
import { RESPONSE_STATES } from '../../durable/conversations/rpc.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { readBytes } from '../body.ts';
import { conversationsOf, type Env, settingsOf } from '../env.ts';
import { requireFleetToken } from '../middleware/api-key.ts';
import { parseBody } from '../openai/parse.ts';
import { objectOf } from './response-id.ts';

export const storeQuery = z.object({ state: z.enum(RESPONSE_STATES) });

/** UTF-8 has at most three bytes for a character of JavaScript's. */
const MOST_BYTES = 3 * LIMITS.storedResponseLength;
const decoder = new TextDecoder();

export async function storeResponse(
  env: Env,
  request: Request,
  id: string,
  query: Readonly<Record<string, string>>,
): Promise<Response> {
  requireFleetToken(request, settingsOf(env).fleetToken);
  const { state } = parseBody(storeQuery, query);
  const object = objectOf(id);
  if (object === null) throw new StatorError('not_found', `Response with id '${id}' not found.`);
  const document = decoder.decode(await readBytes(request, MOST_BYTES));
  const store = conversationsOf(env, object);
  let stored = await store.finish(id, state, document);
  if (!stored) {
    // Deleted; or told of its end before its beginning, which came by another way.
    await new Promise((resolve) => setTimeout(resolve, LIMITS.storeAgainMs));
    stored = await store.finish(id, state, document);
  }
  return Response.json({ stored });
}
