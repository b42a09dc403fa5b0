/**
 * A completion, or one event of it, as a ModelInferResponse: `text_output` and `finish_reason`, one element for each
 * choice. The last response of a stream says so as Triton does (`triton_final_response`); with several choices each
 * response of a stream names its own (`choice`). Pure.
 */

import { create, type MessageInitShape } from '@bufbuild/protobuf';
import {
  type InferParameterSchema,
  type ModelInferResponse,
  ModelInferResponseSchema,
} from '../../proto/gen/inference/grpc_service_pb.js';
import type { Inference, Wanted } from './infer-request.ts';
import { MODEL_VERSION, type OutputName } from './model.ts';

/** The fields of OpenAI's completion that are used here. */
export interface Completion {
  id: string;
  model: string;
  choices: { index: number; text: string; finish_reason: string | null }[];
  usage?: {
    prompt_tokens: number;
    completion_tokens: number;
    prompt_tokens_details?: { cached_tokens?: number };
  } | null;
}

type Parameters = Record<string, MessageInitShape<typeof InferParameterSchema>>;

const int64 = (value: number) => ({ parameterChoice: { case: 'int64Param' as const, value: BigInt(value) } });
const bool = (value: boolean) => ({ parameterChoice: { case: 'boolParam' as const, value } });
const encoder = new TextEncoder();

/** `id`: the caller's; the completion's own when that is empty. */
export function inferResponse(
  completion: Completion,
  { id, wanted: { outputs, raw } }: { id: string; wanted: Wanted },
  parameters: Parameters = {},
): ModelInferResponse {
  const { choices, model, usage } = completion;
  if (usage) {
    parameters['prompt_tokens'] = int64(usage.prompt_tokens);
    parameters['completion_tokens'] = int64(usage.completion_tokens);
    parameters['cached_tokens'] = int64(usage.prompt_tokens_details?.cached_tokens ?? 0);
  }
  const elements: Record<OutputName, string[]> = {
    text_output: choices.map(({ text }) => text),
    finish_reason: choices.map(({ finish_reason }) => finish_reason ?? ''),
  };
  return create(ModelInferResponseSchema, {
    modelName: model,
    modelVersion: MODEL_VERSION,
    id: id === '' ? completion.id : id,
    parameters,
    outputs: outputs.map((name) => ({
      name,
      datatype: 'BYTES',
      shape: [BigInt(elements[name].length)],
      ...(raw ? {} : { contents: { bytesContents: elements[name].map((text) => encoder.encode(text)) } }),
    })),
    rawOutputContents: raw ? outputs.map((name) => lengthPrefixed(elements[name])) : [],
  });
}

/** Each element behind its length in 4 bytes, little-endian. */
function lengthPrefixed(elements: readonly string[]): Uint8Array {
  const parts = elements.flatMap((text) => {
    const bytes = Buffer.from(text);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytes.length);
    return [length, bytes];
  });
  return Buffer.concat(parts);
}

/** The events of one streamed answer, one response each. */
export class InferStream {
  readonly #id: string;
  readonly #inference: Inference;
  #unfinished: number;

  constructor(id: string, inference: Inference) {
    this.#id = id;
    this.#inference = inference;
    this.#unfinished = inference.choices;
  }

  /** Null for an event without a choice. */
  response(chunk: Completion): ModelInferResponse | null {
    const [choice] = chunk.choices;
    if (choice === undefined) return null;
    if (choice.finish_reason !== null) this.#unfinished -= chunk.choices.length;
    const { choices, wanted } = this.#inference;
    const parameters: Parameters = { triton_final_response: bool(this.#unfinished <= 0) };
    if (choices > 1) parameters['choice'] = int64(choice.index);
    return inferResponse(chunk, { id: this.#id, wanted }, parameters);
  }
}
