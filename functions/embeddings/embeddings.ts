/**
 * `POST /v1/embeddings`: the texts become tokens here and vectors at the workers, a bounded call at a time.
 *
 * An answer of one call that comes within a second has its status. Any other goes out as its calls come back, with white
 * space in between, by which a client that has left is noticed. An error then takes the place of the document, or, when a
 * part of that is out, breaks the connection.
 */
import type { ModelEntry } from '../../durable/directory/rpc.ts';
import { errorBody } from '../../durable/runtime/error-body.ts';
import { StatorError, toStatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { Caller } from '../call.ts';
import { REQUEST_ID_HEADER } from '../dispatch/response-head.ts';
import { withHeaders } from '../dispatch/routing-headers.ts';
import { LATE, within } from '../dispatch/within.ts';
import { directoryOf } from '../env.ts';
import { invalid } from '../openai/parse.ts';
import { renderText } from '../preprocess/chat-template.ts';
import { directoryCopy } from '../preprocess/directory-copy.ts';
import { tokeniseText } from '../preprocess/tokenise.ts';
import { embed } from './embed.ts';
import { type EmbeddingInput, type EmbeddingsRequest, embeddingsRequest } from './embeddings-request.ts';
import { inTurns, portionsOf } from './portions.ts';
import { embeddingEntry } from './vector-text.ts';

const encoder = new TextEncoder();

/** Throws StatorError for everything that goes wrong before the response's head is out. */
export async function embeddings(json: unknown, caller: Caller): Promise<Response> {
  const request = embeddingsRequest(json);
  const routing = withHeaders(request.routing, caller);
  const read = (known: number) => directoryOf(caller.env).read(known);
  const model = await directoryCopy.find(request.model, read, caller.startedMs);
  caller.track.accepted(model.name, false);
  checkModel(model, request);
  const inputs: Uint8Array[] = [];
  for (const input of request.inputs) inputs.push(await tokensOf(input, model, caller));
  const portions = portionsOf(inputs.map(({ byteLength }) => byteLength / 4));
  const rows = inTurns(portions, LIMITS.embeddingCalls, async ({ start, end, tokens }) => {
    const vectors = await embed(caller, { model, inputs: inputs.slice(start, end), tokens, routing });
    const size = vectors.byteLength / (end - start);
    let text = '';
    for (let at = start; at < end; at++) {
      const vector = vectors.subarray((at - start) * size, (at - start + 1) * size);
      text += (at === 0 ? '' : ',') + embeddingEntry(vector, at, request.encoding);
    }
    return text;
  });
  const tokens = portions.reduce((sum, portion) => sum + portion.tokens, 0);
  const usage = { prompt_tokens: tokens, total_tokens: tokens };
  const end = `],"model":${JSON.stringify(request.model)},"usage":${JSON.stringify(usage)}}`;
  const start = '{"object":"list","data":[';
  const headers = { 'content-type': 'application/json', [REQUEST_ID_HEADER]: caller.requestId };
  const first = await within(rows[0]!, LIMITS.headerWaitMs);
  if (first !== LATE && rows.length === 1) {
    caller.track.ended('success');
    return new Response(start + first + end, { headers });
  }
  caller.track.outlivesHandler();
  const { readable, writable } = new IdentityTransformStream();
  const parts = [rows[0]!.then((text) => start + text), ...rows.slice(1), Promise.resolve(end)];
  void write(writable.getWriter(), parts, caller);
  return new Response(readable, { headers });
}

/** Sends the parts in order, and while one is awaited a space every `LIMITS.keepAliveMs`. */
async function write(
  writer: WritableStreamDefaultWriter<Uint8Array>,
  parts: readonly Promise<string>[],
  { track }: Caller,
): Promise<void> {
  let begun = false;
  try {
    for (const part of parts) {
      let text = await within(part, LIMITS.keepAliveMs);
      while (text === LATE) {
        await writer.write(encoder.encode(' '));
        text = await within(part, LIMITS.keepAliveMs);
      }
      begun = true;
      await writer.write(encoder.encode(text));
    }
    await writer.close();
    track.ended('success');
  } catch (thrown) {
    track.ended('error');
    if (begun) await writer.abort(thrown).catch(() => {});
    else await endWith(writer, errorBody(toStatorError(thrown), 'openai'));
  }
}

/** The client may be gone. */
async function endWith(writer: WritableStreamDefaultWriter<Uint8Array>, text: string): Promise<void> {
  try {
    await writer.write(encoder.encode(text));
    await writer.close();
  } catch (thrown) {
    await writer.abort(thrown).catch(() => {});
  }
}

function checkModel(
  { name, modelTypes, embeddingDimensions = 0 }: ModelEntry,
  asked: EmbeddingsRequest,
): void {
  if (!modelTypes.includes('embedding')) {
    const message = `The model '${name}' does not embed.`;
    throw new StatorError('unsupported_parameter', message, { param: 'model' });
  }
  if (asked.dimensions !== null && asked.dimensions !== embeddingDimensions) {
    const message = `The model '${name}' makes vectors of ${embeddingDimensions} numbers; a part of one means nothing.`;
    throw new StatorError('unsupported_parameter', message, { param: 'dimensions' });
  }
}

/** Packed LE u32. Throws `context_length_exceeded` naming the text. */
async function tokensOf(
  { param, content }: EmbeddingInput,
  model: ModelEntry,
  source: Caller,
): Promise<Uint8Array> {
  const { tokenIds } =
    typeof content === 'string'
      ? await tokeniseText(model, renderText(content, model), { source, seed: undefined })
      : { tokenIds: new Uint8Array(content.buffer, content.byteOffset, content.byteLength) };
  const tokens = tokenIds.byteLength / 4;
  const most = Math.min(model.contextLengthTokens, LIMITS.embeddingTokens);
  if (tokens > most) {
    const message = `This model embeds at most ${most} tokens. However, your ${param} has ${tokens}. Please reduce its length.`;
    throw new StatorError('context_length_exceeded', message, { param });
  }
  if (tokens === 0) {
    throw invalid(param, 'it has no tokens.');
  }
  return tokenIds;
}
