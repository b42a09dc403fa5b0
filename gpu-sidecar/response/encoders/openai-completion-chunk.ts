/** `text_completion` as a stream (https://platform.openai.com/docs/api-reference/completions); `echo` comes first. */

import type { MakeChunkEncoder } from '../encoder.ts';
import { closing } from './openai-done.ts';
import { completionLogprobs } from './openai-logprobs.ts';

export const openAiCompletionChunk: MakeChunkEncoder = (facts, choice) => {
  const base =
    `data: {"id":${JSON.stringify(facts.responseId)},"object":"text_completion","created":${facts.created},` +
    `"model":${JSON.stringify(facts.model)},"choices":[`;
  const noUsage = facts.includeUsage ? ',"usage":null}' : '}';
  const head = `${base}{"index":${choice},"text":`;
  const chunk = (text: string, logprobs: string, reason: string) =>
    `${head}${text},"logprobs":${logprobs},"finish_reason":${reason}}]${noUsage}`;
  const tail = `,"logprobs":null,"finish_reason":null}]${noUsage}`;
  return {
    begin: () => (facts.echoText === '' ? [] : [chunk(JSON.stringify(facts.echoText), 'null', 'null')]),
    text: (text) => [head + JSON.stringify(text) + tail],
    logged: (text, tokens, texts) => [chunk(JSON.stringify(text), completionLogprobs(tokens, texts), 'null')],
    part: (part) => [chunk(JSON.stringify('text' in part ? part.text : ''), 'null', 'null')],
    finish: ({ reason }) => [chunk('""', 'null', `"${reason}"`)],
    close: (usage) => closing(base, facts, usage),
  };
};
