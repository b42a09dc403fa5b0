/**
 * Anthropic's form of a response: events and document say the same message, and a stream that breaks anywhere continues
 * byte for byte, whatever its blocks are.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { StatorError } from '../../durable/runtime/errors.ts';
import { messageEventSchema, messageSchema } from '../../functions/anthropic/answer-schema.ts';
import { KeptEvents } from '../../functions/dispatch/event-ids.ts';
import type { ResponseFacts } from '../../gpu-sidecar/response/facts.ts';
import { openResponse } from '../../gpu-sidecar/response/response-fold.ts';
import { factsOf, payloads, runFold } from '../gpu-sidecar/response/facts-of.ts';
import { textVocabulary } from '../harness/byte-vocabulary.ts';

const PIECES = [
  '<think>',
  'so é',
  '</think>',
  'Let me',
  ' look.😀',
  '<tool_call>{"name": "f", "argu',
  'ments": {"city": "Ulm"}}</tool_call>',
  '<tool_call>{"name": "g", "arguments": {}}</tool_call>',
  'Behind',
];
const vocabulary = textVocabulary(PIECES);
const parsing = { toolCallParser: 'hermes', reasoningParser: 'qwen3', tools: [{ name: 'f' }, { name: 'g' }] };
const facts = factsOf({
  dialect: 'anthropic-messages',
  parsing,
  responseId: 'msg_ab12',
  promptTokens: 40,
  includeUsage: true,
});
const all = PIECES.map((_, id) => id);

const documentOf = (given: ResponseFacts, tokens: readonly number[], end = {}) =>
  JSON.parse(runFold(openResponse({ ...given, stream: false }, vocabulary), tokens, end).toString());
const streamOf = (given: ResponseFacts, tokens: readonly number[], end = {}) =>
  runFold(openResponse(given, vocabulary), tokens, end);

/** The message that a client puts together of the events. */
function assembled(stream: Buffer): Record<string, unknown> {
  let message: Record<string, unknown> = {};
  const blocks: Record<string, unknown>[] = [];
  const json: string[] = [];
  for (const payload of payloads(stream.toString())) {
    const event = messageEventSchema.parse(payload);
    switch (event.type) {
      case 'message_start':
        message = { ...event.message };
        break;
      case 'content_block_start':
        expect(event.index).toBe(blocks.length);
        blocks.push({ ...event.content_block });
        json.push('');
        break;
      case 'content_block_delta': {
        expect(event.index).toBe(blocks.length - 1);
        const { type, ...delta } = event.delta;
        const [[name, text] = ['', '']] = Object.entries(delta);
        if (type === 'input_json_delta') json[event.index] += text;
        else blocks[event.index]![name] = `${blocks[event.index]![name]}${text}`;
        break;
      }
      case 'content_block_stop':
        if (blocks[event.index]!['type'] === 'tool_use' && json[event.index] !== '')
          blocks[event.index]!['input'] = JSON.parse(json[event.index]!);
        break;
      case 'message_delta':
        message = { ...message, ...event.delta, usage: event.usage };
        break;
      default:
    }
  }
  return { ...message, content: blocks };
}

describe('a message', () => {
  test('has thinking with a signature, text, and calls with their input, in their order', () => {
    const message = documentOf(facts, all, { cachedTokens: 32 });
    expect(messageSchema.parse(message)).toEqual({
      id: 'msg_ab12',
      type: 'message',
      role: 'assistant',
      model: 'tiny',
      content: [
        { type: 'thinking', thinking: 'so é', signature: 'sig_ab12' },
        { type: 'text', text: 'Let me look.😀' },
        { type: 'tool_use', id: 'toolu_ab12_0', name: 'f', input: { city: 'Ulm' } },
        { type: 'tool_use', id: 'toolu_ab12_1', name: 'g', input: {} },
        { type: 'text', text: 'Behind' },
      ],
      stop_reason: 'tool_use',
      stop_sequence: null,
      usage: {
        cache_read_input_tokens: 32,
        cache_creation_input_tokens: 0,
        input_tokens: 8,
        output_tokens: all.length,
      },
    });
  });

  test('is the same streamed and whole, for any order of its parts', () => {
    const tokens = fc.array(fc.nat(PIECES.length - 1), { maxLength: 12 });
    fc.assert(
      fc.property(tokens, fc.boolean(), (picks, oneToolCall) => {
        const given = { ...facts, oneToolCall };
        expect(assembled(streamOf(given, picks, { cachedTokens: 7 }))).toEqual(
          documentOf(given, picks, { cachedTokens: 7 }),
        );
      }),
      { numRuns: 200 },
    );
  });

  test('says why it ended', () => {
    const reasonOf = (given: Partial<ResponseFacts>, tokens: number[], reason: 'stop' | 'length') => {
      const { stop_reason, stop_sequence } = documentOf({ ...facts, ...given }, tokens, { reason });
      return [stop_reason, stop_sequence];
    };
    expect(reasonOf({}, [3], 'stop')).toEqual(['end_turn', null]);
    expect(reasonOf({}, [3], 'length')).toEqual(['max_tokens', null]);
    expect(reasonOf({ contextLengthTokens: 41 }, [3], 'length')).toEqual([
      'model_context_window_exceeded',
      null,
    ]);
    expect(reasonOf({}, [7], 'stop')).toEqual(['tool_use', null]);
    expect(reasonOf({ stop: ['me lo', 'look'] }, [3, 4], 'length')).toEqual(['stop_sequence', 'me lo']);
    expect(reasonOf({ parsing: null, stop: ['Let'] }, [3], 'stop')).toEqual(['stop_sequence', 'Let']);
  });

  test('of which a call was cut has that call without input, and nothing of its markup', () => {
    const { content, stop_reason } = documentOf(facts, [3, 5], { reason: 'length' });
    expect(content).toEqual([
      { type: 'text', text: 'Let me' },
      { type: 'tool_use', id: 'toolu_ab12_0', name: 'f', input: {} },
    ]);
    expect(stop_reason).toBe('max_tokens');
  });
});

describe('a stream', () => {
  test('names its events as Anthropic does', () => {
    const stream = streamOf({ ...facts, parsing: null }, [3, 4]).toString();
    expect([...stream.matchAll(/^event: (.*)$/gm)].map(([, name]) => name)).toEqual([
      'message_start',
      'ping',
      'content_block_start',
      'content_block_delta',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ]);
    for (const event of stream.trimEnd().split('\n\n')) {
      const [, name, type] = /^id: .*\nevent: (.*)\ndata: \{"type":"([a-z_]+)"/.exec(event) ?? [];
      expect(type).toBe(name);
    }
  });

  test('that fails ends with an event in the same dialect, and is seen to have failed', () => {
    const fold = openResponse(facts, vocabulary);
    const text = fold.started(0) + fold.fail(new StatorError('overloaded', 'busy'));
    expect(
      text.endsWith(
        'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n',
      ),
    ).toBe(true);
    const kept = new KeptEvents();
    kept.push(Buffer.from(text));
    expect(kept.end()).toBe('failed');
  });

  test('is seen to be whole, at once and in pieces', () => {
    const stream = streamOf(facts, all);
    for (const pieces of [1, 2]) {
      const kept = new KeptEvents();
      for (let at = 0; at < pieces; at++) {
        kept.push(stream.subarray((at * stream.length) / pieces, ((at + 1) * stream.length) / pieces));
      }
      expect(kept.end()).toBe('done');
      kept.resumeState(0);
      expect(kept.end()).toBe('done');
    }
  });

  test.each([
    ['known', 3],
    ['unknown', null],
  ])('that breaks anywhere continues, with the cached tokens of the first worker %s', (_, told) => {
    const whole = streamOf(facts, all, { cachedTokens: 3 });
    for (let cut = 1; cut < whole.length; cut++) {
      const kept = new KeptEvents();
      kept.push(whole.subarray(0, cut));
      const state = kept.resumeState(told)!;
      const tokenIds = new Uint32Array(state.tokenIds.slice().buffer);
      const { events, partialEvent: partial, cachedTokens } = state;
      const fold = openResponse(facts, vocabulary, { tokenIds, events, partial, cachedTokens });
      const rest = runFold(fold, all.slice(tokenIds.length), { cachedTokens: 3 });
      const together = Buffer.concat([whole.subarray(0, cut), rest]);
      if (!together.equals(whole)) expect.fail(`cut at ${cut}: ${together}`);
    }
  });
});
