/** `chat.completion` (https://platform.openai.com/docs/api-reference/chat/object). */

import type { EncodeDocument } from '../encoder.ts';
import { usageJson } from '../usage.ts';
import { chatLogprobs } from './openai-logprobs.ts';
import { messageJson } from './openai-message.ts';

export const openAiChatCompletion: EncodeDocument = (facts, { choices, texts, usage }) => {
  const list = choices.map(
    ({ message, reason, logged }, index) =>
      `{"index":${index},"message":{"role":"assistant",${messageJson(message, facts, index)}},` +
      `"logprobs":${logged === null ? 'null' : chatLogprobs(logged, texts)},"finish_reason":"${reason}"}`,
  );
  return (
    `{"id":${JSON.stringify(facts.responseId)},"object":"chat.completion","created":${facts.created},` +
    `"model":${JSON.stringify(facts.model)},"choices":[${list.join(',')}],"usage":${usageJson(usage)}${facts.nvext?.member(usage) ?? ''}}`
  );
};
