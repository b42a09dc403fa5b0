/**
 * What is made from a model's files, once per isolate: the compiled chat template and the tokenizer in wasm memory.
 *
 * Found by content hash, so that two models with one tokenizer share it and a new version is a new entry. When it is
 * there, the answer comes at once and not as a promise.
 */
import type { Template } from '@huggingface/jinja';
import { BlockHasher, loadTokens, Tokenizer } from '#wasm/tokens';
import type { ModelEntry } from '../../durable/directory/rpc.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { type FileSource, fetchArtifact } from './artifacts.ts';
import { BoundedCache } from './bounded-cache.ts';
import { compileTemplate } from './chat-template.ts';

const BOUNDS = { entries: LIMITS.artifacts, bytes: LIMITS.artifactBytes };
const utf8 = new TextDecoder();

const templates = new BoundedCache<Template>(BOUNDS);
const tokenizers = new BoundedCache<Tokenizer>(BOUNDS, (tokenizer) => tokenizer.free());
let hasher: BlockHasher | null = null;

/** Throws `unsupported_parameter` when the model has no chat template. */
export function templateOf(model: ModelEntry, source: FileSource): Template | Promise<Template> {
  const sha256 = model.chatTemplateSha256;
  if (sha256 === null) {
    throw new StatorError(
      'unsupported_parameter',
      `The model '${model.name}' has no chat template; use /v1/completions.`,
      {
        param: 'messages',
      },
    );
  }
  return templates.get(sha256) ?? fetchMade(model, sha256, source, templates, compileTemplate);
}

export function tokenizerOf(model: ModelEntry, source: FileSource): Tokenizer | Promise<Tokenizer> {
  const sha256 = model.tokenizerSha256;
  if (sha256 === null) throw new StatorError('engine_error', `The model '${model.name}' names no tokenizer.`);
  return tokenizers.get(sha256) ?? fetchMade(model, sha256, source, tokenizers, makeTokenizer);
}

/** For those who use the module of hashes itself. */
export function tokensLoaded(): void {
  loadTokens();
}

/** Hashes token ids that did not come from a tokenizer here. */
export function blockHasher(): BlockHasher {
  loadTokens();
  hasher ??= new BlockHasher();
  return hasher;
}

async function fetchMade<T>(
  model: ModelEntry,
  sha256: string,
  source: FileSource,
  cache: BoundedCache<T>,
  make: (source: string) => T,
): Promise<T> {
  const bytes = await fetchArtifact(model, sha256, source);
  return cache.put(sha256, make(utf8.decode(bytes)), bytes.byteLength);
}

function makeTokenizer(source: string): Tokenizer {
  loadTokens();
  try {
    return new Tokenizer(source);
  } catch (cause) {
    throw new StatorError('engine_error', "The model's tokenizer cannot be read.", { cause });
  }
}
