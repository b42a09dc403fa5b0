/** What a decode worker counts of prompts that others compute for it, by names behind the prefix. */

import type { Metrics } from '../../durable/runtime/metrics.ts';

export interface RemotePrefillMetrics {
  /** The worker had it all. */
  skipped(): void;
  running(change: 1 | -1): void;
  /** Blocks that are kept until the engine has them. */
  held(change: number): void;
  /** `why`: it was computed here after all; null: it was not. */
  ended(why: string | null, moved: { blocks: number; bytes: number }): void;
}

export function remotePrefillMetrics(metrics: Metrics): RemotePrefillMetrics {
  const outcomes = metrics.counter('remote_prefill_total', 'Prompts that others were asked to compute.', [
    'outcome',
  ]);
  const fallbacks = metrics.counter(
    'remote_prefill_fallback_total',
    'Prompts computed here although another worker was asked, by what went wrong.',
    ['reason'],
  );
  const blocks = metrics.counter('remote_prefill_blocks_total', 'KV blocks that came over.').labels();
  const bytes = metrics.counter('remote_prefill_bytes_total', 'Bytes of them.').labels();
  const running = metrics.gauge('remote_prefill_running', 'Prompts that others compute now.').labels();
  const held = metrics
    .gauge('remote_prefill_held_blocks', 'Blocks that came over and that the engine does not have yet.')
    .labels();
  const [remote, local, cached] = ['remote', 'fallback', 'cached'].map((name) => outcomes.labels(name));
  return {
    skipped: () => cached!.add(),
    running: (change) => running.add(change),
    held: (change) => held.add(change),
    ended(why, moved) {
      blocks.add(moved.blocks);
      bytes.add(moved.bytes);
      (why === null ? remote! : local!).add();
      if (why !== null) fallbacks.labels(why).add();
    },
  };
}
