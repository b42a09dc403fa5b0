/**
 * One request on its way through the function: who asks, with which ids, under which settings.
 */
import type { Settings } from '../durable/runtime/config.ts';
import type { Api } from '../durable/runtime/error-body.ts';
import type { StatorError } from '../durable/runtime/errors.ts';
import type { Env } from './env.ts';
import type { RequestTrack } from './metrics.ts';

/** The API that was called; also the `endpoint` label of the metrics. */
export type Endpoint =
  | 'chat_completions'
  | 'completions'
  | 'messages'
  | 'responses'
  | 'count_tokens'
  | 'router_generate'
  | 'best_worker_id';

/** What is counted and timed. */
export type TrackedEndpoint = Endpoint | 'embeddings';

/** In whose words it answers. */
export function apiOf(endpoint: Endpoint): Api {
  if (endpoint === 'messages' || endpoint === 'count_tokens') return 'anthropic';
  return endpoint === 'responses' ? 'responses' : 'openai';
}

/** An inference request: what the pipeline works with. */
export interface Call extends Caller {
  endpoint: Endpoint;
  /** The body as it came, where it is one of OpenAI's chat or completions. */
  json?: Readonly<Record<string, unknown>>;
  /** Told when no attempt follows, before the client is. */
  failed?: (error: StatorError) => Promise<void>;
}

export interface Caller {
  request: Request;
  /** Ends a request whose answer nobody wants any more, though its client may be there, or never was. */
  abort?: AbortSignal;
  /** It waits, or waited, in the router's queue, which may refuse it late: that refusal wants its status. */
  mayBeShed?: boolean;
  env: Env;
  settings: Settings;
  /** Echoed in `x-request-id`. */
  requestId: string;
  /** UUIDv7, unique to this request whatever the caller's own id is. */
  uuid: string;
  /** Unix milliseconds at arrival. */
  startedMs: number;
  /** The metrics of this request. */
  track: RequestTrack;
}
