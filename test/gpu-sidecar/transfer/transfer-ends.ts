/** The two ends of transfers as workers have them, over a real gRPC listener, with memory of their own. */

import { Server, ServerCredentials } from '@grpc/grpc-js';
import { Metrics } from '../../../durable/runtime/metrics.ts';
import type { BlockLayout } from '../../../gpu-sidecar/kvbm/layout.ts';
import type { HostArena } from '../../../gpu-sidecar/kvbm/tiers/host-arena.ts';
import { Bearer } from '../../../gpu-sidecar/server/bearer.ts';
import { serveKvTransfer } from '../../../gpu-sidecar/server/grpc.ts';
import { systemTimers, type Timers } from '../../../gpu-sidecar/timers.ts';
import type { FleetTls } from '../../../gpu-sidecar/tls/fleet-tls.ts';
import type { TransferBackend } from '../../../gpu-sidecar/transfer/backend.ts';
import { GrantBook } from '../../../gpu-sidecar/transfer/grants.ts';
import { PeerPuller } from '../../../gpu-sidecar/transfer/peer-puller.ts';
import { BlockSource } from '../../../gpu-sidecar/transfer/source.ts';
import { type TransferMetrics, transferMetrics } from '../../../gpu-sidecar/transfer/transfer-metrics.ts';
import { MemoryReceiver, MemoryServer } from './memory-blocks.ts';

const FLEET_TOKEN = 'fleet-token-of-the-tests';

export interface EndOptions {
  layout: BlockLayout;
  capacityBlocks: number;
  /** The way that blocks move. */
  open: (arena: HostArena, timers: Timers) => Promise<TransferBackend>;
  timers?: Timers;
  tls?: FleetTls | null;
}

export interface SourceOptions extends EndOptions {
  epoch?: bigint;
  /** 0: any free port. */
  port?: number;
}

/** What was counted, as Prometheus has it. */
function metricsOf(): { metrics: TransferMetrics; counted: (line: string) => number } {
  const registry = new Metrics({ prefix: 'stator' });
  const counted = (line: string) => {
    const found = registry
      .text()
      .split('\n')
      .find((text) => text.startsWith(`stator_${line} `));
    return found === undefined ? 0 : Number(found.split(' ').at(-1));
  };
  return { metrics: transferMetrics(registry), counted };
}

export class SourceEnd implements AsyncDisposable {
  readonly blocks: MemoryServer;
  readonly grants: GrantBook;
  readonly counted: (line: string) => number;
  readonly #server: Server;
  readonly #backend: TransferBackend;
  address = '';

  private constructor(blocks: MemoryServer, backend: TransferBackend, options: SourceOptions) {
    const { metrics, counted } = metricsOf();
    const timers = options.timers ?? systemTimers;
    this.blocks = blocks;
    this.#backend = backend;
    this.counted = counted;
    this.grants = new GrantBook(timers, metrics);
    const source = new BlockSource({
      instanceId: '00000000000000a1',
      epoch: options.epoch ?? 1n,
      blocks,
      backends: [backend],
      grants: this.grants,
      metrics,
      timers,
    });
    this.#server = new Server();
    serveKvTransfer(this.#server, new Bearer(FLEET_TOKEN), source);
  }

  static async open(options: SourceOptions): Promise<SourceEnd> {
    const blocks = new MemoryServer(options.layout, options.capacityBlocks);
    const backend = await options.open(blocks.arena, options.timers ?? systemTimers);
    const end = new SourceEnd(blocks, backend, options);
    const { tls = null } = options;
    const own = tls && { private_key: Buffer.from(tls.key), cert_chain: Buffer.from(tls.cert) };
    const listen = own
      ? ServerCredentials.createSsl(Buffer.from(tls.ca), [own], true)
      : ServerCredentials.createInsecure();
    const port = await new Promise<number>((resolve, reject) =>
      end.#server.bindAsync(`127.0.0.1:${options.port ?? 0}`, listen, (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
    end.address = `127.0.0.1:${port}`;
    return end;
  }

  /** Connections break at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.grants.endAll();
    this.#server.forceShutdown();
    await this.#backend[Symbol.asyncDispose]();
  }
}

export class ReaderEnd implements AsyncDisposable {
  readonly blocks: MemoryReceiver;
  readonly puller: PeerPuller;
  readonly counted: (line: string) => number;
  readonly #backend: TransferBackend;

  private constructor(
    blocks: MemoryReceiver,
    backend: TransferBackend,
    options: EndOptions & { fleetToken?: string },
  ) {
    const { metrics, counted } = metricsOf();
    this.blocks = blocks;
    this.counted = counted;
    this.#backend = backend;
    this.puller = new PeerPuller({
      instanceId: '00000000000000b2',
      receiver: blocks,
      backends: [backend],
      fleetToken: options.fleetToken ?? FLEET_TOKEN,
      tls: options.tls ?? null,
      metrics,
      timers: options.timers ?? systemTimers,
    });
  }

  static async open(options: EndOptions & { fleetToken?: string }): Promise<ReaderEnd> {
    const blocks = new MemoryReceiver(options.layout, options.capacityBlocks);
    return new ReaderEnd(blocks, await options.open(blocks.arena, options.timers ?? systemTimers), options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.puller.close();
    await this.#backend[Symbol.asyncDispose]();
  }
}
