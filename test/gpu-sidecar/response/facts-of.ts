/** Request facts with defaults, for tests of the response path. */
import type { ResponseFacts } from '../../../gpu-sidecar/response/facts.ts';
import type { ResponseFold } from '../../../gpu-sidecar/response/response-fold.ts';

export const factsOf = (facts: Partial<ResponseFacts> = {}): ResponseFacts => ({
  dialect: 'openai-chat',
  stream: true,
  includeUsage: false,
  responseId: 'chatcmpl-1',
  created: 1_800_000_000,
  model: 'tiny',
  envelope: '',
  promptTokens: 7,
  contextLengthTokens: 4096,
  echoText: '',
  choices: 1,
  logprobs: false,
  parsing: null,
  oneToolCall: false,
  stop: [],
  minTokens: 0,
  nvext: null,
  ...facts,
});

/** Runs a fold to its end as an engine would that generates `tokens` and then ends for `reason`. */
export function runFold(
  fold: ResponseFold,
  tokens: Iterable<number>,
  { reason = 'stop', cachedTokens = 0 }: { reason?: 'stop' | 'length'; cachedTokens?: number } = {},
): Buffer {
  const out: Buffer[] = [];
  const add = (text: string) => {
    if (text !== '') out.push(Buffer.from(fold.encode(text)));
  };
  add(fold.open());
  if (!fold.done) add(fold.started(cachedTokens));
  for (const token of tokens) {
    if (fold.done) break;
    add(fold.push(token));
  }
  if (!fold.done) add(fold.finish(reason));
  return Buffer.concat(out);
}

/** The JSON payloads of a stream, `[DONE]` left out. */
export function payloads(stream: string): Record<string, unknown>[] {
  return stream
    .split('\n\n')
    .filter((event) => event.includes('data: ') && !event.includes('data: [DONE]'))
    .map((event) => JSON.parse(event.slice(event.indexOf('data: ') + 6)) as Record<string, unknown>);
}
