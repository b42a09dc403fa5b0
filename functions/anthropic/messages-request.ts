/**
 * `POST /v1/messages` and its `/count_tokens` → InferenceRequest. Throws `invalid_request` or `unsupported_parameter`
 * with `param`, in Anthropic's words.
 */
import { StatorError } from '../../durable/runtime/errors.ts';
import type { InferenceRequest } from '../inference-request.ts';
import { agentHintsOf, routingOf, targetsOf } from '../openai/nvext.ts';
import { wellFormed } from '../openai/well-formed.ts';
import { conversationOf } from './conversation.ts';
import { countTokensSchema, type MessagesBody, messagesSchema, type PromptBody } from './messages-schema.ts';
import { notServed, parseAnthropic, refusal } from './parse.ts';
import { extrasOf, grammarOf, toolsOf } from './tools-request.ts';

export function messagesRequest(json: unknown): InferenceRequest {
  const body = parseAnthropic(messagesSchema, json);
  const { thinking, max_tokens: maxTokens } = body;
  if (thinking?.type === 'enabled' && thinking.budget_tokens >= maxTokens) {
    throw refusal('max_tokens', '`max_tokens` must be greater than `thinking.budget_tokens`');
  }
  return {
    ...requestOf(body),
    stop: {
      maxTokens,
      maxTokensShrink: true,
      minTokens: 0,
      stop: (body.stop_sequences ?? []).map((text, at) => wellFormed(text, `stop_sequences.${at}`)),
      stopTokenIds: [],
      ignoreEos: body.ignore_eos ?? false,
    },
    stream: body.stream ?? false,
    priority: body.priority ?? 0,
    agentHints: agentHintsOf(body),
    routing: routingOf(body),
    ...targetsOf(body),
  };
}

export const countTokensRequest = (json: unknown): InferenceRequest =>
  requestOf(parseAnthropic(countTokensSchema, json));

/** Fields that only a request for an answer has are as if it had none of them. */
function requestOf(body: PromptBody & Partial<MessagesBody>): InferenceRequest {
  refuseUnserved(body);
  const tools = toolsOf(body);
  return {
    model: body.model,
    prompt: { kind: 'messages', ...conversationOf(body), extras: extrasOf(body, tools) },
    sampling: {
      temperature: body.temperature ?? 1,
      topP: body.top_p ?? 1,
      topK: body.top_k ?? 0,
      minP: 0,
      seed: null,
      presencePenalty: 0,
      frequencyPenalty: 0,
      repetitionPenalty: 1,
      logitBias: [],
      n: 1,
      topLogprobs: null,
    },
    stop: { maxTokens: 1, minTokens: 0, stop: [], stopTokenIds: [], ignoreEos: false },
    stream: false,
    includeUsage: true,
    echo: false,
    priority: 0,
    agentHints: null,
    tools,
    grammar: grammarOf(body),
    routing: null,
  };
}

function refuseUnserved({ mcp_servers, container, thread }: PromptBody): void {
  if (thread != null) {
    // Clients understand these words and send the whole conversation instead.
    const report = { error_code: 'thread_unsupported_request' };
    const message = 'thread: Conversations are not kept; send all of its messages.';
    throw new StatorError('unsupported_parameter', message, { param: 'thread', report });
  }
  if (mcp_servers != null && mcp_servers.length > 0) {
    throw notServed('mcp_servers', 'Remote tools are not served.');
  }
  if (container != null) throw notServed('container', 'Containers are not served.');
}
