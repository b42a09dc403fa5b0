/**
 * One worker's part in disaggregation, tied together: its KV memory, the ways in which blocks leave and come, and, on decode
 * workers, remote prefill. Both roles serve and pull, so that a decode worker's blocks can go on to others.
 */

import type { Settings } from '../../durable/runtime/config.ts';
import type { Metrics } from '../../durable/runtime/metrics.ts';
import { wasmBlockHasher } from '../engines/wasm-hasher.ts';
import type { KvBlockManager } from '../kvbm/manager.ts';
import type { Timers } from '../timers.ts';
import type { FleetTls } from '../tls/fleet-tls.ts';
import { GrantBook } from '../transfer/grants.ts';
import { openBackends } from '../transfer/open-backends.ts';
import { PeerPuller } from '../transfer/peer-puller.ts';
import { BlockSource } from '../transfer/source.ts';
import { transferMetrics } from '../transfer/transfer-metrics.ts';
import { remotePrefillMetrics } from './disagg-metrics.ts';
import type { PrefillDispatcher } from './prefill-dispatcher.ts';
import { PushDispatcher } from './push-dispatcher.ts';
import { QueueDispatcher, type QueueDispatcherOptions } from './queue-dispatcher.ts';
import { RemotePrefill } from './remote-prefill.ts';

export interface ExchangeOptions {
  memory: KvBlockManager;
  settings: Settings;
  instanceId: string;
  /** Of this life of the process. */
  epoch: number;
  /** Address that peers reach this process at. */
  host: string;
  tls: FleetTls | null;
  metrics: Metrics;
  timers: Timers;
  /** Where prompts are handed over through the platform's queue. */
  queue: Omit<QueueDispatcherOptions, 'timeoutMs' | 'timers' | 'instanceId'>;
}

export interface Exchange {
  readonly source: BlockSource;
  /** null: this worker computes its prompts itself. */
  readonly remotePrefill: RemotePrefill | null;
  /** Names of the ways there are, and why there are no others. */
  readonly backends: readonly string[];
  readonly missing: readonly { name: string; reason: string }[];
  /** Before the engine stops: nothing is written or read afterwards. */
  close(): Promise<void>;
}

/** Throws StatorError `invalid_request` when the settings name a way that there is not. */
export async function openExchange(options: ExchangeOptions): Promise<Exchange> {
  const { memory, settings, instanceId, epoch, host, tls, metrics, timers } = options;
  const { fleetToken } = settings;
  const opened = await openBackends({
    wanted: settings.transferBackends,
    nixlLibrary: settings.nixlLibrary,
    cudaLibrary: settings.cudaLibrary,
    arena: memory.arena,
    host,
    tls,
    timers,
  });
  const counted = transferMetrics(metrics);
  const source = new BlockSource({
    instanceId,
    epoch: BigInt(epoch),
    blocks: memory,
    backends: opened.available,
    grants: new GrantBook(timers, counted),
    metrics: counted,
    timers,
  });
  const puller = new PeerPuller({
    instanceId,
    receiver: memory,
    backends: opened.available,
    fleetToken,
    tls,
    metrics: counted,
    timers,
  });
  const dispatcher = dispatcherOf(options);
  const remotePrefill = new RemotePrefill({
    dispatcher,
    puller,
    memory: {
      isHere: (hash) => memory.has('device', hash) || memory.has('host', hash),
      hold: (hash) => memory.hold(hash),
    },
    hasher: wasmBlockHasher,
    blockSizeTokens: settings.blockSize,
    timers,
    stallMs: settings.remotePrefillTimeoutMs,
    metrics: remotePrefillMetrics(metrics),
  });
  return {
    source,
    remotePrefill: settings.workerType === 'decode' ? remotePrefill : null,
    backends: opened.available.map(({ name }) => name),
    missing: opened.missing,
    async close() {
      dispatcher.close();
      await puller.close();
      await opened[Symbol.asyncDispose]();
    },
  };
}

/** Two stalls: a decode worker gives up after one, unless its process is gone. */
function dispatcherOf({ settings, instanceId, tls, timers, queue }: ExchangeOptions): PrefillDispatcher {
  if (settings.prefillHandoff === 'push') {
    return new PushDispatcher({ fleetToken: settings.fleetToken, tls, instanceId });
  }
  return new QueueDispatcher({
    ...queue,
    instanceId,
    timers,
    timeoutMs: 2 * settings.remotePrefillTimeoutMs,
  });
}
