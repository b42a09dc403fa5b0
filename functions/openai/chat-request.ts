/** `POST /v1/chat/completions` → InferenceRequest. Throws `invalid_request` or `unsupported_parameter` with `param`. */
import { StatorError } from '../../durable/runtime/errors.ts';
import type { ChatMessage, InferenceRequest } from '../inference-request.ts';
import { type ChatBody, chatSchema } from './chat-schema.ts';
import { agentHintsOf, annotationsOf, answerExtrasOf, routingOf, targetsOf, tokenDataOf } from './nvext.ts';
import { invalid, parseBody, unsupported } from './parse.ts';
import { formatOf } from './response-format.ts';
import { samplingOf, stopOf } from './sampling-request.ts';
import { extrasOf, forcedCallOf, pastToolCalls, toolsOf } from './tool-request.ts';
import { wellFormed } from './well-formed.ts';

export function chatRequest(json: unknown): InferenceRequest {
  const body = parseBody(chatSchema, json);
  const tools = toolsOf(body);
  const sampling = samplingOf(body);
  if (body.logprobs) sampling.topLogprobs = body.top_logprobs ?? 0;
  else if (body.top_logprobs != null) throw invalid('top_logprobs', "'logprobs' must be true.");
  return {
    model: body.model,
    prompt: tokenDataOf(body) ?? {
      kind: 'messages',
      messages: body.messages.map(messageOf),
      extras: extrasOf(body, tools),
    },
    sampling,
    stop: stopOf(body, body.max_completion_tokens ?? body.max_tokens ?? null),
    stream: body.stream ?? false,
    includeUsage: body.stream_options?.include_usage ?? false,
    echo: false,
    priority: body.priority ?? 0,
    agentHints: agentHintsOf(body),
    tools,
    grammar: forcedCallOf(body) ?? formatOf(body),
    routing: routingOf(body),
    ...targetsOf(body),
    ...answerExtrasOf(body),
    ...annotationsOf(body),
  };
}

function messageOf(message: ChatBody['messages'][number], index: number): ChatMessage {
  const { role, content, name, tool_calls, tool_call_id } = message;
  const text = typeof content === 'string' ? content : textOfParts(content, role, index);
  const made: ChatMessage = { role, content: wellFormed(text, `messages[${index}].content`) };
  if (name != null) made.name = wellFormed(name, `messages[${index}].name`);
  if (tool_calls != null && tool_calls.length > 0) made.tool_calls = pastToolCalls(tool_calls, index);
  if (tool_call_id != null) made.tool_call_id = tool_call_id;
  return made;
}

function textOfParts(
  content: Exclude<ChatBody['messages'][number]['content'], string>,
  role: string,
  index: number,
): string {
  if (content == null) {
    if (role === 'assistant') return '';
    const param = `messages[${index}].content`;
    throw new StatorError('invalid_request', `Missing required parameter: '${param}'.`, { param });
  }
  let text = '';
  content.forEach((part, at) => {
    const param = `messages[${index}].content[${at}]`;
    if (part.type !== 'text')
      throw unsupported(`${param}.type`, `Content of type '${part.type}' is not served.`);
    if (part.text === undefined) {
      throw new StatorError('invalid_request', `Missing required parameter: '${param}.text'.`, {
        param: `${param}.text`,
      });
    }
    text += part.text;
  });
  return text;
}
