/**
 * Embed: vectors of texts. For the router it is a request whose end comes without a token: its prompt is charged and freed,
 * and teaches nobody how fast answers grow.
 */

import { create } from '@bufbuild/protobuf';
import { StatorError, toStatorError } from '../../../durable/runtime/errors.ts';
import {
  type EmbedRequest,
  type EmbedResponse,
  EmbedResponseSchema,
} from '../../proto/gen/stator/v1/worker_pb.js';
import type { OpenResponse } from '../admission.ts';
import { tokenIds } from '../generate-request.ts';
import { RequestReport } from '../request-report.ts';
import type { Worker } from '../worker.ts';

export async function embed(
  worker: Worker,
  request: EmbedRequest,
  gone: AbortSignal,
): Promise<EmbedResponse> {
  const { engine, lifecycle, admission } = worker;
  const { embedder } = engine;
  if (embedder === undefined) {
    throw new StatorError('unsupported_parameter', `The model '${engine.info.card.name}' does not embed.`, {
      param: 'model',
    });
  }
  if (!lifecycle.open) throw draining();
  const inputs = textsOf(request, worker, embedder.maxTokens);
  const cut = new AbortController();
  const open: OpenResponse = { place: -1, cut: () => cut.abort() };
  if (!admission.enter(open)) {
    throw new StatorError('overloaded', 'the worker has all the requests it can hold', { retryAfterS: 1 });
  }
  const { reservation, routerBoot } = request;
  const promptTokens = inputs.reduce((sum, ids) => sum + ids.length, 0);
  const report = new RequestReport(worker, { reservation, routerBoot, engine: { promptTokens } });
  report.accepted();
  try {
    const vectors = await embedder.embed(inputs, AbortSignal.any([gone, cut.signal]));
    report.ended('stop', 'ok');
    return create(EmbedResponseSchema, {
      vectors: new Uint8Array(vectors.buffer, vectors.byteOffset, vectors.byteLength),
      dimensions: embedder.dimensions,
    });
  } catch (thrown) {
    const error = toStatorError(thrown);
    report.ended(error.code === 'cancelled' ? 'cancelled' : 'error', error.code);
    throw cut.signal.aborted ? draining() : error;
  } finally {
    admission.leave(open);
  }
}

const draining = () => new StatorError('worker_draining', 'the worker is shutting down');

/** Throws `invalid_request` or `context_length_exceeded` naming the text. */
function textsOf({ inputs }: EmbedRequest, worker: Worker, maxTokens: number): Uint32Array[] {
  const most = worker.limits.embeddingCallInputs;
  if (inputs.length === 0 || inputs.length > most) {
    throw new StatorError('invalid_request', `inputs: from 1 to ${most}`, { param: 'input' });
  }
  return inputs.map((bytes, index) => {
    const param = `input[${index}]`;
    const ids = tokenIds(bytes, param, worker.engine.vocabulary);
    if (ids.length === 0) throw new StatorError('invalid_request', `${param} is empty`, { param });
    if (ids.length > maxTokens) {
      const message = `${param} has ${ids.length} tokens; the model embeds at most ${maxTokens}`;
      throw new StatorError('context_length_exceeded', message, { param });
    }
    return ids;
  });
}
