/**
 * OpenAI's Responses out of the fold: the events tell items one after the other and whole, the last one holds the same
 * response as the plain answer, and a stream that breaks anywhere continues byte for byte.
 */
import { expect, test } from 'vitest';
import { StatorError } from '../../../../durable/runtime/errors.ts';
import { KeptEvents } from '../../../../functions/dispatch/event-ids.ts';
import { openResponse } from '../../../../gpu-sidecar/response/response-fold.ts';
import { byteVocabulary, textVocabulary } from '../../../harness/byte-vocabulary.ts';
import { factsOf, payloads, runFold } from '../facts-of.ts';

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
const facts = factsOf({
  dialect: 'openai-responses',
  responseId: 'resp_ab12',
  envelope: JSON.stringify({ instructions: 'Be \n brief.', tools: [] }),
  parsing: { toolCallParser: 'hermes', reasoningParser: 'qwen3', tools: [{ name: 'f' }, { name: 'g' }] },
});

type Event = Record<string, unknown> & { type: string; sequence_number: number };

const streamOf = (change = {}, ids = tokens, end = {}) =>
  runFold(openResponse({ ...facts, ...change }, vocabulary), ids, end).toString();
const eventsOf = (stream: string) => payloads(stream) as Event[];
const documentOf = (change = {}, ids = tokens, end = {}) =>
  JSON.parse(runFold(openResponse({ ...facts, stream: false, ...change }, vocabulary), ids, end).toString());

const OUTPUT = [
  {
    id: 'rs_ab12_0',
    type: 'reasoning',
    status: 'completed',
    summary: [],
    content: [{ type: 'reasoning_text', text: 'so é' }],
  },
  {
    id: 'msg_ab12_1',
    type: 'message',
    status: 'completed',
    role: 'assistant',
    content: [{ type: 'output_text', annotations: [], logprobs: [], text: 'Let me look.' }],
  },
  {
    id: 'fc_ab12_2',
    type: 'function_call',
    status: 'completed',
    call_id: 'call_ab12_0',
    name: 'f',
    arguments: '{"city": "Ulm"}',
  },
  {
    id: 'fc_ab12_3',
    type: 'function_call',
    status: 'completed',
    call_id: 'call_ab12_1',
    name: 'g',
    arguments: '{}',
  },
];

test('the response has its items in the order in which the model wrote them', () => {
  expect(documentOf()).toEqual({
    id: 'resp_ab12',
    object: 'response',
    created_at: 1_800_000_000,
    status: 'completed',
    error: null,
    incomplete_details: null,
    model: 'tiny',
    instructions: 'Be \n brief.',
    tools: [],
    output: OUTPUT,
    usage: {
      input_tokens: 7,
      output_tokens: 8,
      total_tokens: 15,
      output_tokens_details: { reasoning_tokens: 2 },
      input_tokens_details: { cached_tokens: 0 },
    },
  });
});

test('the events are numbered, named, and come in their order', () => {
  const stream = streamOf();
  const events = eventsOf(stream);
  expect(events.map(({ sequence_number }) => sequence_number)).toEqual(events.map((_, at) => at));
  const names = [...stream.matchAll(/^event: (.*)$/gm)].map(([, name]) => name);
  expect(names).toEqual(events.map(({ type }) => type));
  const short = names.map((name) => name!.replace('response.', ''));
  const texts = (kind: string, deltas: number) => [
    'output_item.added',
    'content_part.added',
    ...Array<string>(deltas).fill(`${kind}.delta`),
    `${kind}.done`,
    'content_part.done',
    'output_item.done',
  ];
  const call = [
    'output_item.added',
    'function_call_arguments.delta',
    'function_call_arguments.done',
    'output_item.done',
  ];
  const joined = short.filter(
    (name, at) => name !== 'function_call_arguments.delta' || short[at - 1] !== name,
  );
  expect(joined).toEqual([
    'created',
    'in_progress',
    ...texts('reasoning_text', 2),
    ...texts('output_text', 2),
    ...call,
    ...call,
    'completed',
  ]);
  expect(stream).toMatch(/\ndata: \[DONE\]\n\n$/);
});

test('pieces put together are the items, and the last event has the plain answer', () => {
  const events = eventsOf(streamOf());
  const texts: string[] = [];
  for (const { type, output_index, delta } of events) {
    if (!type.endsWith('.delta')) continue;
    texts[output_index as number] = (texts[output_index as number] ?? '') + delta;
  }
  expect(texts).toEqual(['so é', 'Let me look.', '{"city": "Ulm"}', '{}']);
  const done = events.filter(({ type }) => type === 'response.output_item.done').map(({ item }) => item);
  expect(done).toEqual(OUTPUT);
  expect(events.at(-1)!['response']).toEqual(documentOf());
  expect(events[0]!['response']).toMatchObject({ status: 'in_progress', output: [], usage: null });
});

test('an answer that came to its length is incomplete, and so is its last item', () => {
  const last = eventsOf(streamOf({}, tokens.slice(0, 4), { reason: 'length' })).at(-1)!;
  expect(last.type).toBe('response.incomplete');
  const { status, incomplete_details, output } = last['response'] as Record<string, unknown>;
  expect({ status, incomplete_details }).toEqual({
    status: 'incomplete',
    incomplete_details: { reason: 'max_output_tokens' },
  });
  expect(output).toMatchObject([{ status: 'completed' }, { type: 'message', status: 'incomplete' }]);
});

test('an answer without anything in it is an empty message, streamed or not', () => {
  const message = { type: 'message', content: [{ text: '' }] };
  expect(documentOf({}, [])['output']).toMatchObject([message]);
  expect(eventsOf(streamOf({}, [])).at(-1)!['response']).toMatchObject({ output: [message] });
});

test('log probabilities are with the pieces of a stream and with the text of a plain answer', () => {
  const plain = { parsing: null, logprobs: true };
  const run = (stream: boolean) => {
    const fold = openResponse({ ...facts, ...plain, stream }, byteVocabulary);
    let out = fold.open() + fold.started(0);
    for (const id of [...Buffer.from('é!')]) out += fold.push(id, { logprob: -id / 100, top: [] });
    return out + fold.finish('stop');
  };
  const whole = JSON.parse(run(false)).output[0].content[0];
  expect(whole).toMatchObject({ text: 'é!', logprobs: [{ logprob: -1.95 }, {}, { token: '!' }] });
  const deltas = eventsOf(run(true)).filter(({ type }) => type === 'response.output_text.delta');
  expect(deltas.map(({ delta }) => delta)).toEqual(['', 'é', '!']);
  expect(deltas.flatMap(({ logprobs }) => logprobs)).toEqual(whole.logprobs);
});

test('what is stored is the last event, or how far it came', () => {
  for (const stream of [true, false]) {
    const fold = openResponse({ ...facts, stream }, vocabulary);
    fold.started(5);
    for (const id of tokens.slice(0, 4)) fold.push(id);
    const cancelled = fold.record('cancelled')!;
    expect(cancelled.state).toBe('cancelled');
    expect(JSON.parse(cancelled.document)).toMatchObject({
      status: 'cancelled',
      output: [{ type: 'reasoning' }, { status: 'incomplete', content: [{ text: 'Let me' }] }],
      usage: { output_tokens: 4, input_tokens_details: { cached_tokens: 5 } },
    });
    const failed = fold.record(new StatorError('engine_error', 'it broke'))!;
    expect(JSON.parse(failed.document)).toMatchObject({
      status: 'failed',
      error: { code: 'server_error', message: 'it broke' },
    });
    for (const id of tokens.slice(4)) fold.push(id);
    fold.finish('stop');
    const told = fold.record('told')!;
    expect(told.state).toBe('completed');
    expect(JSON.parse(told.document)).toMatchObject({ status: 'completed', output: OUTPUT });
  }
  expect(openResponse(factsOf(), vocabulary).record('told')).toBeNull();
});

test('a failure in mid-stream is the last event, numbered, with how far the response came, and no part of the answer', () => {
  const fold = openResponse(facts, vocabulary);
  let sent = fold.started(0);
  for (const id of tokens.slice(0, 4)) sent += fold.push(id);
  const last = fold.fail(new StatorError('engine_error', 'it broke'));
  expect(last).toMatch(/^event: response\.failed\ndata: /);
  expect(eventsOf(last)[0]).toMatchObject({
    type: 'response.failed',
    sequence_number: eventsOf(sent).length,
    response: {
      status: 'failed',
      error: { code: 'server_error', message: 'it broke' },
      output: [
        { type: 'reasoning', status: 'completed' },
        { type: 'message', status: 'incomplete' },
      ],
    },
  });
  const kept = new KeptEvents();
  kept.push(Buffer.from(sent + last));
  expect(kept.end()).toBe('failed');
});

test('a failure of a plain answer is the response that failed', () => {
  const fold = openResponse({ ...facts, stream: false }, vocabulary);
  fold.started(0);
  const document = JSON.parse(fold.fail(new StatorError('engine_error', 'it broke')));
  expect(document).toMatchObject({ status: 'failed', output: [], error: { message: 'it broke' } });
});

test('a stream that breaks anywhere continues without a byte missing or doubled', () => {
  const whole = Buffer.from(streamOf({ stop: ['nothing'] }, tokens, { cachedTokens: 48 }));
  for (const told of [48, null]) {
    for (let cut = 1; cut < whole.length; cut++) {
      const kept = new KeptEvents();
      kept.push(whole.subarray(0, cut));
      const state = kept.resumeState(told)!;
      const fold = openResponse({ ...facts, stop: ['nothing'] }, vocabulary, {
        tokenIds: new Uint32Array(state.tokenIds.slice().buffer),
        events: state.events,
        partial: state.partialEvent,
        cachedTokens: state.cachedTokens,
      });
      const rest = runFold(fold, tokens.slice(state.tokenIds.byteLength / 4), { cachedTokens: 48 });
      const together = Buffer.concat([whole.subarray(0, cut), rest]).toString();
      // Nobody may know how much the first worker had cached; then digits that were sent stand.
      const same = told === null ? together.replace(/"cached_tokens":4\}/, '"cached_tokens":48}') : together;
      if (same !== whole.toString()) expect.fail(`cut at ${cut}: ${together}`);
    }
  }
});
