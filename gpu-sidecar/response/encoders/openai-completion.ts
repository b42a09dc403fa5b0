/** `text_completion` (https://platform.openai.com/docs/api-reference/completions/object). */

import type { EncodeDocument } from '../encoder.ts';
import { usageJson } from '../usage.ts';

export const openAiCompletion: EncodeDocument = (facts, answer) =>
  `{"id":${JSON.stringify(facts.responseId)},"object":"text_completion","created":${facts.created},` +
  `"model":${JSON.stringify(facts.model)},"choices":[{"index":0,` +
  `"text":${JSON.stringify(facts.echoText + answer.text)},"logprobs":null,"finish_reason":"${answer.reason}"}],` +
  `"usage":${usageJson(answer.usage)}}`;
