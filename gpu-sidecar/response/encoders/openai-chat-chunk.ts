/** `chat.completion.chunk` (https://platform.openai.com/docs/api-reference/chat-streaming). */

import type { MakeChunkEncoder } from '../encoder.ts';
import { closing } from './openai-done.ts';
import { chatLogprobs } from './openai-logprobs.ts';
import { deltaOf } from './openai-message.ts';

export const openAiChatChunk: MakeChunkEncoder = (facts, choice) => {
  const base =
    `data: {"id":${JSON.stringify(facts.responseId)},"object":"chat.completion.chunk","created":${facts.created},` +
    `"model":${JSON.stringify(facts.model)},"choices":[`;
  const noUsage = facts.includeUsage ? ',"usage":null}' : '}';
  const chunk = (delta: string, logprobs: string, reason: string) =>
    `${base}{"index":${choice},"delta":${delta},"logprobs":${logprobs},"finish_reason":${reason}}]${noUsage}`;
  const head = `${base}{"index":${choice},"delta":{"content":`;
  const tail = `},"logprobs":null,"finish_reason":null}]${noUsage}`;
  return {
    begin: () => [chunk('{"role":"assistant","content":""}', 'null', 'null')],
    text: (text) => [head + JSON.stringify(text) + tail],
    logged: (text, tokens, texts) => [
      chunk(`{"content":${JSON.stringify(text)}}`, chatLogprobs(tokens, texts), 'null'),
    ],
    part: (part) => [chunk(deltaOf(part, facts, choice), 'null', 'null')],
    finish: ({ reason }) => [chunk('{}', 'null', `"${reason}"`)],
    close: (usage) => closing(base, facts, usage),
  };
};
