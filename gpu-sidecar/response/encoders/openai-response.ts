/**
 * `response` (https://platform.openai.com/docs/api-reference/responses/object). What repeats the request comes ready
 * from the platform (`facts.envelope`). The usage is last, with the cached tokens at its end: what a resumed stream may have to
 * adopt (`resumed-stream.ts`).
 */

import type { StatorError } from '../../../durable/runtime/errors.ts';
import type { DialectEncoder, EncodeDocument, RecordedEnd, ResponseRecord } from '../encoder.ts';
import type { ResponseFacts } from '../facts.ts';
import type { FinishReasonName } from '../message.ts';
import type { Usage } from '../usage.ts';
import { namedTokens } from './openai-logprobs.ts';
import { itemJson, type OutputItem, OutputItems } from './openai-response-items.ts';

interface ResponseNow {
  status: ResponseRecord['state'] | 'in_progress';
  items: readonly OutputItem[];
  usage: Usage | null;
  error: StatorError | null;
}

export function responseJson(facts: ResponseFacts, { status, items, usage, error }: ResponseNow): string {
  const cut = status === 'completed' || status === 'in_progress' ? 'completed' : 'incomplete';
  const output = items.map((item, at) => itemJson(item, at === items.length - 1 ? cut : 'completed'));
  const incomplete = status === 'incomplete' ? '{"reason":"max_output_tokens"}' : 'null';
  const failure = error === null ? 'null' : JSON.stringify({ code: 'server_error', message: error.message });
  return (
    `{"id":${JSON.stringify(facts.responseId)},"object":"response","created_at":${facts.created},` +
    `"status":"${status}","error":${failure},"incomplete_details":${incomplete},` +
    `"model":${JSON.stringify(facts.model)},${membersOf(facts.envelope)}"output":[${output.join(',')}],` +
    `"usage":${usage === null ? 'null' : usageOf(usage)}}`
  );
}

const usageOf = ({ promptTokens, completionTokens, reasoningTokens = 0, cachedTokens }: Usage): string =>
  `{"input_tokens":${promptTokens},"output_tokens":${completionTokens},` +
  `"total_tokens":${promptTokens + completionTokens},"output_tokens_details":{"reasoning_tokens":${reasoningTokens}},` +
  `"input_tokens_details":{"cached_tokens":${cachedTokens}}}`;

/** The state of a response that ended so, and its error. */
export function endOf(
  end: RecordedEnd,
  reason: FinishReasonName | null,
): Pick<ResponseNow, 'error'> & { status: ResponseRecord['state'] } {
  if (end === 'told') return { status: reason === 'length' ? 'incomplete' : 'completed', error: null };
  return end === 'cancelled' ? { status: 'cancelled', error: null } : { status: 'failed', error: end };
}

export const openAiResponse: EncodeDocument = (facts, answer) =>
  openAiResponseRecord(facts, 'told', answer).document;

export const openAiResponseRecord: NonNullable<DialectEncoder['record']> = (
  facts,
  recorded,
  { choices, texts, usage },
) => {
  const { message, reason, logged } = choices[0]!;
  const items = new OutputItems(facts);
  for (const part of message.parts) items.add(part);
  if (recorded === 'told') items.addEmpty();
  const spoken = items.list.find(({ kind }) => kind === 'message');
  if (logged !== null && spoken !== undefined) spoken.logprobs = namedTokens(logged, texts).join(',');
  const { status, error } = endOf(recorded, reason);
  return { state: status, document: responseJson(facts, { status, error, items: items.list, usage }) };
};

const membersOf = (envelope: string): string => (envelope.length > 2 ? `${envelope.slice(1, -1)},` : '');
