/**
 * Calls of tools and reasoning in a response: streamed and whole they are the same message, no markup is content, and a
 * stream that breaks inside a call continues byte for byte.
 */
import { expect, test } from 'vitest';
import { KeptEvents } from '../../functions/dispatch/event-ids.ts';
import type { ResponseFacts } from '../../gpu-sidecar/response/facts.ts';
import { openResponse } from '../../gpu-sidecar/response/response-fold.ts';
import { factsOf, payloads, runFold } from '../gpu-sidecar/response/facts-of.ts';
import { textVocabulary } from '../harness/byte-vocabulary.ts';

const PIECES = [
  '<thi',
  'nk>so',
  ' é</think>',
  'Let me',
  ' look.<tool',
  '_call>{"name": "f", "argu',
  'ments": {"city": "Ulm"}}</tool_call>',
  '<tool_call>{"name": "g", "arguments": {}}</tool_call>',
];
const vocabulary = textVocabulary(PIECES);
const tokens = PIECES.map((_, id) => id);
const parsing = { toolCallParser: 'hermes', reasoningParser: 'qwen3', tools: [{ name: 'f' }, { name: 'g' }] };
const facts = factsOf({ parsing, responseId: 'chatcmpl-ab12' });

interface Delta {
  content?: string;
  reasoning_content?: string;
  tool_calls?: { index: number; id?: string; function: { name?: string; arguments: string } }[];
}

interface Choice {
  index: number;
  delta: Delta;
  finish_reason: string | null;
}

const documentOf = (facts: ResponseFacts) =>
  JSON.parse(runFold(openResponse({ ...facts, stream: false }, vocabulary), tokens).toString()).choices[0];

test('the message has its content, its reasoning and its calls, and ends for them', () => {
  expect(documentOf(facts)).toEqual({
    index: 0,
    message: {
      role: 'assistant',
      content: 'Let me look.',
      refusal: null,
      reasoning_content: 'so é',
      tool_calls: [
        { id: 'call_ab12_0_0', type: 'function', function: { name: 'f', arguments: '{"city": "Ulm"}' } },
        { id: 'call_ab12_0_1', type: 'function', function: { name: 'g', arguments: '{}' } },
      ],
    },
    logprobs: null,
    finish_reason: 'tool_calls',
  });
});

test('the deltas of the stream put together are the same message', () => {
  const stream = runFold(openResponse(facts, vocabulary), tokens).toString();
  const choices = payloads(stream).map((chunk) => (chunk['choices'] as Choice[])[0]!);
  const calls: { id: string; type: 'function'; function: { name: string; arguments: string } }[] = [];
  let [content, reasoning_content] = ['', ''];
  for (const { delta } of choices) {
    content += delta.content ?? '';
    reasoning_content += delta.reasoning_content ?? '';
    for (const { index, id, function: said } of delta.tool_calls ?? []) {
      if (id !== undefined)
        calls[index] = { id, type: 'function', function: { name: said.name!, arguments: '' } };
      calls[index]!.function.arguments += said.arguments;
    }
  }
  const { message } = documentOf(facts);
  expect({ content, reasoning_content, tool_calls: calls }).toEqual({
    content: message.content,
    reasoning_content: message.reasoning_content,
    tool_calls: message.tool_calls,
  });
  expect(choices.at(-1)).toMatchObject({ delta: {}, finish_reason: 'tool_calls' });
});

test('without parallel calls only the first is said', () => {
  const { tool_calls } = documentOf({ ...facts, oneToolCall: true }).message;
  expect(tool_calls.map((call: { function: { name: string } }) => call.function.name)).toEqual(['f']);
});

test('an answer that consists of calls alone has no content', () => {
  const fold = openResponse({ ...facts, stream: false }, textVocabulary([PIECES.at(-1)!]));
  expect(JSON.parse(runFold(fold, [0]).toString()).choices[0].message.content).toBeNull();
});

test.each([1, 2])(
  'a stream of %s choice(s) that breaks anywhere continues without a byte missing or doubled',
  (choices) => {
    const many = { ...facts, choices, includeUsage: true, stop: ['nothing'] };
    const flat = tokens.flatMap((id) => Array<number>(choices).fill(id));
    if (choices > 1) flat.push(...Array<number>(choices).fill(0xffff_fffe));
    const whole = runFold(openResponse(many, vocabulary), flat);
    for (let cut = 1; cut < whole.length; cut += choices === 1 ? 1 : 7) {
      const kept = new KeptEvents();
      kept.push(whole.subarray(0, cut));
      const state = kept.resumeState(0)!;
      const tokenIds = new Uint32Array(state.tokenIds.slice().buffer);
      const { events, partialEvent: partial } = state;
      const fold = openResponse(many, vocabulary, { tokenIds, events, partial, cachedTokens: 0 });
      const together = Buffer.concat([whole.subarray(0, cut), runFold(fold, flat.slice(tokenIds.length))]);
      if (!together.equals(whole)) expect.fail(`cut at ${cut}: ${together}`);
    }
  },
);
