/** How the llama engine is started: its options, the model's card, and what of the GGUF file decides them. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import * as z from 'zod';
import { StatorError } from '../../../durable/runtime/errors.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { BUILT_IN_MODEL_PATH } from '../../models/built-in.ts';
import { floatKind, writeAsF32 } from '../../models/gguf/expand.ts';
import { fingerprint } from '../../models/gguf/fingerprint.ts';
import { type GgufModelFacts, modelFacts, TOKEN_TYPE } from '../../models/gguf/metadata.ts';
import { type GgufHeader, readGgufHeader } from '../../models/gguf/reader.ts';
import { tokenizerJson } from '../../models/gguf/tokenizer-json.ts';
import {
  type ModelCard,
  ModelCardSchema,
  ModelInput,
  ModelType,
} from '../../proto/gen/stator/v1/model_pb.js';
import { ArtifactStore } from '../artifacts.ts';
import { TokenMasks } from '../constraint/token-masks.ts';
import type { Engine, EngineInfo, EngineKind, EngineOptions } from '../engine.ts';
import { parseExtra } from '../extra-options.ts';
import { wasmBlockHasher } from '../wasm-hasher.ts';
import { measureLayout } from './block-layout.ts';
import { LlamaContext } from './context.ts';
import { LlamaEmbedder, POOLING } from './embedder.ts';
import { LlamaEmbeddingEngine } from './embedding-engine.ts';
import { LlamaEngine } from './engine.ts';
import { ExportQueue } from './export-queue.ts';
import { type Llama, loadLlama } from './library.ts';
import { LlamaModel } from './model.ts';
import { tokenizerDifference } from './tokenizer-check.ts';

const count = z.coerce.number().int().min(1);

/** `extra` of the llama engine. */
const EXTRA = z.object({
  /** More than one is slower on a busy host. */
  threads: count.max(256).default(1),
  /** Layers on the GPU: `library-place.ts` says what that needs. */
  gpuLayers: z.coerce.number().int().min(0).default(0),
  cudaLibrary: z.string().default(''),
  maxNumSeqs: count.max(128).default(32),
  maxNumBatchedTokens: count.max(4_096).default(512),
  /** Blocks of the KV cache; default: four contexts, at most 3,072 tokens, and one context at least (attention spans the whole cache). */
  totalBlocks: count.optional(),
});

const DEFAULT_CONTEXT_TOKENS = 4_096;
const CACHE_CONTEXTS = 4;
const CACHE_TOKENS = 3_072;
/** Sequence ids for finished requests whose blocks stay cached; llama.cpp's cost of a batch grows with their square. */
const LEAST_RETAINED = 32;
const BLOCKS_A_RETAINED = 4;

export const llamaKind: EngineKind = {
  name: 'llama',
  summary: 'llama.cpp in process: any GGUF file, on the CPU or a GPU',
  async start(options) {
    const extra = parseExtra(options.extra, { engine: 'llama', schema: EXTRA });
    const path = options.modelPath || BUILT_IN_MODEL_PATH;
    const header = await readGgufHeader(path);
    const facts = modelFacts(header);
    const llama = loadLlama(extra);
    // On a GPU nobody has measured whether tokens depend on the batch: no model counts as exact there, and none is expanded.
    const floats = extra.gpuLayers > 0 ? 'other' : floatKind(header);
    const expand = floats === 'f16' && header.fileBytes <= LIMITS.ggufExpandBytes;
    const { gpuLayers } = extra;
    const model = expand
      ? await loadExpanded(llama, { header, gpuLayers })
      : await LlamaModel.load(llama, { path, gpuLayers });
    try {
      return await build({ options, extra, header, facts, model, exact: expand || floats === 'f32' });
    } catch (thrown) {
      model.free();
      throw thrown;
    }
  },
};

/** Loads a 16-bit model in F32, by way of a temporary file that is gone when this returns. */
async function loadExpanded(
  llama: Llama,
  options: { header: GgufHeader; gpuLayers: number },
): Promise<LlamaModel> {
  const folder = await mkdtemp(join(tmpdir(), 'stator-f32-'));
  try {
    const path = join(folder, basename(options.header.path));
    await writeAsF32(options.header, path);
    return await LlamaModel.load(llama, { path, gpuLayers: options.gpuLayers });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Loaded {
  options: EngineOptions;
  extra: z.output<typeof EXTRA>;
  header: GgufHeader;
  facts: GgufModelFacts;
  model: LlamaModel;
  /** Tokens do not depend on the batch. */
  exact: boolean;
}

async function build(loaded: Loaded): Promise<Engine> {
  const { options, extra, facts, model, exact } = loaded;
  if (model.llama.modelHasEncoder(model.handle)) {
    throw new StatorError('engine_error', `${loaded.header.path} is an encoder model; it cannot generate`);
  }
  const { blockSizeTokens } = options;
  const contextLengthTokens = contextLength(loaded);
  const embedder = makeEmbedder(loaded, contextLengthTokens);
  const prefixCaching = !model.isRecurrent;
  const scratch = options.kvMemory !== undefined;
  if (scratch && !(prefixCaching && facts.causal)) {
    const message = 'KV memory: the state of this model cannot be cut into blocks';
    throw new StatorError('invalid_request', message, { param: 'kvbmHostCacheGb' });
  }
  if (embedder !== null && !facts.causal) return buildEmbedding(loaded, { embedder, contextLengthTokens });
  const least = Math.ceil(contextLengthTokens / blockSizeTokens);
  const roomy = Math.ceil(Math.min(CACHE_CONTEXTS * contextLengthTokens, CACHE_TOKENS) / blockSizeTokens);
  const totalBlocks = Math.max(least, extra.totalBlocks ?? roomy);
  const { maxNumSeqs, threads } = extra;
  const maxNumBatchedTokens = Math.max(extra.maxNumBatchedTokens, 2 * maxNumSeqs);
  const retained = Math.max(LEAST_RETAINED, Math.ceil(totalBlocks / BLOCKS_A_RETAINED));
  const most = Number(model.llama.maxSequences()) - (scratch ? 1 : 0);
  const sequences = Math.min(most, maxNumSeqs + retained);
  const context = new LlamaContext(model, {
    cells: totalBlocks * blockSizeTokens,
    batchTokens: maxNumBatchedTokens,
    sequences,
    scratch,
    threads,
    exact,
    onGpu: extra.gpuLayers > 0,
  });
  const kv = await openKv(loaded, context).catch((thrown: unknown) => {
    context.free();
    throw thrown;
  });
  const artifacts = new ArtifactStore();
  const info: EngineInfo = {
    engine: 'llama',
    card: makeCard(loaded, { artifacts, contextLengthTokens, embedder }),
    artifacts: artifacts.files,
    blockSizeTokens,
    totalBlocks,
    maxNumSeqs,
    maxNumBatchedTokens,
    contextLengthTokens,
    deterministic: exact,
  };
  const vocabularySize = model.size;
  const grammars = new TokenMasks(model);
  if (model.endIds.length > 0) grammars.prepare();
  return new LlamaEngine({
    info,
    model,
    context,
    shape: { ...info, vocabularySize, prefixCaching, watermark: 0 },
    sequences,
    hasher: wasmBlockHasher,
    controlTokens: controlTokens(facts),
    grammars,
    embedder,
    kv,
  });
}

async function openKv({ options, header, facts, model, exact }: Loaded, context: LlamaContext) {
  if (options.kvMemory === undefined) return null;
  const exports = new ExportQueue();
  const layout = await measureLayout(context, {
    model: `${facts.name ?? basename(header.path, '.gguf')}@${await fingerprint(header)}`,
    attention: facts.attention,
    exact,
    libraryVersion: model.llama.version(),
    blockSizeTokens: options.blockSizeTokens,
  });
  return { manager: await options.kvMemory(layout, exports), exports };
}

/** Null: its outputs are no vectors of texts (a model that ranks). */
function makeEmbedder({ extra, facts, model }: Loaded, contextLengthTokens: number): LlamaEmbedder | null {
  // A model that was not made for it says nothing: then the mean of all tokens says most of a text.
  const pooling = facts.pooling === null || facts.pooling === 0 ? POOLING.mean : facts.pooling;
  if (!(Object.values(POOLING) as number[]).includes(pooling)) return null;
  const maxTokens = Math.min(contextLengthTokens, LIMITS.embeddingTokens);
  return new LlamaEmbedder(model, {
    maxTokens,
    pooling,
    threads: extra.threads,
    onGpu: extra.gpuLayers > 0,
  });
}

function buildEmbedding(
  loaded: Loaded,
  { embedder, contextLengthTokens }: { embedder: LlamaEmbedder; contextLengthTokens: number },
): Engine {
  const { options, facts, model, exact } = loaded;
  const artifacts = new ArtifactStore();
  const { blockSizeTokens } = options;
  return new LlamaEmbeddingEngine({
    info: {
      engine: 'llama',
      card: makeCard(loaded, { artifacts, contextLengthTokens, embedder }),
      artifacts: artifacts.files,
      blockSizeTokens,
      totalBlocks: 0,
      maxNumSeqs: 1,
      maxNumBatchedTokens: contextLengthTokens,
      contextLengthTokens,
      deterministic: exact,
    },
    model,
    embedder,
    controlTokens: controlTokens(facts),
  });
}

function contextLength({ options, facts, model }: Loaded): number {
  const trained = facts.contextLengthTokens ?? model.contextTrainedTokens;
  return options.contextLengthTokens ?? (trained > 0 ? trained : DEFAULT_CONTEXT_TOKENS);
}

function controlTokens({ tokenizer }: GgufModelFacts): string[] {
  return tokenizer.tokens.filter((_, id) => tokenizer.tokenTypes[id] === TOKEN_TYPE.control);
}

function makeCard(
  { options, header, facts, model }: Loaded,
  parts: { artifacts: ArtifactStore; contextLengthTokens: number; embedder: LlamaEmbedder | null },
): ModelCard {
  const { tokenizer, chatTemplate } = facts;
  const json = tokenizerJson(tokenizer);
  const usable = json !== null && tokenizerDifference(model, json) === null ? json : null;
  const textOf = (id: number | null) => (id === null ? '' : (tokenizer.tokens[id] ?? ''));
  return create(ModelCardSchema, {
    name: options.modelName ?? facts.name ?? basename(header.path, '.gguf'),
    description: facts.description ?? '',
    createdMs: BigInt(header.modifiedMs),
    contextLengthTokens: parts.contextLengthTokens,
    kvCacheBlockSize: options.blockSizeTokens,
    migrationLimit: LIMITS.migrations,
    modelInput: usable === null ? ModelInput.TEXT : ModelInput.TOKENS,
    ...(usable === null ? {} : { tokenizer: parts.artifacts.add(usable) }),
    ...(chatTemplate === null ? {} : { chatTemplate: parts.artifacts.addText(chatTemplate) }),
    bosToken: textOf(tokenizer.bosId),
    eosToken: textOf(tokenizer.eosId),
    eosTokenIds: [...model.endIds],
    addBosToken: model.addsBos,
    modelTypes: modelTypes(facts, parts.embedder),
    specialTokens: controlTokens(facts),
    embeddingDimensions: parts.embedder?.dimensions ?? 0,
  });
}

function modelTypes({ causal, chatTemplate }: GgufModelFacts, embedder: LlamaEmbedder | null): ModelType[] {
  const types = embedder === null ? [] : [ModelType.EMBEDDING];
  if (!causal && embedder !== null) return types;
  return chatTemplate === null
    ? [ModelType.COMPLETIONS, ...types]
    : [ModelType.CHAT, ModelType.COMPLETIONS, ...types];
}
