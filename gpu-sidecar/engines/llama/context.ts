/**
 * A llama.cpp context with its batch. Not thread-safe: the engine calls `apply` and `decode` one after the other only,
 * and nothing else while `decode` runs on the libuv pool.
 *
 * The KV cache is unified, so that sequences share cells. Flash attention is off, and for exact models the cache holds
 * F32: with either otherwise, roundings depend on how a prompt was cut and what else was in the batch, and now and then
 * another token is drawn (measured: 7 of 144 responses under load with an F16 cache, none with F32).
 */

import koffi from 'koffi';
import { StatorError } from '../../../durable/runtime/errors.ts';
import type { CellOperation } from './cell-map.ts';
import { inPool, type Llama } from './library.ts';
import type { LlamaModel } from './model.ts';

/** ggml's numbers of element types. */
const F32 = 0;
const F16 = 1;

export interface ContextShape {
  cells: number;
  batchTokens: number;
  sequences: number;
  threads: number;
  /** Keeps keys and values in F32 instead of F16. */
  exact: boolean;
  /** Layers are on a GPU: decode returns before it is done. */
  onGpu: boolean;
}

/** Addresses of llama_batch's arrays, as koffi gives them. */
interface BatchStruct {
  n_tokens: number;
  token: unknown;
  pos: unknown;
  n_seq_id: unknown;
  seq_id: unknown;
  logits: unknown;
}

export class LlamaContext {
  #llama: Llama;
  #model: LlamaModel;
  #handle: unknown;
  #memory: unknown;
  #batch: BatchStruct;
  #tokens: Int32Array;
  #positions: Int32Array;
  #wanted: Int8Array;
  #sequences: Int32Array[];
  #onGpu: boolean;
  #length = 0;
  #rows = 0;

  constructor(model: LlamaModel, shape: ContextShape) {
    const { llama } = model;
    // llama.cpp aborts the process when a batch could not hold one output of every sequence.
    const n = Math.max(shape.batchTokens, shape.sequences);
    this.#llama = llama;
    this.#model = model;
    this.#onGpu = shape.onGpu;
    llama.takeErrors();
    this.#handle = llama.contextNew(model.handle, {
      ...llama.contextDefaultParams(),
      n_ctx: shape.cells,
      n_batch: n,
      n_ubatch: n,
      n_seq_max: shape.sequences,
      n_outputs_max: shape.sequences,
      n_threads: shape.threads,
      n_threads_batch: shape.threads,
      flash_attn_type: 0,
      type_k: shape.exact ? F32 : F16,
      type_v: shape.exact ? F32 : F16,
      offload_kqv: shape.onGpu,
      op_offload: shape.onGpu,
      kv_unified: true,
    });
    if (!this.#handle) {
      const reason = llama.takeErrors() || 'unknown reason';
      throw new StatorError(
        'engine_error',
        `llama.cpp cannot make a context of ${shape.cells} tokens (a smaller --context needs less memory): ${reason}`,
        { param: 'context' },
      );
    }
    this.#memory = llama.contextMemory(this.#handle);
    this.#batch = llama.batchInit(n, 0, 1) as BatchStruct;
    this.#tokens = new Int32Array(koffi.view(this.#batch.token, 4 * n));
    this.#positions = new Int32Array(koffi.view(this.#batch.pos, 4 * n));
    this.#wanted = new Int8Array(koffi.view(this.#batch.logits, n));
    new Int32Array(koffi.view(this.#batch.n_seq_id, 4 * n)).fill(1);
    const addresses = new BigUint64Array(koffi.view(this.#batch.seq_id, 8 * n));
    this.#sequences = Array.from({ length: n }, (_, i) => new Int32Array(koffi.view(addresses[i], 4)));
  }

  apply(operations: CellOperation[]): void {
    for (const one of operations) {
      if (one.kind === 'copy') this.#llama.memoryCopy(this.#memory, one.from, one.to, one.start, one.end);
      else this.#llama.memoryRemove(this.#memory, one.id, one.start, one.end);
    }
    operations.length = 0;
  }

  /** Adds a token to the batch; returns the row of its logits, or -1 when they are not wanted. */
  add(token: number, place: { position: number; sequence: number; wanted: boolean }): number {
    const i = this.#length++;
    this.#tokens[i] = token;
    this.#positions[i] = place.position;
    this.#sequences[i]![0] = place.sequence;
    this.#wanted[i] = place.wanted ? 1 : 0;
    return place.wanted ? this.#rows++ : -1;
  }

  /**
   * Computes the batch and empties it; resolves with the logits, `vocabulary.size` numbers a wanted row, valid until
   * the next call. Rejects with StatorError `engine_error`; the cells of the batch's tokens are then undefined.
   */
  async decode(): Promise<Float32Array> {
    const rows = this.#rows;
    this.#batch.n_tokens = this.#length;
    this.#length = this.#rows = 0;
    const status = await inPool<number>(this.#llama.decode, this.#handle, this.#batch);
    if (status !== 0) {
      const reason = this.#llama.takeErrors() || 'no reason given';
      throw new StatorError('engine_error', `llama_decode failed with ${status}: ${reason}`);
    }
    if (this.#onGpu) await inPool<void>(this.#llama.synchronize, this.#handle);
    if (rows === 0) return new Float32Array(0);
    return new Float32Array(koffi.view(this.#llama.logits(this.#handle), 4 * rows * this.#model.size));
  }

  free(): void {
    this.#llama.batchFree(this.#batch);
    this.#llama.contextFree(this.#handle);
  }
}
