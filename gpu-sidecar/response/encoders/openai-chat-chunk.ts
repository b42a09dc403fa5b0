/** `chat.completion.chunk` (https://platform.openai.com/docs/api-reference/chat-streaming). */

import type { MakeChunkEncoder } from '../encoder.ts';
import { usageJson } from '../usage.ts';

export const openAiChatChunk: MakeChunkEncoder = (facts) => {
  const base =
    `{"id":${JSON.stringify(facts.responseId)},"object":"chat.completion.chunk","created":${facts.created},` +
    `"model":${JSON.stringify(facts.model)},"choices":[`;
  const noUsage = facts.includeUsage ? ',"usage":null}' : '}';
  const chunk = (delta: string, reason: string) =>
    `${base}{"index":0,"delta":${delta},"logprobs":null,"finish_reason":${reason}}]${noUsage}`;
  return {
    first: chunk('{"role":"assistant","content":""}', 'null'),
    head: `${base}{"index":0,"delta":{"content":`,
    tail: `},"logprobs":null,"finish_reason":null}]${noUsage}`,
    finish: (reason) => chunk('{}', `"${reason}"`),
    usage: (usage) => `${base}],"usage":${usageJson(usage)}}`,
  };
};
