/** `chat.completion` (https://platform.openai.com/docs/api-reference/chat/object). */

import type { EncodeDocument } from '../encoder.ts';
import { usageJson } from '../usage.ts';

export const openAiChatCompletion: EncodeDocument = (facts, answer) =>
  `{"id":${JSON.stringify(facts.responseId)},"object":"chat.completion","created":${facts.created},` +
  `"model":${JSON.stringify(facts.model)},"choices":[{"index":0,` +
  `"message":{"role":"assistant","content":${JSON.stringify(answer.text)},"refusal":null},` +
  `"logprobs":null,"finish_reason":"${answer.reason}"}],"usage":${usageJson(answer.usage)}}`;
