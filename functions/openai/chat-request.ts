/** `POST /v1/chat/completions` → InferenceRequest. Throws `invalid_request` or `unsupported_parameter` with `param`. */
import { StatorError } from '../../durable/runtime/errors.ts';
import type { ChatMessage, InferenceRequest } from '../inference-request.ts';
import { type ChatBody, chatSchema } from './chat-schema.ts';
import { agentHintsOf, routingOf } from './nvext.ts';
import { parseBody, unsupported } from './parse.ts';
import { samplingOf, stopOf } from './sampling-request.ts';

export function chatRequest(json: unknown): InferenceRequest {
  const body = parseBody(chatSchema, json);
  refuseUnserved(body);
  const sampling = samplingOf(body);
  if (body.logprobs) sampling.topLogprobs = body.top_logprobs ?? 0;
  return {
    model: body.model,
    prompt: { kind: 'messages', messages: body.messages.map(messageOf) },
    sampling,
    stop: stopOf(body, body.max_completion_tokens ?? body.max_tokens ?? null),
    stream: body.stream ?? false,
    includeUsage: body.stream_options?.include_usage ?? false,
    echo: false,
    priority: body.priority ?? 0,
    agentHints: agentHintsOf(body),
    tools: null,
    grammar: null,
    routing: routingOf(body),
  };
}

function messageOf(message: ChatBody['messages'][number], index: number): ChatMessage {
  const { role, content, name } = message;
  const text = typeof content === 'string' ? content : textOfParts(content, role, index);
  return name == null ? { role, content: text } : { role, content: text, name };
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

function refuseUnserved(body: ChatBody): void {
  if (body.top_logprobs != null && !body.logprobs) {
    const message = "Invalid value for 'top_logprobs': 'logprobs' must be true.";
    throw new StatorError('invalid_request', message, { param: 'top_logprobs' });
  }
  if (body.response_format != null && body.response_format.type !== 'text') {
    throw unsupported(
      'response_format.type',
      `Response format '${body.response_format.type}' is not served.`,
    );
  }
  if (body.tools != null && body.tools.length > 0) throw unsupported('tools', 'Tool calls are not served.');
}
