/**
 * The operations on stored responses: retrieve, list its input, cancel, delete. Documents pass as text, as the worker
 * wrote them.
 */
import * as z from 'zod';
import { StatorError } from '../../durable/runtime/errors.ts';
import { type ConversationsStub, conversationsOf, type Env } from '../env.ts';
import { parseBody, unsupported } from '../openai/parse.ts';
import { objectOf } from './response-id.ts';

const HEADERS = { 'content-type': 'application/json' };

/** Query parameters by name. */
type Query = Readonly<Record<string, string>>;

export async function retrieveResponse(env: Env, id: string, query: Query): Promise<Response> {
  if (query['stream'] === 'true') throw unsupported('stream', 'Stored responses are not streamed.');
  return found(id, await keeperOf(env, id).read(id));
}

export async function cancelResponse(env: Env, id: string): Promise<Response> {
  const answer = await keeperOf(env, id).cancel(id);
  if (!('refused' in answer)) return found(id, answer.document);
  if (answer.refused === 'missing') throw missing(id);
  const message = 'Only responses with background=true can be cancelled: close the connection of this one.';
  throw new StatorError('invalid_request', message);
}

export async function deleteResponse(env: Env, id: string): Promise<Response> {
  if (!(await keeperOf(env, id).remove(id))) throw missing(id);
  return Response.json({ id, object: 'response', deleted: true });
}

const MOST_ITEMS = 100;

export const inputItemsQuery = z.object({
  limit: z.coerce.number().int().min(1).max(MOST_ITEMS).default(20),
  order: z.enum(['asc', 'desc']).default('desc'),
  after: z.string().optional(),
  before: z.string().optional(),
});

/** The items that came with this request; those before it are listed of the responses before it. */
export async function listInputItems(env: Env, id: string, query: Query): Promise<Response> {
  const { limit, order, after, before } = parseBody(inputItemsQuery, query);
  const text = await keeperOf(env, id).input(id);
  if (text === null) throw missing(id);
  const items = JSON.parse(text) as { id: string }[];
  if (order === 'desc') items.reverse();
  const from = after === undefined ? 0 : placeOfItem(items, after, 'after') + 1;
  const to = before === undefined ? items.length : placeOfItem(items, before, 'before');
  const data = items.slice(from, Math.min(to, from + limit));
  return Response.json({
    object: 'list',
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: from + data.length < to,
  });
}

function placeOfItem(items: readonly { id: string }[], id: string, param: string): number {
  const at = items.findIndex((item) => item.id === id);
  if (at < 0) throw new StatorError('invalid_request', `There is no item '${id}' in the list.`, { param });
  return at;
}

function keeperOf(env: Env, id: string): ConversationsStub {
  const object = objectOf(id);
  if (object === null) throw missing(id);
  return conversationsOf(env, object);
}

function found(id: string, document: string | null): Response {
  if (document === null) throw missing(id);
  return new Response(document, { headers: HEADERS });
}

const missing = (id: string) => new StatorError('not_found', `Response with id '${id}' not found.`);
