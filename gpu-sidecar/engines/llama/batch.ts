/**
 * llama.cpp's batch: tokens with their positions and sequences, written straight into its arrays. One token belongs to one
 * sequence.
 */

import koffi from 'koffi';
import type { Llama } from './library.ts';

/** Addresses of llama_batch's arrays, as koffi gives them. */
interface BatchStruct {
  n_tokens: number;
  token: unknown;
  pos: unknown;
  n_seq_id: unknown;
  seq_id: unknown;
  logits: unknown;
}

export class LlamaBatch {
  readonly #llama: Llama;
  readonly #struct: BatchStruct;
  readonly #tokens: Int32Array;
  readonly #positions: Int32Array;
  readonly #wanted: Int8Array;
  readonly #sequences: Int32Array[];
  #length = 0;
  #rows = 0;

  /** Has room for `size` tokens. */
  constructor(llama: Llama, size: number) {
    this.#llama = llama;
    this.#struct = llama.batchInit(size, 0, 1) as BatchStruct;
    const { token, pos, logits, n_seq_id, seq_id } = this.#struct;
    this.#tokens = new Int32Array(koffi.view(token, 4 * size));
    this.#positions = new Int32Array(koffi.view(pos, 4 * size));
    this.#wanted = new Int8Array(koffi.view(logits, size));
    new Int32Array(koffi.view(n_seq_id, 4 * size)).fill(1);
    const addresses = new BigUint64Array(koffi.view(seq_id, 8 * size));
    this.#sequences = Array.from({ length: size }, (_, i) => new Int32Array(koffi.view(addresses[i], 4)));
  }

  /** Adds a token; returns the row of its output, or -1 when it is not wanted. */
  add(token: number, place: { position: number; sequence: number; wanted: boolean }): number {
    const i = this.#length++;
    this.#tokens[i] = token;
    this.#positions[i] = place.position;
    this.#sequences[i]![0] = place.sequence;
    this.#wanted[i] = place.wanted ? 1 : 0;
    return place.wanted ? this.#rows++ : -1;
  }

  /** The struct to compute and how many outputs it has; the batch is empty then. */
  take(): { struct: unknown; rows: number } {
    const rows = this.#rows;
    this.#struct.n_tokens = this.#length;
    this.#length = this.#rows = 0;
    return { struct: this.#struct, rows };
  }

  free(): void {
    this.#llama.batchFree(this.#struct);
  }
}
