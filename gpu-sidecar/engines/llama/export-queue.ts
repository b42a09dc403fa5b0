/**
 * Blocks that KV memory wants copied out of the engine's cache: the engine takes them between its batches, urgent ones first, else
 * in the order in which they were asked for. Made before the engine, because memory wants it to open.
 */

import type { BlockIdentity } from '../../kvbm/block.ts';
import type { DevicePort } from '../../kvbm/offload/offloader.ts';

export interface ExportJob {
  readonly identity: BlockIdentity;
  readonly into: Uint8Array;
  /** Once: whether the block's bytes are in `into`. */
  done(there: boolean): void;
}

export class ExportQueue implements DevicePort {
  readonly #urgent: ExportJob[] = [];
  readonly #others: ExportJob[] = [];
  #closed = false;
  /** Called when there is something to export. */
  onOffered = (): void => {};

  get waiting(): number {
    return this.#urgent.length + this.#others.length;
  }

  exportBlocks(
    blocks: readonly { identity: BlockIdentity; into: Uint8Array }[],
    { urgent }: { urgent: boolean },
  ): Promise<boolean[]> {
    const answers = blocks.map(() => false);
    if (this.#closed || blocks.length === 0) return Promise.resolve(answers);
    const { promise, resolve } = Promise.withResolvers<boolean[]>();
    let left = blocks.length;
    for (const [i, { identity, into }] of blocks.entries()) {
      const done = (there: boolean): void => {
        answers[i] = there;
        if (--left === 0) resolve(answers);
      };
      (urgent ? this.#urgent : this.#others).push({ identity, into, done });
    }
    this.onOffered();
    return promise;
  }

  /** The next job, only an urgent one if that is asked for. */
  take(options: { urgentOnly: boolean }): ExportJob | undefined {
    return this.#urgent.shift() ?? (options.urgentOnly ? undefined : this.#others.shift());
  }

  /** Nothing is exported any more. */
  close(): void {
    this.#closed = true;
    for (const { done } of [...this.#urgent.splice(0), ...this.#others.splice(0)]) done(false);
  }
}
