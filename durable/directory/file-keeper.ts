/**
 * Keeps the files (tokenizer, chat template) of models that may sleep: fetched from a worker while there is one, by content hash,
 * bounded in number and bytes. What no such model names any more goes when there is no room.
 */

import { StatorError } from '../runtime/errors.ts';
import { LIMITS } from '../runtime/limits.ts';
import type { ModelEntry } from './rpc.ts';

export interface FilesDisk {
  /** Hash and bytes of the whole files, the oldest first. */
  list(): { sha256: string; bytes: number }[];
  piece(sha256: string, piece: number): Uint8Array | null;
  /** As a whole or not at all. */
  write(sha256: string, data: Uint8Array): void;
  remove(sha256: string): void;
}

interface FileKeeperOptions {
  disk: FilesDisk;
  /** The file with this hash, checked, from a worker. */
  fetch(address: string, sha256: string): Promise<Uint8Array>;
  failed(sha256: string, thrown: unknown): void;
}

export class FileKeeper {
  readonly #options: FileKeeperOptions;
  readonly #kept = new Map<string, number>();
  readonly #coming = new Set<string>();
  #named = new Set<string>();

  constructor(options: FileKeeperOptions) {
    this.#options = options;
    for (const { sha256, bytes } of options.disk.list()) this.#kept.set(sha256, bytes);
  }

  /** These models may sleep; what is missing of their files is fetched where a worker has it. */
  follow(models: readonly ModelEntry[]): void {
    this.#named = new Set(models.flatMap(filesOf));
    for (const model of models) {
      for (const sha256 of filesOf(model)) {
        if (this.#kept.has(sha256) || this.#coming.has(sha256) || model.addresses.length === 0) continue;
        this.#coming.add(sha256);
        void this.#keep(model.addresses, sha256).finally(() => this.#coming.delete(sha256));
      }
    }
  }

  piece(sha256: string, piece: number): Uint8Array | null {
    return this.#kept.has(sha256) ? this.#options.disk.piece(sha256, piece) : null;
  }

  async #keep(addresses: readonly string[], sha256: string): Promise<void> {
    let failure: unknown;
    for (const address of addresses) {
      try {
        const data = await this.#options.fetch(address, sha256);
        this.#makeRoom(data.byteLength);
        this.#options.disk.write(sha256, data);
        this.#kept.set(sha256, data.byteLength);
        return;
      } catch (thrown) {
        failure = thrown;
      }
    }
    this.#options.failed(sha256, failure);
  }

  #makeRoom(bytes: number): void {
    const isFull = () =>
      this.#kept.size >= LIMITS.keptFiles ||
      [...this.#kept.values()].reduce((sum, size) => sum + size, bytes) > LIMITS.keptFileBytes;
    for (const sha256 of [...this.#kept.keys()]) {
      if (!isFull()) return;
      if (this.#named.has(sha256)) continue;
      this.#options.disk.remove(sha256);
      this.#kept.delete(sha256);
    }
    if (isFull()) {
      const message = `files of models that may sleep take their limit of ${LIMITS.keptFileBytes} bytes`;
      throw new StatorError('overloaded', message);
    }
  }
}

const filesOf = ({ chatTemplateSha256, tokenizerSha256 }: ModelEntry): string[] =>
  [tokenizerSha256, chatTemplateSha256].filter((sha256) => sha256 !== null);
