/** `text_completion` (https://platform.openai.com/docs/api-reference/completions/object). */

import type { EncodeDocument } from '../encoder.ts';
import { usageJson } from '../usage.ts';
import { completionLogprobs } from './openai-logprobs.ts';

export const openAiCompletion: EncodeDocument = (facts, { choices, texts, usage }) => {
  const list = choices.map(
    ({ message, reason, logged }, index) =>
      `{"index":${index},"text":${JSON.stringify(facts.echoText + message.content)},` +
      `"logprobs":${logged === null ? 'null' : completionLogprobs(logged, texts)},"finish_reason":"${reason}"}`,
  );
  return (
    `{"id":${JSON.stringify(facts.responseId)},"object":"text_completion","created":${facts.created},` +
    `"model":${JSON.stringify(facts.model)},"choices":[${list.join(',')}],"usage":${usageJson(usage)}${facts.nvext?.member(usage) ?? ''}}`
  );
};
