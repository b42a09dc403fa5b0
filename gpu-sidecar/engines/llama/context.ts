/**
 * A llama.cpp context with its batch. Not thread-safe: the engine calls `apply`, `decode` and what copies states one after
 * the other only, and nothing else while `decode` runs on the libuv pool.
 *
 * The KV cache is unified, so that sequences share cells. Flash attention is off, and for exact models the cache holds
 * F32: with either otherwise, roundings depend on how a prompt was cut and what else was in the batch, and now and then
 * another token is drawn (measured: 7 of 144 responses under load with an F16 cache, none with F32).
 */

import koffi from 'koffi';
import { StatorError } from '../../../durable/runtime/errors.ts';
import { LlamaBatch } from './batch.ts';
import type { CellOperation } from './cell-map.ts';
import { inPool, type Llama } from './library.ts';
import type { LlamaModel } from './model.ts';

/** llama.cpp: from the beginning, to the end. */
const ALL = -1;
/** ggml's numbers of element types. */
const F32 = 0;
const F16 = 1;

export interface ContextShape {
  cells: number;
  batchTokens: number;
  sequences: number;
  /** There is one sequence more, number 0 (`SCRATCH`), through which states of parts of others are copied. */
  scratch: boolean;
  threads: number;
  /** Keeps keys and values in F32 instead of F16. */
  exact: boolean;
  /** Layers are on a GPU: decode returns before it is done. */
  onGpu: boolean;
}

/** Its number is written into states: the same for all workers. */
export const SCRATCH = 0;

/** Tokens `start` to `end` (exclusive) of a sequence. */
export interface SequenceRange {
  id: number;
  start: number;
  end: number;
}

export class LlamaContext {
  #llama: Llama;
  #model: LlamaModel;
  #handle: unknown;
  #memory: unknown;
  #batch: LlamaBatch;
  #onGpu: boolean;

  constructor(model: LlamaModel, shape: ContextShape) {
    const { llama } = model;
    // llama.cpp aborts the process when a batch could not hold one output of every sequence.
    const sequences = shape.sequences + (shape.scratch ? 1 : 0);
    const n = Math.max(shape.batchTokens, sequences);
    this.#llama = llama;
    this.#model = model;
    this.#onGpu = shape.onGpu;
    llama.takeErrors();
    this.#handle = llama.contextNew(model.handle, {
      ...llama.contextDefaultParams(),
      n_ctx: shape.cells,
      n_batch: n,
      n_ubatch: n,
      n_seq_max: sequences,
      n_outputs_max: sequences,
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
    this.#batch = new LlamaBatch(llama, n);
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
    return this.#batch.add(token, place);
  }

  /**
   * Computes the batch and empties it; resolves with the logits, `vocabulary.size` numbers a wanted row, valid until
   * the next call. Rejects with StatorError `engine_error`; the cells of the batch's tokens are then undefined.
   */
  async decode(): Promise<Float32Array> {
    const { struct, rows } = this.#batch.take();
    const status = await inPool<number>(this.#llama.decode, this.#handle, struct);
    if (status !== 0) {
      const reason = this.#llama.takeErrors() || 'no reason given';
      throw new StatorError('engine_error', `llama_decode failed with ${status}: ${reason}`);
    }
    if (this.#onGpu) await inPool<void>(this.#llama.synchronize, this.#handle);
    if (rows === 0) return new Float32Array(0);
    return new Float32Array(koffi.view(this.#llama.logits(this.#handle), 4 * rows * this.#model.size));
  }

  /** Bytes of the state of these tokens. */
  stateBytes(range: SequenceRange): number {
    return this.#throughScratch(range, () => Number(this.#llama.stateSize(this.#handle, SCRATCH)));
  }

  /** Copies the keys and values of these tokens into `into`; false when they are not of exactly that size. */
  exportState(range: SequenceRange, into: Uint8Array): boolean {
    return this.#throughScratch(range, () => {
      const written = this.#llama.stateGet(this.#handle, into, into.length, SCRATCH);
      return Number(written) === into.length;
    });
  }

  /**
   * Gives a sequence tokens that it lacks, from what `exportState` wrote: their cells must be free. False, and nothing
   * changed, when llama.cpp does not take the bytes or they are of other positions.
   */
  importState(bytes: Uint8Array, { id, start, end }: SequenceRange): boolean {
    const llama = this.#llama;
    const memory = this.#memory;
    const read = Number(llama.stateSet(this.#handle, bytes, bytes.length, SCRATCH));
    const good =
      read === bytes.length &&
      llama.memoryFirst(memory, SCRATCH) === start &&
      llama.memoryLast(memory, SCRATCH) === end - 1;
    if (good) llama.memoryCopy(memory, SCRATCH, id, ALL, ALL);
    else llama.takeErrors();
    llama.memoryRemove(memory, SCRATCH, ALL, ALL);
    return good;
  }

  #throughScratch<T>({ id, start, end }: SequenceRange, use: () => T): T {
    this.#llama.memoryCopy(this.#memory, id, SCRATCH, start, end);
    const result = use();
    this.#llama.memoryRemove(this.#memory, SCRATCH, ALL, ALL);
    return result;
  }

  /** Forgets a sequence. */
  remove(id: number): void {
    this.#llama.memoryRemove(this.#memory, id, ALL, ALL);
  }

  free(): void {
    this.#batch.free();
    this.#llama.contextFree(this.#handle);
  }
}
