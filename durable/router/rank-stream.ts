/** The KV events of one rank, in order, into its model's index; each is counted by what became of it. */

import { type Ask, KvStream } from './kv-events.ts';
import type { RouterMetrics } from './router-metrics.ts';
import type { Rank } from './workers.ts';

/** `ask`: the rank's worker is to send something again. */
export function rankStream(
  { slot, worker }: Rank,
  { metrics, ask }: { metrics: RouterMetrics; ask: (ask: Ask) => void },
): KvStream {
  const { index } = worker.model;
  return new KvStream({
    apply(change) {
      switch (change.kind) {
        case 'stored': {
          const { tier, parentHash, blockHashes, tokensHashes } = change;
          const status = index.store(slot, tier, parentHash, blockHashes, tokensHashes);
          metrics.kvEvents.labels('stored', status).add();
          return;
        }
        case 'removed': {
          const unknown = index.remove(slot, change.tier, change.blockHashes);
          metrics.kvEvents.labels('removed', unknown === 0 ? 'ok' : 'block_not_found').add();
          return;
        }
        case 'cleared':
          index.clear(slot);
          metrics.kvEvents.labels('cleared', 'ok').add();
          return;
      }
    },
    note: (what) => metrics.kvStreams.labels(what).add(),
    ask(what) {
      metrics.kvStreams.labels(what.kind).add();
      ask(what);
    },
  });
}
