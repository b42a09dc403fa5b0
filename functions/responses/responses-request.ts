/** A checked body of `POST /v1/responses` → InferenceRequest. Throws `invalid_request` or `unsupported_parameter` with `param`. */
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { ChatMessage, InferenceRequest } from '../inference-request.ts';
import { agentHintsOf, routingOf, targetsOf } from '../openai/nvext.ts';
import { invalid, unsupported } from '../openai/parse.ts';
import { formatOf } from '../openai/response-format.ts';
import type { ResponsesBody } from '../openai/responses-schema.ts';
import { samplingOf, stopOf } from '../openai/sampling-request.ts';
import { extrasOf, forcedCallOf, toolsOf } from '../openai/tool-request.ts';
import { wellFormed } from '../openai/well-formed.ts';
import { chatFormat, chatToolChoice, chatTools } from './chat-words.ts';
import { messagesOf, type PlacedItem } from './items.ts';

/** What no stored response is needed for: done before anything is stored. */
export function checkServed(body: ResponsesBody): void {
  if (body.background) {
    if (body.store === false) throw invalid('background', "it needs 'store' to be true.");
    if (body.stream) throw unsupported('stream', 'Responses in the background are not streamed.');
  }
  if (Object.keys(body.metadata ?? {}).length > LIMITS.metadataKeys)
    throw invalid('metadata', `more than ${LIMITS.metadataKeys} keys.`);
}

/** `items`: the whole conversation, oldest first. */
export function responsesRequest(body: ResponsesBody, items: readonly PlacedItem[]): InferenceRequest {
  const messages = messagesOf(items);
  if (messages.length === 0) throw invalid('input', 'it is empty.');
  if (messages.length > LIMITS.messages) throw invalid('input', `more than ${LIMITS.messages} messages.`);
  const chat = {
    model: body.model,
    messages: [],
    tools: chatTools(body),
    tool_choice: chatToolChoice(body),
    parallel_tool_calls: body.parallel_tool_calls,
    chat_template_kwargs: body.chat_template_kwargs,
    reasoning_effort: body.reasoning?.effort,
  };
  const tools = toolsOf(chat);
  const { n: _n, ...sampling } = samplingOf(body);
  const logged = body.include?.includes('message.output_text.logprobs') ?? false;
  return {
    model: body.model,
    prompt: {
      kind: 'messages',
      messages: [...instructions(body), ...messages],
      extras: extrasOf(chat, tools),
    },
    sampling: { ...sampling, n: 1, topLogprobs: logged ? (body.top_logprobs ?? 0) : null },
    stop: stopOf(body, body.max_output_tokens ?? null),
    stream: body.stream ?? false,
    includeUsage: true,
    echo: false,
    priority: body.priority ?? 0,
    agentHints: agentHintsOf(body),
    tools,
    grammar: forcedCallOf(chat) ?? formatOf({ ...body, response_format: chatFormat(body) }),
    routing: routingOf(body),
    ...targetsOf(body),
  };
}

function instructions({ instructions: text }: ResponsesBody): ChatMessage[] {
  return text == null ? [] : [{ role: 'system', content: wellFormed(text, 'instructions') }];
}
