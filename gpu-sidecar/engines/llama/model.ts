/**
 * A loaded GGUF model: its vocabulary and llama.cpp's own tokenizer. Loading runs on the libuv pool; the vocabulary is
 * read-only and may be used at any time.
 */

import { StatorError } from '../../../durable/runtime/errors.ts';
import type { Vocabulary } from '../engine.ts';
import { inPool, type Llama } from './library.ts';

const EMPTY = new Uint8Array(0);
const PIECE_BYTES = 256;

export class LlamaModel implements Vocabulary {
  readonly size: number;
  readonly handle: unknown;
  readonly llama: Llama;
  /** All ids that end a response. */
  readonly endIds: readonly number[];
  #vocab: unknown;
  #pieces: (Uint8Array | undefined)[] = [];
  #control: Uint8Array;
  #end: Uint8Array;

  private constructor(llama: Llama, handle: unknown) {
    this.llama = llama;
    this.handle = handle;
    this.#vocab = llama.modelVocab(handle);
    this.size = llama.vocabSize(this.#vocab);
    this.#control = new Uint8Array(this.size);
    this.#end = new Uint8Array(this.size);
    const endIds: number[] = [];
    for (let id = 0; id < this.size; id++) {
      if (llama.vocabIsControl(this.#vocab, id)) this.#control[id] = 1;
      if (!llama.vocabIsEndOfGeneration(this.#vocab, id)) continue;
      this.#end[id] = 1;
      endIds.push(id);
    }
    this.endIds = endIds;
  }

  /** Throws StatorError `engine_error` with llama.cpp's reason. */
  static async load(llama: Llama, options: { path: string; gpuLayers: number }): Promise<LlamaModel> {
    llama.takeErrors();
    const params = { ...llama.modelDefaultParams(), n_gpu_layers: options.gpuLayers };
    const handle = await inPool(llama.modelLoad, options.path, params);
    if (handle) return new LlamaModel(llama, handle);
    const reason = llama.takeErrors() || 'unknown reason';
    throw new StatorError('engine_error', `llama.cpp cannot load ${options.path}: ${reason}`, {
      param: 'model',
    });
  }

  get addsBos(): boolean {
    return this.llama.vocabAddsBos(this.#vocab);
  }

  /** Numbers in a vector of the model. */
  get embeddingSize(): number {
    return this.llama.modelEmbeddingSize(this.handle);
  }

  /** What the model was trained to see before and behind a whole text; null: nothing. */
  get frame(): { first: number | null; last: number | null } {
    const { llama } = this;
    const last = llama.vocabAddsSep(this.#vocab)
      ? llama.vocabSep(this.#vocab)
      : llama.vocabAddsEos(this.#vocab)
        ? llama.vocabEos(this.#vocab)
        : -1;
    const first = this.addsBos ? llama.vocabBos(this.#vocab) : -1;
    return { first: first < 0 ? null : first, last: last < 0 ? null : last };
  }

  /** The state cannot be cut at a token: no prefix reuse. */
  get isRecurrent(): boolean {
    return this.llama.modelIsRecurrent(this.handle) || this.llama.modelIsHybrid(this.handle);
  }

  get contextTrainedTokens(): number {
    return this.llama.modelContextTrained(this.handle);
  }

  isControl(id: number): boolean {
    return this.#control[id] === 1;
  }

  controlText(id: number): string {
    return this.isControl(id) ? Buffer.from(this.#read(id, true)).toString() : '';
  }

  isEndOfGeneration(id: number): boolean {
    return this.#end[id] === 1;
  }

  tokenBytes(id: number): Uint8Array {
    this.#pieces[id] ??= this.#piece(id);
    return this.#pieces[id];
  }

  /** llama.cpp's tokens of a text, without any that it would add at the ends. */
  tokenizePlain(text: string, options: { parseSpecial: boolean }): Uint32Array {
    const bytes = Buffer.from(text);
    const out = new Int32Array(bytes.length + 16);
    const { parseSpecial } = options;
    const count = this.llama.tokenize(this.#vocab, bytes, bytes.length, out, out.length, false, parseSpecial);
    if (count < 0) throw new StatorError('engine_error', 'llama.cpp cannot tokenise the text');
    return Uint32Array.from(out.subarray(0, count));
  }

  free(): void {
    this.llama.modelFree(this.handle);
  }

  #piece(id: number): Uint8Array {
    return id >= this.size || this.isControl(id) ? EMPTY : this.#read(id, false);
  }

  #read(id: number, special: boolean): Uint8Array {
    let buffer = Buffer.alloc(PIECE_BYTES);
    let length = this.llama.tokenToPiece(this.#vocab, id, buffer, buffer.length, 0, special);
    if (length < 0) {
      buffer = Buffer.alloc(-length);
      length = this.llama.tokenToPiece(this.#vocab, id, buffer, buffer.length, 0, special);
    }
    return Uint8Array.from(buffer.subarray(0, Math.max(length, 0)));
  }
}
