/** `POST /v1/completions` → InferenceRequest. Throws `invalid_request` or `unsupported_parameter` with `param`. */
import type { InferenceRequest, Prompt } from '../inference-request.ts';
import { type CompletionsBody, completionsSchema } from './completions-schema.ts';
import { agentHintsOf, annotationsOf, answerExtrasOf, routingOf, targetsOf, tokenDataOf } from './nvext.ts';
import { invalid, parseBody, unsupported } from './parse.ts';
import { formatOf } from './response-format.ts';
import { samplingOf, stopOf } from './sampling-request.ts';
import { tokenPrompt } from './token-prompt.ts';
import { wellFormed } from './well-formed.ts';

/** What OpenAI generates when a completion names no limit. */
const DEFAULT_MAX_TOKENS = 16;

export function completionsRequest(json: unknown): InferenceRequest {
  const body = parseBody(completionsSchema, json);
  refuseUnserved(body);
  const sampling = samplingOf(body);
  if (body.logprobs != null) sampling.topLogprobs = body.logprobs;
  return {
    model: body.model,
    prompt: tokenDataOf(body) ?? promptOf(body.prompt),
    sampling,
    stop: stopOf(body, body.max_tokens ?? DEFAULT_MAX_TOKENS),
    stream: body.stream ?? false,
    includeUsage: body.stream_options?.include_usage ?? false,
    echo: body.echo ?? false,
    priority: body.priority ?? 0,
    agentHints: agentHintsOf(body),
    tools: null,
    grammar: formatOf(body),
    routing: routingOf(body),
    ...targetsOf(body),
    ...answerExtrasOf(body),
    ...annotationsOf(body),
  };
}

function promptOf(prompt: CompletionsBody['prompt']): Prompt {
  if (typeof prompt === 'string') return textPrompt(prompt);
  const first = prompt[0];
  if (typeof first === 'number') return tokenPrompt(prompt, 'prompt');
  if (prompt.length > 1) throw unsupported('prompt', 'One prompt per request is served.');
  if (typeof first === 'string') return textPrompt(first);
  if (Array.isArray(first)) return tokenPrompt(first, 'prompt[0]');
  throw invalid('prompt[0]', 'expected a string, a token id or an array of token ids.');
}

function textPrompt(text: string): Prompt {
  if (text === '') throw invalid('prompt', 'it is empty.');
  return { kind: 'text', text: wellFormed(text, 'prompt') };
}

function refuseUnserved(body: CompletionsBody): void {
  if (body.best_of != null && body.best_of !== (body.n ?? 1)) {
    throw unsupported('best_of', "'best_of' must be as many as 'n': all candidates are returned.");
  }
  if (body.logprobs != null && body.echo) {
    throw unsupported('logprobs', "'logprobs' of an echoed prompt are not served.");
  }
  if (body.suffix) throw unsupported('suffix', "'suffix' is not served.");
}
