/** `POST /v1/embeddings` → texts, or token ids, with the name by which an error may call each of them. */
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { RoutingWishes } from '../inference-request.ts';
import { routingOf } from '../openai/nvext.ts';
import { invalid, parseBody } from '../openai/parse.ts';
import { tokenIdsOf } from '../openai/token-prompt.ts';
import { wellFormed } from '../openai/well-formed.ts';
import { type EmbeddingsBody, embeddingsSchema } from './embeddings-schema.ts';

export interface EmbeddingInput {
  /** `input`, or `input[3]`. */
  param: string;
  content: string | Uint32Array;
}

export interface EmbeddingsRequest {
  model: string;
  inputs: EmbeddingInput[];
  encoding: 'float' | 'base64';
  /** null: the model's own. */
  dimensions: number | null;
  routing: RoutingWishes | null;
}

/** Throws `invalid_request` naming the element. */
export function embeddingsRequest(json: unknown): EmbeddingsRequest {
  const body = parseBody(embeddingsSchema, json);
  return {
    model: body.model,
    inputs: inputsOf(body.input),
    encoding: body.encoding_format ?? 'float',
    dimensions: body.dimensions ?? null,
    routing: routingOf(body),
  };
}

function inputsOf(input: EmbeddingsBody['input']): EmbeddingInput[] {
  if (typeof input === 'string') return [inputOf(input, 'input')];
  if (typeof input[0] === 'number') return [inputOf(input, 'input')];
  if (input.length > LIMITS.embeddingInputs) {
    throw invalid('input', `${input.length} texts; at most ${LIMITS.embeddingInputs} are allowed.`);
  }
  return input.map((each, index) => inputOf(each, `input[${index}]`));
}

function inputOf(value: unknown, param: string): EmbeddingInput {
  if (typeof value !== 'string' && !Array.isArray(value)) {
    throw invalid(param, 'expected a string or an array of token ids.');
  }
  if (value.length === 0) throw invalid(param, 'it is empty.');
  return { param, content: typeof value === 'string' ? wellFormed(value, param) : tokenIdsOf(value, param) };
}
