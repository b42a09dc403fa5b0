/**
 * Which pool a request belongs to, and which are tried after it (semantics §9). Pure. Grids are Dynamo's:
 * `step = (max − min) / resolution; cell = clamp(trunc((x − min) / step), 0, resolution − 1)`.
 */
import type { GlobalRouterConfig, PoolGroup, Quantity } from '../../durable/global-router/rpc.ts';

/** What a grid asks of a request; null: the client named none. */
export interface PoolWishes {
  promptTokens: number;
  ttftTargetMs: number | null;
  itlTargetMs: number | null;
  /** Of the agent's hints; null: none, so that no override matches. */
  priority: number | null;
}

type Defaults = Pick<GlobalRouterConfig, 'defaultTtftTargetMs' | 'defaultItlTargetMs'>;

/** Index of a pool: the first override that matches, else the cell. */
export function selectPool(group: PoolGroup, wishes: PoolWishes, defaults: Defaults): number {
  const { priority } = wishes;
  if (priority !== null) {
    for (const { minPriority, maxPriority, targetPool } of group.overrides) {
      if (minPriority <= priority && priority <= maxPriority) return targetPool;
    }
  }
  let cell = 0;
  for (const { quantity, min, max, resolution } of group.axes) {
    const value = measured(quantity, wishes, defaults) ?? (min + max) / 2;
    const step = (max - min) / resolution;
    const at = Math.trunc((value - min) / step);
    cell = cell * resolution + Math.max(0, Math.min(at, resolution - 1));
  }
  return group.mapping[cell]!;
}

function measured(
  quantity: Quantity,
  { promptTokens, ttftTargetMs, itlTargetMs }: PoolWishes,
  { defaultTtftTargetMs, defaultItlTargetMs }: Defaults,
): number | null {
  switch (quantity) {
    case 'isl':
    case 'context_length':
      return promptTokens;
    case 'ttft':
      return ttftTargetMs ?? defaultTtftTargetMs;
    case 'itl':
      return itlTargetMs ?? defaultItlTargetMs;
  }
}

/** The selected pool, then with priority retry all that are strictly faster, from the slowest to the fastest, in their order. */
export function retryOrder({ pools }: PoolGroup, selected: number, enablePriorityRetry: boolean): number[] {
  if (!enablePriorityRetry) return [selected];
  const { priority } = pools[selected]!;
  const faster = pools.map((_, at) => at).filter((at) => pools[at]!.priority < priority);
  faster.sort((left, right) => pools[right]!.priority - pools[left]!.priority || left - right);
  return [selected, ...faster];
}
