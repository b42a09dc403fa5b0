/**
 * What the mock engine pretends to serve: a tokenizer (a tokenizer.json, or that of a GGUF file), a chat template and
 * the card made of them.
 */

import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import * as z from 'zod';
import { StatorError } from '../../../durable/runtime/errors.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { modelFacts } from '../../models/gguf/metadata.ts';
import { readGgufHeader } from '../../models/gguf/reader.ts';
import { tokenizerJson } from '../../models/gguf/tokenizer-json.ts';
import {
  type ModelCard,
  ModelCardSchema,
  ModelInput,
  ModelType,
} from '../../proto/gen/stator/v1/model_pb.js';
import { ArtifactStore } from '../artifacts.ts';
import { CHATML_TEMPLATE } from '../chatml.ts';
import { readTokenTable, type TokenTable } from '../token-table.ts';
import { MOCK_DIMENSIONS } from './embedder.ts';

export interface MockModel {
  card: ModelCard;
  artifacts: ReadonlyMap<string, Uint8Array>;
  tokens: TokenTable;
}

interface TokenizerSource {
  bytes: Uint8Array;
  modifiedMs: number;
  chatTemplate: string;
  bosToken: string;
  eosToken: string;
}

const END_OF_TURN = '<|im_end|>';

/** Throws StatorError `invalid_request` naming the file that cannot be used. */
export async function readMockModel(options: {
  path: string;
  name: string;
  contextLengthTokens: number;
  blockSizeTokens: number;
}): Promise<MockModel> {
  const source = options.path.endsWith('.gguf') ? await fromGguf(options.path) : await fromJson(options.path);
  const { bosToken, eosToken } = source;
  const tokens = readTokenTable(source.bytes, { path: options.path, eosTokens: [eosToken, END_OF_TURN] });
  const artifacts = new ArtifactStore();
  const card = create(ModelCardSchema, {
    name: options.name,
    description: 'Simulated: plausible timing, meaningless text.',
    createdMs: BigInt(source.modifiedMs),
    contextLengthTokens: options.contextLengthTokens,
    kvCacheBlockSize: options.blockSizeTokens,
    migrationLimit: LIMITS.migrations,
    modelInput: ModelInput.TOKENS,
    tokenizer: artifacts.add(source.bytes),
    chatTemplate: artifacts.addText(source.chatTemplate),
    bosToken,
    eosToken,
    eosTokenIds: [...new Set([eosToken, END_OF_TURN])].flatMap((token) => tokens.idOf(token) ?? []),
    addBosToken: false,
    modelTypes: [ModelType.CHAT, ModelType.COMPLETIONS, ModelType.EMBEDDING],
    embeddingDimensions: MOCK_DIMENSIONS,
    specialTokens: [...tokens.controlTokens],
  });
  return { card, artifacts: artifacts.files, tokens };
}

async function fromGguf(path: string): Promise<TokenizerSource> {
  const header = await readGgufHeader(path);
  const { tokenizer, chatTemplate } = modelFacts(header);
  const bytes = tokenizerJson(tokenizer);
  if (bytes === null) {
    const what = `${tokenizer.model}/${tokenizer.pre}`;
    throw broken(path, `has a tokenizer (${what}) without a known tokenizer.json form`);
  }
  return {
    bytes,
    modifiedMs: header.modifiedMs,
    chatTemplate: chatTemplate ?? CHATML_TEMPLATE,
    bosToken: tokenizer.tokens[tokenizer.bosId ?? -1] ?? '',
    eosToken: tokenizer.tokens[tokenizer.eosId ?? -1] ?? '',
  };
}

/** tokenizer_config.json names special tokens as text or as an object; the template may be a list of named ones. */
const NAMED_TOKEN = z.union([
  z.string(),
  z.object({ content: z.string() }).transform(({ content }) => content),
]);
const CONFIG = z.object({
  bos_token: NAMED_TOKEN.nullish(),
  eos_token: NAMED_TOKEN.nullish(),
  chat_template: z
    .union([z.string(), z.array(z.object({ name: z.string(), template: z.string() }))])
    .nullish(),
});

async function fromJson(path: string): Promise<TokenizerSource> {
  let bytes: Uint8Array;
  let modifiedMs: number;
  try {
    bytes = await readFile(path);
    modifiedMs = Math.floor((await stat(path)).mtimeMs);
  } catch (cause) {
    throw broken(path, `cannot be read (${(cause as NodeJS.ErrnoException).code})`, cause);
  }
  const configPath = join(dirname(path), 'tokenizer_config.json');
  const config = parseConfig(await optionalText(configPath), configPath);
  const jinja = await optionalText(join(dirname(path), 'chat_template.jinja'));
  const { chat_template: named } = config;
  const configured = Array.isArray(named) ? named.find(({ name }) => name === 'default')?.template : named;
  return {
    bytes,
    modifiedMs,
    chatTemplate: jinja ?? configured ?? CHATML_TEMPLATE,
    bosToken: config.bos_token ?? '',
    eosToken: config.eos_token ?? '',
  };
}

function parseConfig(text: string | null, path: string): z.output<typeof CONFIG> {
  if (text === null) return {};
  try {
    return CONFIG.parse(JSON.parse(text));
  } catch (cause) {
    throw broken(path, 'is no tokenizer configuration', cause);
  }
}

async function optionalText(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw broken(path, 'cannot be read', thrown);
  }
}

function broken(path: string, what: string, cause?: unknown): StatorError {
  return new StatorError('invalid_request', `${path} ${what}`, { param: 'tokenizer', cause });
}
