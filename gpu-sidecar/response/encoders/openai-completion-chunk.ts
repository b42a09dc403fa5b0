/** `text_completion` as a stream (https://platform.openai.com/docs/api-reference/completions); `echo` comes first. */

import type { MakeChunkEncoder } from '../encoder.ts';
import { usageJson } from '../usage.ts';

export const openAiCompletionChunk: MakeChunkEncoder = (facts) => {
  const base =
    `{"id":${JSON.stringify(facts.responseId)},"object":"text_completion","created":${facts.created},` +
    `"model":${JSON.stringify(facts.model)},"choices":[`;
  const noUsage = facts.includeUsage ? ',"usage":null}' : '}';
  const head = `${base}{"index":0,"text":`;
  const tail = `,"logprobs":null,"finish_reason":null}]${noUsage}`;
  return {
    first: facts.echoText === '' ? null : head + JSON.stringify(facts.echoText) + tail,
    head,
    tail,
    finish: (reason) => `${head}"","logprobs":null,"finish_reason":"${reason}"}]${noUsage}`,
    usage: (usage) => `${base}],"usage":${usageJson(usage)}}`,
  };
};
