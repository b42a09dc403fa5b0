/** `chat.completion` (https://platform.openai.com/docs/api-reference/chat/object). */

import type { EncodeDocument, WholeChoice } from '../encoder.ts';
import type { TokenTexts } from '../token-texts.ts';
import { usageJson } from '../usage.ts';
import { chatLogprobs } from './openai-logprobs.ts';

export const openAiChatCompletion: EncodeDocument = (facts, { choices, texts, usage }) =>
  `{"id":${JSON.stringify(facts.responseId)},"object":"chat.completion","created":${facts.created},` +
  `"model":${JSON.stringify(facts.model)},"choices":[${choices.map((choice, index) => choiceJson(choice, index, texts)).join(',')}],` +
  `"usage":${usageJson(usage)}}`;

const choiceJson = ({ text, reason, logged }: WholeChoice, index: number, texts: TokenTexts): string =>
  `{"index":${index},"message":{"role":"assistant","content":${JSON.stringify(text)},"refusal":null},` +
  `"logprobs":${logged === null ? 'null' : chatLogprobs(logged, texts)},"finish_reason":"${reason}"}`;
