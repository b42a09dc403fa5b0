/** `GET /v1/models` and `/v1/models/{id}` in OpenAI's form, with extra fields, or in Anthropic's. */
import * as z from 'zod';
import type { ModelEntry } from '../../durable/directory/rpc.ts';
import type { Api } from '../../durable/runtime/error-body.ts';
import {
  anthropicModel,
  anthropicModelList,
  type anthropicModelListSchema,
  type anthropicModelSchema,
} from '../anthropic/models.ts';
import { directoryOf, type Env } from '../env.ts';
import { directoryCopy } from '../preprocess/directory-copy.ts';

export const modelSchema = z.object({
  id: z.string(),
  object: z.literal('model'),
  /** Unix seconds. */
  created: z.number().int(),
  owned_by: z.string(),
  description: z.string(),
  aliases: z.array(z.string()),
  context_length: z.number().int(),
  max_model_len: z.number().int(),
  kv_cache_block_size: z.number().int(),
  types: z.array(z.enum(['chat', 'completions', 'embedding'])),
  /** Length of its vectors, where it embeds. */
  embedding_dimensions: z.number().int().optional(),
  workers: z.number().int().min(0),
  /** `sleeping`: there is no worker, and a request starts one. */
  status: z.enum(['ready', 'sleeping']),
});

export const modelListSchema = z.object({ object: z.literal('list'), data: z.array(modelSchema) });

type OpenAiModel = z.output<typeof modelSchema>;

type AnyModel = OpenAiModel | z.output<typeof anthropicModelSchema>;
type AnyModelList = z.output<typeof modelListSchema> | z.output<typeof anthropicModelListSchema>;

export async function listModels(env: Env, api: Api, nowMs: number): Promise<AnyModelList> {
  const models = eachOnce(await modelsNow(env, nowMs));
  if (api === 'anthropic') return anthropicModelList(models);
  return { object: 'list', data: models.map(openAiModel) };
}

/** Several namespaces may serve a model: it is one for clients, with all their workers. */
function eachOnce(models: readonly ModelEntry[]): ModelEntry[] {
  const byName = new Map<string, ModelEntry>();
  for (const model of models) {
    const known = byName.get(model.name);
    const instances = [...(known?.instances ?? []), ...model.instances];
    // Where one of them is awake, the model is.
    const shown = known === undefined || known.sleeping ? model : known;
    byName.set(model.name, { ...shown, instances });
  }
  return [...byName.values()];
}

/** Throws `model_not_found`. */
export async function getModel(
  env: Env,
  { id, api }: { id: string; api: Api },
  nowMs: number,
): Promise<AnyModel> {
  const model = await directoryCopy.find(id, readerOf(env), nowMs);
  return api === 'anthropic' ? anthropicModel(model) : openAiModel(model);
}

/** Models that can answer. */
export async function modelsNow(env: Env, nowMs: number): Promise<readonly ModelEntry[]> {
  return (await knownModels(env, nowMs)).filter(({ prefillOnly }) => !prefillOnly);
}

/** Those too that have prefill workers only. */
export function knownModels(env: Env, nowMs: number): Promise<readonly ModelEntry[]> {
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
    ...(entry.embeddingDimensions ? { embedding_dimensions: entry.embeddingDimensions } : {}),
    workers: entry.instances.length,
    status: entry.sleeping ? 'sleeping' : 'ready',
  };
}
