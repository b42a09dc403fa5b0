/** Vectors and tokens by scripted sidecars: a lost worker, a model that does not embed, one whose workers tokenise. */

import { expect, test } from 'vitest';
import { ModelInput, ModelType } from '../../../gpu-sidecar/proto/gen/stator/v1/model_pb.js';
import { errorOf, inFlight, post, scenario } from './scenario.ts';

const start = { kind: 'answer' } as const;
const EMBEDS = { modelTypes: [ModelType.EMBEDDING], embeddingDimensions: 2 };

test('a worker that is lost is passed by, and no reservation stays', async () => {
  const run = await scenario({
    steps: [start],
    workers: 2,
    card: EMBEDS,
    addresses: ['http://127.0.0.1:1', undefined as never],
  });
  for (let times = 0; times < 6; times++) {
    const response = await post('/v1/embeddings', { model: run.model, input: [[1, 2, 3], [4]] });
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      data: [
        { index: 0, embedding: [3, 1] },
        { index: 1, embedding: [1, 1] },
      ],
      usage: { prompt_tokens: 4, total_tokens: 4 },
    });
  }
  expect((await run.log()).calls).toEqual(Array(6).fill('Embed'));
});

test('when all are lost the last one tells', async () => {
  const run = await scenario({ steps: [start], card: EMBEDS, addresses: ['http://127.0.0.1:1'] });
  const response = await post('/v1/embeddings', { model: run.model, input: [1] });
  expect(response.status).toBe(503);
  expect(await errorOf(response)).toMatchObject({ code: 'worker_unavailable' });
  expect(await inFlight(run)).toBe(0);
});

test('a model that does not embed says so, and so does one that was not made for shorter vectors', async () => {
  const run = await scenario({ steps: [start] });
  const response = await post('/v1/embeddings', { model: run.model, input: 'a' });
  expect(await errorOf(response)).toMatchObject({ code: 'unsupported_parameter', param: 'model' });
  const embeds = await scenario({ steps: [start], card: EMBEDS });
  const shorter = await post('/v1/embeddings', { model: embeds.model, input: [1], dimensions: 1 });
  expect(await errorOf(shorter)).toMatchObject({ code: 'unsupported_parameter', param: 'dimensions' });
});

test('a model that takes text is tokenised and put together by its sidecar', async () => {
  const run = await scenario({ steps: [start], card: { modelInput: ModelInput.TEXT, ...EMBEDS } });
  const tokens = [...'Grüße <|im_end|>'].map((character) => character.codePointAt(0)!);
  const there = await post('/tokenize', {
    model: run.model,
    prompt: 'Grüße <|im_end|>',
    return_token_strs: true,
  });

  expect(await there.json()).toMatchObject({ count: 16, tokens, token_strs: [...'Grüße <|im_end|>'] });
  const back = await post('/detokenize', { model: run.model, tokens });
  expect(await back.json()).toEqual({ prompt: 'Grüße <|im_end|>' });
  const vector = await post('/v1/embeddings', { model: run.model, input: 'Grüße' });
  expect(await vector.json()).toMatchObject({ data: [{ embedding: [5, 1] }] });
  expect((await run.log()).calls).toEqual(['Tokenize', 'Detokenize', 'Detokenize', 'Tokenize', 'Embed']);
});
