/**
 * Vectors of texts by llama.cpp: a context of its own, made when the first text comes, because a context either generates
 * or embeds. Everything on it happens in one line, batch after batch on the libuv pool; several short texts share a batch.
 *
 * A text's tokens go through in one batch (pooling wants them together), so the context is as long as the longest text,
 * and between two batches a caller who has left ends its work. Flash attention is off, as in context.ts.
 */

import koffi from 'koffi';
import { StatorError } from '../../../durable/runtime/errors.ts';
import type { Embedder } from '../engine.ts';
import { scaleToUnit } from '../unit-length.ts';
import { LlamaBatch } from './batch.ts';
import { inPool } from './library.ts';
import type { LlamaModel } from './model.ts';

/** How a text's vector is made of its tokens' (llama.h). */
export const POOLING = { mean: 1, cls: 2, last: 3 } as const;

/** Short texts are put together up to so many tokens and texts. */
const BATCH_TOKENS = 512;
const BATCH_TEXTS = 16;

export interface EmbedderShape {
  /** Most tokens of a text, what the model wants around it included. */
  maxTokens: number;
  /** One of POOLING. */
  pooling: number;
  threads: number;
  onGpu: boolean;
}

export class LlamaEmbedder implements Embedder {
  readonly dimensions: number;
  readonly maxTokens: number;
  readonly #model: LlamaModel;
  readonly #shape: EmbedderShape;
  readonly #frame: LlamaModel['frame'];
  #context: { handle: unknown; memory: unknown; batch: LlamaBatch } | null = null;
  /** Settles when all calls so far are done; never rejects. */
  #line: Promise<unknown> = Promise.resolve();
  #stopped = false;

  constructor(model: LlamaModel, shape: EmbedderShape) {
    const { first, last } = model.frame;
    this.#model = model;
    this.#shape = shape;
    this.#frame = { first, last };
    this.dimensions = model.embeddingSize;
    this.maxTokens = shape.maxTokens - (first === null ? 0 : 1) - (last === null ? 0 : 1);
  }

  embed(inputs: readonly Uint32Array[], gone: AbortSignal): Promise<Float32Array> {
    const made = this.#line.then(() => this.#embed(inputs, gone));
    this.#line = made.catch(() => {});
    return made;
  }

  /** Ends what waits, and frees the context when what runs is done. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#line;
    if (this.#context === null) return;
    this.#context.batch.free();
    this.#model.llama.contextFree(this.#context.handle);
    this.#context = null;
  }

  async #embed(inputs: readonly Uint32Array[], gone: AbortSignal): Promise<Float32Array> {
    const rows = new Float32Array(inputs.length * this.dimensions);
    const texts = inputs.map((ids) => this.#framed(ids));
    for (let next = 0; next < texts.length; ) {
      if (gone.aborted) throw new StatorError('cancelled', 'the caller has left');
      if (this.#stopped) throw new StatorError('worker_draining', 'the engine has stopped');
      const until = batchEnd(texts, next, Math.min(BATCH_TOKENS, this.#shape.maxTokens));
      await this.#compute(texts.slice(next, until), rows.subarray(next * this.dimensions));
      next = until;
    }
    return rows;
  }

  /** One batch; the vectors go to the beginning of `rows`. */
  async #compute(texts: readonly Uint32Array[], rows: Float32Array): Promise<void> {
    const { llama } = this.#model;
    this.#context ??= await this.#open();
    const { handle, memory, batch } = this.#context;
    texts.forEach((ids, sequence) => {
      ids.forEach((id, position) => void batch.add(id, { position, sequence, wanted: true }));
    });
    // An encoder has no memory.
    if (memory) llama.memoryRemove(memory, -1, -1, -1);
    const status = await inPool<number>(llama.decode, handle, batch.take().struct);
    if (status !== 0) {
      const reason = llama.takeErrors() || 'no reason given';
      throw new StatorError('engine_error', `llama_decode failed with ${status}: ${reason}`);
    }
    if (this.#shape.onGpu) await inPool<void>(llama.synchronize, handle);
    for (let sequence = 0; sequence < texts.length; sequence++) {
      const at = llama.embeddingsOfSequence(handle, sequence);
      if (!at) throw new StatorError('engine_error', 'llama.cpp made no vector of a text');
      const vector = new Float32Array(koffi.view(at, 4 * this.dimensions));
      const row = rows.subarray(sequence * this.dimensions, (sequence + 1) * this.dimensions);
      row.set(vector);
      scaleToUnit(row);
    }
  }

  async #open() {
    const { llama, handle: model } = this.#model;
    const { maxTokens, pooling, threads, onGpu } = this.#shape;
    llama.takeErrors();
    const handle = await inPool(llama.contextNew, model, {
      ...llama.contextDefaultParams(),
      n_ctx: maxTokens,
      n_batch: maxTokens,
      n_ubatch: maxTokens,
      n_seq_max: BATCH_TEXTS,
      n_outputs_max: maxTokens,
      n_threads: threads,
      n_threads_batch: threads,
      flash_attn_type: 0,
      pooling_type: pooling,
      embeddings: true,
      offload_kqv: onGpu,
      op_offload: onGpu,
      kv_unified: true,
    });
    if (!handle) {
      const reason = llama.takeErrors() || 'unknown reason';
      throw new StatorError(
        'engine_error',
        `llama.cpp cannot make an embedding context of ${maxTokens} tokens: ${reason}`,
      );
    }
    return { handle, memory: llama.contextMemory(handle), batch: new LlamaBatch(llama, maxTokens) };
  }

  /** The text between the tokens that the model was trained to see around it, unless the caller has put them there. */
  #framed(ids: Uint32Array): Uint32Array {
    const { first, last } = this.#frame;
    const before = first !== null && ids[0] !== first ? [first] : [];
    const behind = last !== null && ids.at(-1) !== last ? [last] : [];
    return before.length + behind.length === 0 ? ids : Uint32Array.of(...before, ...ids, ...behind);
  }
}

/** How far a batch goes that begins with this text; it has one text at least, and more while they have so many tokens. */
function batchEnd(texts: readonly Uint32Array[], from: number, most: number): number {
  let tokens = texts[from]!.length;
  let until = from + 1;
  while (until < texts.length && until - from < BATCH_TEXTS) {
    tokens += texts[until]!.length;
    if (tokens > most) break;
    until++;
  }
  return until;
}
