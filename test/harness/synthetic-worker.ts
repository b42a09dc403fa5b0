/**
 * A worker without an engine: the sidecar's real event log and fleet client, holding whatever blocks it is given. Many fit
 * into one process, so that a test can have a large fleet on real sockets. It cannot generate.
 */

import { wallClock } from '../../durable/runtime/clock.ts';
import { Logger } from '../../durable/runtime/log.ts';
import { FleetClient } from '../../gpu-sidecar/fleet/client.ts';
import { Outbox } from '../../gpu-sidecar/fleet/outbox.ts';
import { ProgressBook } from '../../gpu-sidecar/fleet/progress.ts';
import { WorkerEvents } from '../../gpu-sidecar/fleet/worker-events.ts';
import { workerLimits } from '../../gpu-sidecar/server/worker-limits.ts';
import { systemTimers } from '../../gpu-sidecar/timers.ts';
import { registerMessage } from '../durable/router/fleet-worker.ts';

const IDLE = { running: 0, waiting: 0, kvUsedBlocks: 0 };
const BLOCKS_PER_EVENT = 64;

export class SyntheticWorker {
  readonly events: WorkerEvents;
  readonly #client: FleetClient;

  /** `url` as `http://host:port` of the platform. */
  constructor(options: { url: string; token: string; register: Parameters<typeof registerMessage>[0] }) {
    const { fleetFrameBytes, eventRing, dumpBlocksPerFrame } = workerLimits;
    const changed = () => this.#client?.changed();
    this.events = new WorkerEvents({ ring: eventRing, dumpBlocksPerFrame, changed });
    const progress = new ProgressBook(1, changed);
    this.#client = new FleetClient({
      url: () => `${options.url.replace('http', 'ws')}/fleet/v1/default`,
      token: options.token,
      register: registerMessage(options.register),
      outbox: new Outbox({ events: this.events, progress, load: () => IDLE, frameBytes: fleetFrameBytes }),
      dump: () => this.events.dump(),
      snapshotPiece: (piece) => this.events.snapshotPiece(piece),
      commands: {
        welcomed: () => {},
        drain: () => {},
        clearKv: () => {},
        refused: ({ error }) => {
          throw error;
        },
      },
      clock: wallClock,
      timers: systemTimers,
      random: Math.random,
      limits: workerLimits,
      log: new Logger({ component: 'synthetic', write: () => {} }),
    });
  }

  /** Holds a path from the root (equal engine and local hashes) from now on, told in events of 64 blocks. */
  hold(path: Uint8Array): void {
    const bytes = BLOCKS_PER_EVENT * 8;
    for (let at = 0; at < path.length; at += bytes) {
      const blockHashes = path.subarray(at, at + bytes);
      const parentHash = at === 0 ? null : path.subarray(at - 8, at);
      this.events.stored({ parentHash, blockHashes, tokensHashes: blockHashes });
    }
  }

  connect(): void {
    this.#client.start();
  }

  leave(): Promise<void> {
    return this.#client.leave();
  }
}
