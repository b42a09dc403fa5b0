/**
 * A ModelInferRequest as the completion that it asks for. Tensors as in NVIDIA Dynamo's KServe frontend: `text_input`
 * (BYTES [1]) is the prompt, `streaming` or `stream` (BOOL [1]) asks for the answer in pieces. `parameters` are the other
 * fields of `POST /v1/completions` by their names (`max_tokens`, 16 where it is absent, as there); what is no number, text
 * or truth value is written as JSON (`stop`: `["a","b"]`). Pure.
 */

import { StatorError } from '../../../durable/runtime/errors.ts';
import type {
  InferParameter,
  ModelInferRequest,
  ModelInferRequest_InferInputTensor as Tensor,
} from '../../proto/gen/inference/grpc_service_pb.js';
import { MODEL_VERSION, OUTPUTS, type OutputName } from './model.ts';

export interface Inference {
  /** For `POST /v1/completions`. */
  body: Record<string, unknown>;
  stream: boolean;
  /** How many answers. */
  choices: number;
  wanted: Wanted;
}

/** What of an answer the caller wants, and how. */
export interface Wanted {
  /** In the order of OUTPUTS. */
  outputs: readonly OutputName[];
  /** As raw bytes, because the inputs came so: clients of NumPy 2 read nothing else. */
  raw: boolean;
}

/** Said by tensors and by the call itself. */
const RESERVED: ReadonlySet<string> = new Set(['model', 'prompt', 'stream', 'stream_options']);
/** Fields that are lists or objects. */
const JSON_FIELDS: ReadonlySet<string> = new Set(['stop', 'stop_token_ids', 'logit_bias', 'nvext']);

/** Throws StatorError `invalid_request` naming the tensor or parameter, `model_not_found` for another version. */
export function readInference(request: ModelInferRequest): Inference {
  checkVersion(request.modelName, request.modelVersion);
  const tensors = tensorsOf(request);
  const text = tensors.get('text_input');
  if (text === undefined) throw invalid('text_input', 'this input is missing');
  const stream = tensors.get('streaming') ?? tensors.get('stream') ?? false;
  const parameters = Object.entries(request.parameters).map(([name, value]) => parameterOf(name, value));
  const body = { ...Object.fromEntries(parameters), model: request.modelName, prompt: text, stream };
  const choices = (body as { n?: unknown }).n;
  return {
    body,
    stream: stream === true,
    choices: typeof choices === 'number' ? choices : 1,
    wanted: { outputs: outputsOf(request), raw: request.rawInputContents.length > 0 },
  };
}

/** There is one version of each model. */
export function checkVersion(model: string, version: string): void {
  if (version === '' || version === MODEL_VERSION) return;
  throw new StatorError(
    'model_not_found',
    `The model '${model}' has version ${MODEL_VERSION} only, not '${version}'.`,
  );
}

function outputsOf({ outputs }: ModelInferRequest): readonly OutputName[] {
  if (outputs.length === 0) return OUTPUTS;
  const wanted = new Set(outputs.map(({ name }) => name));
  for (const name of wanted) {
    if (!(OUTPUTS as readonly string[]).includes(name)) {
      throw invalid(name, `there is no such output; there are ${OUTPUTS.join(', ')}`);
    }
  }
  return OUTPUTS.filter((name) => wanted.has(name));
}

function tensorsOf({ inputs, rawInputContents }: ModelInferRequest): Map<string, string | boolean> {
  if (rawInputContents.length > 0 && rawInputContents.length !== inputs.length) {
    throw invalid('raw_input_contents', `${rawInputContents.length} for ${inputs.length} inputs`);
  }
  const read = new Map<string, string | boolean>();
  inputs.forEach((tensor, index) => {
    if (read.has(tensor.name)) throw invalid(tensor.name, 'this input is there twice');
    read.set(tensor.name, elementOf(tensor, rawInputContents[index]));
  });
  return read;
}

function elementOf(tensor: Tensor, raw: Uint8Array | undefined): string | boolean {
  const { contents, name } = tensor;
  switch (name) {
    case 'text_input':
      checkType(tensor, 'BYTES');
      return utf8(name, raw ? lengthPrefixed(name, raw) : only(name, contents?.bytesContents));
    case 'streaming':
    case 'stream':
      checkType(tensor, 'BOOL');
      return raw ? only(name, [...raw]) !== 0 : only(name, contents?.boolContents);
    default:
      throw invalid(name, 'there is no such input; there are text_input, streaming');
  }
}

function checkType({ datatype, name, shape }: Tensor, wanted: string): void {
  if (datatype !== wanted) throw invalid(name, `is of type ${wanted}, not '${datatype}'`);
  if (shape.length === 0 || shape.length > 2 || shape.some((size) => size !== 1n)) {
    throw invalid(name, `has the shape [1], not [${shape}]`);
  }
}

function only<T>(name: string, elements: readonly T[] | undefined): T {
  const [first] = elements ?? [];
  if (first === undefined || elements?.length !== 1) throw invalid(name, 'wants one element');
  return first;
}

function lengthPrefixed(name: string, raw: Uint8Array): Uint8Array {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  if (raw.length < 4 || view.getUint32(0, true) !== raw.length - 4) {
    throw invalid(name, 'wants one element behind its length in 4 bytes');
  }
  return raw.subarray(4);
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function utf8(name: string, bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw invalid(name, 'is not UTF-8', cause);
  }
}

function parameterOf(name: string, { parameterChoice }: InferParameter): [name: string, value: unknown] {
  if (RESERVED.has(name)) throw invalid(name, 'is not said by a parameter');
  const { value } = parameterChoice;
  if (typeof value === 'bigint') return [name, Number(value)];
  if (typeof value !== 'string' || !JSON_FIELDS.has(name) || !/^[[{]/.test(value)) return [name, value];
  try {
    return [name, JSON.parse(value)];
  } catch (cause) {
    throw invalid(name, 'is not valid JSON', cause);
  }
}

const invalid = (name: string, reason: string, cause?: unknown): StatorError =>
  new StatorError('invalid_request', `'${name}': ${reason}`, { param: name, cause });
