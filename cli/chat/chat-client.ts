/**
 * A chat completion as a person at a terminal wants it: the answer in pieces as they come, then what it cost. Speaks
 * plain OpenAI, so it works with any such address.
 */

import { isErrorCode, StatorError } from '../../durable/runtime/errors.ts';
import { eventData } from '../../gpu-sidecar/server/event-data.ts';
import type { Fetch } from '../../gpu-sidecar/tls/tls-fetch.ts';
import { controlFetch } from '../launch/tls.ts';
import type { Target } from './target.ts';

export interface Message {
  role: 'system' | 'user' | 'assistant';
  content: string;
}

export interface Question {
  model: string;
  messages: readonly Message[];
  temperature?: number;
  maxTokens?: number;
}

interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  prompt_tokens_details?: { cached_tokens?: number };
}

export interface AnswerEnd {
  requestId: string | null;
  worker: string | null;
  finishReason: string | null;
  usage: Usage | null;
}

export type Piece = { kind: 'text' | 'reasoning'; text: string } | { kind: 'end'; end: AnswerEnd };

interface Chunk {
  error?: { message: string; code?: string };
  choices?: {
    delta?: { content?: string | null; reasoning_content?: string | null };
    finish_reason?: string | null;
  }[];
  usage?: Usage | null;
}

export class ChatClient {
  readonly #target: Target;
  readonly #fetch: Fetch;

  constructor(target: Target) {
    this.#target = target;
    this.#fetch = controlFetch(target.control);
  }

  /** Names of the models that are ready, in the server's order. */
  async models(): Promise<string[]> {
    const response = await this.#call('/v1/models', {});
    const { data } = (await response.json()) as { data: { id: string }[] };
    return data.map(({ id }) => id);
  }

  /** The answer, ended by one piece `end`. Throws StatorError with the server's words; an aborted `signal` ends it silently. */
  async *ask(question: Question, signal: AbortSignal): AsyncGenerator<Piece> {
    const { model, messages, temperature, maxTokens } = question;
    const body = JSON.stringify({
      model,
      messages,
      temperature,
      max_completion_tokens: maxTokens,
      stream: true,
      stream_options: { include_usage: true },
    });
    try {
      const response = await this.#call('/v1/chat/completions', { method: 'POST', body, signal });
      yield* pieces(response);
    } catch (thrown) {
      if (signal.aborted) return;
      if (thrown instanceof StatorError) throw thrown;
      throw new StatorError('worker_unavailable', `the connection broke: ${reasonOf(thrown)}`, {
        cause: thrown,
      });
    }
  }

  async #call(path: string, init: RequestInit): Promise<Response> {
    const { apiKey, control, url } = this.#target;
    const headers: Record<string, string> = { 'content-type': 'application/json' };
    if (apiKey !== '') headers['authorization'] = `Bearer ${apiKey}`;
    let response: Response;
    try {
      response = await this.#fetch(control.url + path, { ...init, headers });
    } catch (cause) {
      throw new StatorError('worker_unavailable', `${url} does not answer: ${reasonOf(cause)}`, { cause });
    }
    if (!response.ok) throw await refusal(url, response);
    return response;
  }
}

async function* pieces(response: Response): AsyncGenerator<Piece> {
  const end: AnswerEnd = {
    requestId: response.headers.get('x-request-id'),
    worker: response.headers.get('x-stator-worker'),
    finishReason: null,
    usage: null,
  };
  for await (const data of eventData(response.body ?? new ReadableStream<Uint8Array>())) {
    if (data === '[DONE]') {
      yield { kind: 'end', end };
      return;
    }
    const chunk = JSON.parse(data) as Chunk;
    if (chunk.error) throw errorOf(chunk.error);
    if (chunk.usage) end.usage = chunk.usage;
    const choice = chunk.choices?.[0];
    if (choice?.finish_reason) end.finishReason = choice.finish_reason;
    if (choice?.delta?.reasoning_content) yield { kind: 'reasoning', text: choice.delta.reasoning_content };
    if (choice?.delta?.content) yield { kind: 'text', text: choice.delta.content };
  }
  throw new StatorError('worker_unavailable', 'the answer ended before its last event');
}

async function refusal(url: string, response: Response): Promise<StatorError> {
  const body = (await response.json().catch(() => null)) as Chunk | null;
  if (body?.error) return errorOf(body.error);
  return new StatorError('internal', `${url} answered with HTTP status ${response.status}`);
}

function errorOf({ message, code = '' }: { message: string; code?: string }): StatorError {
  return new StatorError(isErrorCode(code) ? code : 'internal', message);
}

/** What `fetch` rejects with says nothing; its cause does. */
function reasonOf(thrown: unknown): string {
  const { cause, message } = thrown as Error;
  return cause instanceof Error && cause.message !== '' ? cause.message : message;
}
