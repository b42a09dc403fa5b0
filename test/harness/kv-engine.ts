/** The llama engine on the built-in model with KV memory of a test's making, and a view of what is where in it. */

import { Metrics } from '../../durable/runtime/metrics.ts';
import { LlamaEngine } from '../../gpu-sidecar/engines/llama/engine.ts';
import { llamaKind } from '../../gpu-sidecar/engines/llama/kind.ts';
import { type KvbmOptions, openKvBlockManager } from '../../gpu-sidecar/kvbm/open-manager.ts';

export interface KvEngineOptions extends Partial<Omit<KvbmOptions, 'layout' | 'device'>> {
  contextLengthTokens?: number;
  modelPath?: string;
  extra?: Record<string, string>;
}

/** Every block goes down at once, but for what the options say. */
export async function startKvEngine(options: KvEngineOptions): Promise<LlamaEngine> {
  const { contextLengthTokens = null, modelPath = '', extra = {}, ...tiers } = options;
  const engine = await llamaKind.start({
    modelPath,
    modelName: null,
    contextLengthTokens,
    blockSizeTokens: 16,
    speedup: 0,
    extra,
    kvMemory: (layout, device) =>
      openKvBlockManager({
        hostBlocks: 0,
        disk: null,
        object: null,
        eviction: 'lru',
        filterLeast: 1,
        concurrency: 4,
        batch: 16,
        metrics: new Metrics({ prefix: 'stator' }),
        ...tiers,
        layout,
        device,
      }),
  });
  if (engine instanceof LlamaEngine) return engine;
  throw new Error('the model does not generate');
}
