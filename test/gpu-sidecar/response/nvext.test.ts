/** Does an answer say of itself what was asked for, and does a continued one say nothing that it cannot know? */

import { expect, test } from 'vitest';
import { ManualClock } from '../../../durable/runtime/clock.ts';
import { NvextAnswer, type NvextOptions } from '../../../gpu-sidecar/response/nvext.ts';
import { openResponse } from '../../../gpu-sidecar/response/response-fold.ts';
import { byteVocabulary } from '../../harness/byte-vocabulary.ts';
import { factsOf, payloads, runFold } from './facts-of.ts';

const usage = { promptTokens: 8, completionTokens: 1, reasoningTokens: 0, cachedTokens: 2 };
const worker = { id: '00000000000000aa', dpRank: 1, prefilledBy: null };
const timing = { requestReceivedMs: 1_800_000_000_000, elapsedMs: 30 };

/** Prefill begins 5 ms after the worker got the request, takes 20, and the answer ends 70 later. */
function answered(options: Partial<NvextOptions>): NvextAnswer {
  const clock = new ManualClock(1_000);
  const nvext = new NvextAnswer({ worker: null, timing: null, continued: false, ...options }, clock);
  clock.advance(5);
  nvext.started();
  clock.advance(20);
  nvext.token();
  clock.advance(70);
  nvext.token();
  return nvext;
}

const said = (options: Partial<NvextOptions>) =>
  JSON.parse(`{"model":"m"${answered(options).member(usage)}}`).nvext;

test('one worker computes prompt and answer', () => {
  expect(said({ worker })).toEqual({
    worker_id: {
      prefill_worker_id: '00000000000000aa',
      prefill_dp_rank: 1,
      decode_worker_id: '00000000000000aa',
      decode_dp_rank: 1,
    },
  });
});

test('times count from the arrival at the platform', () => {
  expect(said({ timing })).toEqual({
    timing: {
      request_received_ms: 1_800_000_000_000,
      kv_hit_rate: 0.25,
      prefill_wait_time_ms: 35,
      prefill_time_ms: 20,
      ttft_ms: 55,
      worker_ttft_ms: 25,
      total_time_ms: 125,
    },
  });
});

test('of a response that another worker began, the times of its beginning are unknown', () => {
  expect(said({ timing, continued: true })).toEqual({
    timing: { request_received_ms: 1_800_000_000_000, kv_hit_rate: 0.25, total_time_ms: 125 },
  });
});

test('a stream says it in its last chunk, with the usage where that was asked for; a document at its end', () => {
  for (const dialect of ['openai-chat', 'openai-completion'] as const) {
    for (const includeUsage of [false, true]) {
      const facts = factsOf({ dialect, includeUsage, nvext: answered({ worker }) });
      const chunks = payloads(runFold(openResponse(facts, byteVocabulary), [97, 98]).toString());
      expect(chunks.at(-1)).toMatchObject({ choices: [], nvext: { worker_id: { decode_dp_rank: 1 } } });
      expect(chunks.filter((chunk) => 'nvext' in chunk)).toHaveLength(1);
      expect(chunks.at(-1)?.['usage'] !== undefined).toBe(includeUsage);
      const document = runFold(openResponse({ ...facts, stream: false }, byteVocabulary), [97]).toString();
      expect(JSON.parse(document)).toMatchObject({ nvext: { worker_id: { decode_dp_rank: 1 } } });
    }
  }
});

test('a prompt that another worker computed names it, and an answer that is continued says what its beginning said', () => {
  const peer = { id: '00000000000000bb', dpRank: 2 };
  const begun = answered({ worker: { ...worker } });
  begun.prefilledBy(peer);
  const names = (answer: NvextAnswer) => JSON.parse(`{"model":"m"${answer.member(usage)}}`).nvext.worker_id;
  const expected = {
    prefill_worker_id: '00000000000000bb',
    prefill_dp_rank: 2,
    decode_worker_id: '00000000000000aa',
    decode_dp_rank: 1,
  };
  expect(names(begun)).toEqual(expected);
  const continued = answered({ worker: { ...worker, prefilledBy: peer }, continued: true });
  continued.prefilledBy({ id: '00000000000000cc', dpRank: 0 });
  expect(names(continued)).toEqual(expected);
});
