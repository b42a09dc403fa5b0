/** `chat.completion.chunk` (https://platform.openai.com/docs/api-reference/chat-streaming). */

import type { MakeChunkEncoder } from '../encoder.ts';
import { usageJson } from '../usage.ts';
import { chatLogprobs } from './openai-logprobs.ts';
import { deltaOf } from './openai-message.ts';

export const openAiChatChunk: MakeChunkEncoder = (facts, choice) => {
  const base =
    `{"id":${JSON.stringify(facts.responseId)},"object":"chat.completion.chunk","created":${facts.created},` +
    `"model":${JSON.stringify(facts.model)},"choices":[`;
  const noUsage = facts.includeUsage ? ',"usage":null}' : '}';
  const chunk = (delta: string, logprobs: string, reason: string) =>
    `${base}{"index":${choice},"delta":${delta},"logprobs":${logprobs},"finish_reason":${reason}}]${noUsage}`;
  return {
    first: chunk('{"role":"assistant","content":""}', 'null', 'null'),
    head: `${base}{"index":${choice},"delta":{"content":`,
    tail: `},"logprobs":null,"finish_reason":null}]${noUsage}`,
    logged: (text, tokens, texts) =>
      chunk(`{"content":${JSON.stringify(text)}}`, chatLogprobs(tokens, texts), 'null'),
    part: (part) => chunk(deltaOf(part, facts, choice), 'null', 'null'),
    finish: (reason) => chunk('{}', 'null', `"${reason}"`),
    usage: (usage) => `${base}],"usage":${usageJson(usage)}}`,
  };
};
