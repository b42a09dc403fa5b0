/** A naive model of a worker's KV cache, folded from its events alone; knows nothing of the engine. */

import type { Engine } from '../../gpu-sidecar/engines/engine.ts';

export class CacheModel {
  /** Block hash → its parent's, hex; null at the root. */
  readonly blocks = new Map<string, { parent: string | null; tokensHash: string }>();
  problems: string[] = [];
  events = 0;

  follow(engine: Engine): this {
    engine.onKvEvents({
      stored: ({ parentHash, blockHashes, tokensHashes }) => {
        this.events++;
        let parent = parentHash === null ? null : words(parentHash)[0]!;
        if (parent !== null && !this.blocks.has(parent)) this.problems.push(`parent ${parent} is unknown`);
        const local = words(tokensHashes);
        const ids = words(blockHashes);
        if (ids.length !== local.length || ids.length === 0) this.problems.push('hash counts differ');
        ids.forEach((id, i) => {
          if (this.blocks.has(id)) this.problems.push(`${id} stored twice`);
          this.blocks.set(id, { parent, tokensHash: local[i]! });
          parent = id;
        });
      },
      removed: (blockHashes) => {
        this.events++;
        for (const id of words(blockHashes)) {
          if (!this.blocks.delete(id)) this.problems.push(`${id} removed but not stored`);
        }
      },
      cleared: () => {
        this.events++;
        this.blocks.clear();
      },
    });
    return this;
  }

  /** Stored blocks whose parent is gone: nobody could ever match them. */
  orphans(): string[] {
    return [...this.blocks]
      .filter(([, { parent }]) => parent !== null && !this.blocks.has(parent))
      .map(([id]) => id);
  }

  /** Leading blocks of a path of local hashes that are stored. */
  depth(localHashes: readonly string[]): number {
    let parent: string | null = null;
    let depth = 0;
    for (const local of localHashes) {
      const next = [...this.blocks].find(
        ([, block]) => block.parent === parent && block.tokensHash === local,
      );
      if (next === undefined) break;
      parent = next[0];
      depth++;
    }
    return depth;
  }
}

/** Packed little-endian u64 as hex strings. */
export function words(packed: Uint8Array): string[] {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  return Array.from({ length: packed.length / 8 }, (_, i) => view.getBigUint64(8 * i, true).toString(16));
}
