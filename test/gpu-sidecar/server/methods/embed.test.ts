/** Embed: what the router hears of it, what is refused, and what ends it. */

import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { StatorError } from '../../../../durable/runtime/errors.ts';
import { EmbedRequestSchema } from '../../../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';
import { embed } from '../../../../gpu-sidecar/server/methods/embed.ts';
import { packed, workerOf } from '../worker-of.ts';

const never = new AbortController().signal;
const asked = (...inputs: number[][]) =>
  create(EmbedRequestSchema, { requestId: 'r', reservation: 9, routerBoot: 4, inputs: inputs.map(packed) });

describe('Embed', () => {
  it('answers with a row for each text and reports a prompt without tokens', async () => {
    const worker = workerOf();
    const { vectors, dimensions } = await embed(worker, asked([1, 2, 3], [4]), never);
    expect(dimensions).toBe(2);
    expect([...new Float32Array(vectors.slice().buffer)]).toEqual([3, 0, 1, 0]);
    expect(worker.reports.map(({ phase, finishReason }) => [phase, finishReason])).toEqual([
      ['accepted', ''],
      ['end', 'stop'],
    ]);
    expect(worker.reports.at(-1)).toMatchObject({ reservation: 9, outputTokens: 0 });
    expect(worker.admission.open).toBe(0);
  });

  it('names the text that is too long, empty or of unknown tokens', async () => {
    const worker = workerOf();
    const refused = async (...inputs: number[][]) => {
      const error = await embed(worker, asked(...inputs), never).catch((thrown: StatorError) => thrown);
      return error instanceof StatorError ? [error.code, error.param] : null;
    };
    expect(await refused([1], [2, 2, 2, 2, 2, 2, 2, 2, 2])).toEqual(['context_length_exceeded', 'input[1]']);
    expect(await refused([])).toEqual(['invalid_request', 'input[0]']);
    expect(await refused([1], [1], [99_999])).toEqual(['invalid_request', 'input[2]']);
    expect(await refused()).toEqual(['invalid_request', 'input']);
    expect(worker.reports).toEqual([]);
  });

  it('ends as cancelled when the caller leaves, and as a lost worker when its time is over', async () => {
    const worker = workerOf();
    worker.engine.embedder.before = (gone) =>
      new Promise((_, reject) =>
        gone.addEventListener('abort', () => reject(new StatorError('cancelled', 'gone'))),
      );
    const gone = new AbortController();
    const left = embed(worker, asked([1]), gone.signal).catch((thrown: StatorError) => thrown.code);
    gone.abort();
    expect(await left).toBe('cancelled');
    expect(worker.reports.at(-1)?.finishReason).toBe('cancelled');
    const cut = embed(worker, asked([1]), never).catch((thrown: StatorError) => thrown.code);
    worker.admission.cutAll();
    expect(await cut).toBe('worker_draining');
    expect(worker.admission.open).toBe(0);
  });
});
