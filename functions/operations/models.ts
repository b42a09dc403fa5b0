/** `GET /v1/models` and `/v1/models/{id}` in OpenAI's form; what OpenAI does not have are extra fields. */
import type { ModelEntry } from '../../durable/directory/rpc.ts';
import { directoryOf, type Env } from '../env.ts';
import { directoryCopy } from '../preprocess/directory-copy.ts';

export interface OpenAiModel {
  id: string;
  object: 'model';
  /** Unix seconds. */
  created: number;
  owned_by: string;
  description: string;
  aliases: string[];
  context_length: number;
  max_model_len: number;
  kv_cache_block_size: number;
  types: ModelEntry['modelTypes'];
  workers: number;
}

export async function listModels(env: Env, nowMs: number): Promise<{ object: 'list'; data: OpenAiModel[] }> {
  return { object: 'list', data: (await modelsNow(env, nowMs)).map(openAiModel) };
}

/** Throws `model_not_found`. */
export async function getModel(env: Env, id: string, nowMs: number): Promise<OpenAiModel> {
  return openAiModel(await directoryCopy.find(id, readerOf(env), nowMs));
}

export function modelsNow(env: Env, nowMs: number): Promise<readonly ModelEntry[]> {
  return directoryCopy.models(readerOf(env), nowMs);
}

const readerOf = (env: Env) => (known: number) => directoryOf(env).read(known);

function openAiModel(entry: ModelEntry): OpenAiModel {
  return {
    id: entry.name,
    object: 'model',
    created: Math.floor(entry.createdMs / 1000),
    owned_by: 'stator',
    description: entry.description,
    aliases: entry.aliases,
    context_length: entry.contextLengthTokens,
    max_model_len: entry.contextLengthTokens,
    kv_cache_block_size: entry.blockSizeTokens,
    types: entry.modelTypes,
    workers: entry.instances.length,
  };
}
