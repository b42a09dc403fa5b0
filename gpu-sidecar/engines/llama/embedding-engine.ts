/** A llama engine for models that only embed: encoders, which see a text from both sides and cannot go on with it. */

import { StatorError } from '../../../durable/runtime/errors.ts';
import type { Engine, EngineInfo, EngineLoad } from '../engine.ts';
import type { LlamaEmbedder } from './embedder.ts';
import { guardedTokens } from './guarded-tokens.ts';
import type { LlamaModel } from './model.ts';

export interface EmbeddingEngineParts {
  info: EngineInfo;
  model: LlamaModel;
  embedder: LlamaEmbedder;
  controlTokens: readonly string[];
}

export class LlamaEmbeddingEngine implements Engine {
  readonly info: EngineInfo;
  readonly vocabulary: LlamaModel;
  readonly embedder: LlamaEmbedder;
  readonly #controlTokens: readonly string[];

  constructor({ info, model, embedder, controlTokens }: EmbeddingEngineParts) {
    this.info = info;
    this.vocabulary = model;
    this.embedder = embedder;
    this.#controlTokens = controlTokens;
  }

  submit(): never {
    const { name } = this.info.card;
    throw new StatorError('unsupported_parameter', `The model '${name}' makes vectors only.`, {
      param: 'model',
    });
  }

  tokenize(text: string, options: { parseSpecial: boolean; guard: string }): Uint32Array {
    return guardedTokens(text, { ...options, model: this.vocabulary, controlTokens: this.#controlTokens });
  }

  /** Nothing is cached. */
  onKvEvents(): void {}

  load(): EngineLoad {
    return { running: 0, waiting: 0, kvUsedBlocks: 0 };
  }

  clearKvBlocks(): number {
    return 0;
  }

  async stop(): Promise<void> {
    await this.embedder.stop();
    this.vocabulary.free();
  }
}
