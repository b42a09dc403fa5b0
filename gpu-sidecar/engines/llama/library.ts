/**
 * llama.cpp as a shared library: loads the prebuilt package (`library-place.ts`) through koffi and declares the functions
 * that Stator calls.
 *
 * Struct layouts belong to an exact llama.cpp version, so the version and known defaults are checked before any
 * struct is written. Loaded once a process. Functions with an `async` form run on the libuv pool; nothing here
 * is thread-safe on one context.
 */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import koffi, { type TypeObject } from 'koffi';
import { StatorError } from '../../../durable/runtime/errors.ts';
import { type GpuWish, libraryPlace } from './library-place.ts';
import { CONTEXT_DEFAULTS, contextParams, LLAMA_VERSIONS, llamaBatch, modelParams } from './structs.ts';

type Type = string | TypeObject;

const LOG_ERROR = 4;
const LOG_CONTINUED = 5;
const KEPT_LOG_LINES = 8;

export type Llama = ReturnType<typeof declare> & {
  /** The last errors that llama.cpp logged, oldest first; emptied by the call. */
  takeErrors(): string;
};

let loaded: { llama: Llama; folder: string } | null = null;

/**
 * Throws StatorError `engine_error` when there is no library for this machine, or not the one that is known, or not the GPU
 * that is wished for. A process has one of them.
 */
export function loadLlama(wish: GpuWish): Llama {
  const { folder, cuda } = libraryPlace(wish);
  if (loaded !== null && loaded.folder !== folder) {
    throw new StatorError('engine_error', `this process has loaded llama.cpp from ${loaded.folder} already`);
  }
  loaded ??= { llama: load(folder), folder };
  if (cuda) requireOffload(loaded.llama, folder);
  return loaded.llama;
}

/** llama.cpp goes on without a backend whose library does not load; loading it once more says why. */
function requireOffload(llama: Llama, folder: string): void {
  if (llama.supportsGpuOffload()) return;
  const library = 'libggml-cuda.so';
  let reason = 'no device';
  try {
    koffi.load(join(folder, library));
  } catch (thrown) {
    reason = (thrown as Error).message;
  }
  throw new StatorError(
    'engine_error',
    `llama.cpp's ${library} does not work (${reason}): it wants libcudart.so.13 and libcublas.so.13 of CUDA 13 in ` +
      'LD_LIBRARY_PATH (the CUDA toolkit, or the Python packages nvidia-cuda-runtime and nvidia-cublas)',
    { param: 'gpuLayers' },
  );
}

function load(folder: string): Llama {
  const files = readdirSync(folder);
  const open = (pattern: RegExp) => {
    const file = files.find((name) => pattern.test(name));
    if (file === undefined) throw new StatorError('engine_error', `${folder} has no ${pattern.source}`);
    return koffi.load(join(folder, file), { global: true });
  };
  open(/^libggml-base\.(so|dylib)$/);
  const ggml = open(/^libggml\.(\w+\.)?v.*\.(so|dylib)$/);
  const functions = declare(open(/^libllama\.(\w+\.)?v.*\.(so|dylib)$/));
  checkVersion(functions, folder);
  const errors = keepErrors(functions);
  ggml.func('ggml_backend_load_all_from_path', 'void', ['str'])(folder);
  functions.backendInit();
  return { ...functions, takeErrors: () => errors.splice(0).join('; ') };
}

function checkVersion(functions: ReturnType<typeof declare>, folder: string): void {
  const version = functions.version();
  if (!LLAMA_VERSIONS.some((known) => version.startsWith(known))) {
    throw new StatorError(
      'engine_error',
      `${folder} holds llama.cpp ${version}; known are ${LLAMA_VERSIONS.join(', ')}`,
    );
  }
  const defaults = functions.contextDefaultParams();
  for (const [field, expected] of Object.entries(CONTEXT_DEFAULTS)) {
    if (defaults[field] !== expected) {
      throw new StatorError('engine_error', `llama.cpp ${version} has an unknown layout: ${field} differs`);
    }
  }
}

/** Swallows llama.cpp's log but for the latest errors. */
function keepErrors(functions: ReturnType<typeof declare>): string[] {
  const errors: string[] = [];
  let level = 0;
  const callback = koffi.register(
    (lineLevel: number, text: string) => {
      if (lineLevel !== LOG_CONTINUED) level = lineLevel;
      if (level !== LOG_ERROR) return;
      errors.push(text.trim());
      if (errors.length > KEPT_LOG_LINES) errors.shift();
    },
    koffi.pointer(koffi.proto('void stator_llama_log(int level, const char *text, void *user)')),
  );
  functions.logSet(callback, null);
  return errors;
}

/** One line a function: its JavaScript name, and the C prototype (llama.h of LLAMA_VERSIONS). */
function declare(library: ReturnType<typeof koffi.load>) {
  const of = (name: string, result: Type, args: Type[]) => library.func(`llama_${name}`, result, args);
  return {
    version: of('version', 'str', []),
    logSet: of('log_set', 'void', ['void*', 'void*']),
    backendInit: of('backend_init', 'void', []),
    supportsGpuOffload: of('supports_gpu_offload', 'bool', []),
    maxSequences: of('max_parallel_sequences', 'size_t', []),
    modelDefaultParams: of('model_default_params', modelParams, []),
    contextDefaultParams: of('context_default_params', contextParams, []),
    modelLoad: of('model_load_from_file', 'void*', ['str', modelParams]),
    modelFree: of('model_free', 'void', ['void*']),
    modelContextTrained: of('model_n_ctx_train', 'int32', ['void*']),
    modelIsRecurrent: of('model_is_recurrent', 'bool', ['void*']),
    modelIsHybrid: of('model_is_hybrid', 'bool', ['void*']),
    modelHasEncoder: of('model_has_encoder', 'bool', ['void*']),
    modelVocab: of('model_get_vocab', 'void*', ['void*']),
    vocabSize: of('vocab_n_tokens', 'int32', ['void*']),
    vocabIsControl: of('vocab_is_control', 'bool', ['void*', 'int32']),
    vocabIsEndOfGeneration: of('vocab_is_eog', 'bool', ['void*', 'int32']),
    vocabAddsBos: of('vocab_get_add_bos', 'bool', ['void*']),
    tokenize: of('tokenize', 'int32', ['void*', 'void*', 'int32', 'void*', 'int32', 'bool', 'bool']),
    tokenToPiece: of('token_to_piece', 'int32', ['void*', 'int32', 'void*', 'int32', 'int32', 'bool']),
    contextNew: of('init_from_model', 'void*', ['void*', contextParams]),
    contextFree: of('free', 'void', ['void*']),
    contextMemory: of('get_memory', 'void*', ['void*']),
    memoryRemove: of('memory_seq_rm', 'bool', ['void*', 'int32', 'int32', 'int32']),
    memoryCopy: of('memory_seq_cp', 'void', ['void*', 'int32', 'int32', 'int32', 'int32']),
    memoryFirst: of('memory_seq_pos_min', 'int32', ['void*', 'int32']),
    memoryLast: of('memory_seq_pos_max', 'int32', ['void*', 'int32']),
    stateSize: of('state_seq_get_size', 'size_t', ['void*', 'int32']),
    stateGet: of('state_seq_get_data', 'size_t', ['void*', 'void*', 'size_t', 'int32']),
    stateSet: of('state_seq_set_data', 'size_t', ['void*', 'void*', 'size_t', 'int32']),
    batchInit: of('batch_init', llamaBatch, ['int32', 'int32', 'int32']),
    batchFree: of('batch_free', 'void', [llamaBatch]),
    decode: of('decode', 'int32', ['void*', llamaBatch]),
    synchronize: of('synchronize', 'void', ['void*']),
    logits: of('get_logits', 'void*', ['void*']),
    modelEmbeddingSize: of('model_n_embd_out', 'int32', ['void*']),
    vocabAddsEos: of('vocab_get_add_eos', 'bool', ['void*']),
    vocabAddsSep: of('vocab_get_add_sep', 'bool', ['void*']),
    vocabBos: of('vocab_bos', 'int32', ['void*']),
    vocabEos: of('vocab_eos', 'int32', ['void*']),
    vocabSep: of('vocab_sep', 'int32', ['void*']),
    embeddingsOfSequence: of('get_embeddings_seq', 'void*', ['void*', 'int32']),
  };
}

/** Runs a declared function on the libuv pool. */
export function inPool<T>(callee: { async: (...args: never[]) => void }, ...args: unknown[]): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const call = callee.async as (...all: unknown[]) => void;
  call(...args, (error: Error | null, result: T) => (error ? reject(error) : resolve(result)));
  return promise;
}
