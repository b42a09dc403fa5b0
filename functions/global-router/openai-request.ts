/**
 * What a pool with OpenAI's API is sent: the client's own body with the model's name there. Only fields of OpenAI's API go
 * out; whoever uses others is told by name that this pool cannot have the request, because a wish that is silently left
 * out would be an answer to another question. Wishes about routing mean nothing there and stay here.
 */
import type { OpenAiPool } from '../../durable/global-router/rpc.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import type { Call, Endpoint } from '../call.ts';

const SHARED =
  'model stream stream_options temperature top_p n seed presence_penalty frequency_penalty logit_bias max_tokens stop user';
const CHAT =
  'messages max_completion_tokens logprobs top_logprobs response_format tools tool_choice parallel_tool_calls metadata store reasoning_effort';
const COMPLETIONS = 'prompt echo best_of logprobs suffix';

interface Route {
  path: string;
  fields: ReadonlySet<string>;
}

const ROUTES: Partial<Record<Endpoint, Route>> = {
  chat_completions: { path: '/chat/completions', fields: new Set(`${SHARED} ${CHAT}`.split(' ')) },
  completions: { path: '/completions', fields: new Set(`${SHARED} ${COMPLETIONS}`.split(' ')) },
};

/** Of `nvext` and beside it: they say where or when and not what. */
const LOCAL = new Set(['router', 'agent_hints', 'session_id', 'session_control', 'request_timestamp_ms']);
const PRIORITY = 'priority';

/** Why the pool cannot have the request; null: it can. */
export function unfitFor({ name }: OpenAiPool, { endpoint, json }: Call): StatorError | null {
  const route = ROUTES[endpoint];
  if (route === undefined || json === undefined) {
    const message = `The pool '${name}' serves OpenAI's chat and completions only.`;
    return new StatorError('unsupported_parameter', message);
  }
  for (const [field, value] of Object.entries(json)) {
    if (value == null || route.fields.has(field) || field === PRIORITY) continue;
    const param = field === 'nvext' ? foreignWish(value) : field;
    if (param === null) continue;
    const message = `The pool '${name}' cannot take '${param}'.`;
    return new StatorError('unsupported_parameter', message, { param });
  }
  return null;
}

function foreignWish(nvext: unknown): string | null {
  const fields = Object.entries(nvext as object);
  const foreign = fields.find(([field, value]) => value != null && !LOCAL.has(field));
  return foreign === undefined ? null : `nvext.${foreign[0]}`;
}

/** URL and body of a request that `unfitFor` found nothing against. */
export function openAiRequest(
  { baseUrl, model }: OpenAiPool,
  { endpoint, json }: Call,
): { url: string; body: string } {
  const { path, fields } = ROUTES[endpoint]!;
  const given = Object.entries(json!).filter(([field, value]) => value != null && fields.has(field));
  const body = Object.fromEntries(given);
  if (model !== null) body['model'] = model;
  return { url: baseUrl + path, body: JSON.stringify(body) };
}
