/**
 * The Directory object, one per deployment: which models exist, in which namespace, at which addresses, and which instances
 * of which endpoints, models' or others'. A shell around `directory.ts` and `discovery-table.ts`; `rpc.ts` has its
 * interface. Stored are models that may sleep, with their tokenizers and templates, so that a request for one can be
 * prepared and held without a worker; all else the Router objects and the sockets repeat.
 */

import { acceptSocket, DurableObject, hostOf } from '#platform';
import type { Host } from '../platform/host.ts';
import { hearSocket } from '../platform/socket.ts';
import { Sweep } from '../platform/sweep.ts';
import { settingsFromEnv } from '../runtime/config.ts';
import { DISCOVERY_PROTOCOL } from '../runtime/discovery-frames.ts';
import { StatorError, toStatorError } from '../runtime/errors.ts';
import { LIMITS } from '../runtime/limits.ts';
import { Logger } from '../runtime/log.ts';
import { DirectoryCore } from './directory.ts';
import { DiscoveryConnection } from './discovery-connection.ts';
import { DiscoveryTable } from './discovery-table.ts';
import { FileKeeper } from './file-keeper.ts';
import {
  type DirectoryRpc,
  type DirectorySnapshot,
  type DiscoveryEntry,
  type DiscoveryList,
  LEASE_PATH,
  type ModelEntry,
} from './rpc.ts';
import { sqlFiles, sqlSleepers } from './sql-disk.ts';
import { fetchFile } from './worker-file.ts';

export class Directory extends DurableObject implements DirectoryRpc {
  readonly #host: Host;
  readonly #core: DirectoryCore;
  readonly #table: DiscoveryTable;
  readonly #leaseMs: number;
  readonly #boot: number;
  readonly #connections = new Set<DiscoveryConnection>();
  #sockets = 0;
  /** As long as there is a socket. */
  readonly #sweep: Sweep;
  readonly #files: FileKeeper;

  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env as never);
    this.#host = hostOf(ctx);
    this.#sweep = new Sweep(this.#host, LIMITS.sweepMs, (nowMs) => this.#turn(nowMs));
    this.#boot = this.#host.nowMs();
    this.#table = new DiscoveryTable(this.#boot);
    const settings = settingsFromEnv(env as Record<string, unknown>);
    this.#leaseMs = settings.leaseMs;
    const log = new Logger({ component: 'directory', level: settings.logLevel });
    this.#core = new DirectoryCore(this.#boot, {
      disk: sqlSleepers(ctx.storage.sql, settings),
      silent: (namespace) => this.#table.replace(ownerOf(namespace), []),
    });
    this.#files = new FileKeeper({
      disk: sqlFiles(ctx.storage),
      fetch: (address, sha256) => fetchFile(address, sha256, settings.fleetToken),
      failed: (sha256, thrown) =>
        log.warn('a file of a model that may sleep cannot be kept', { sha256, error: toStatorError(thrown) }),
    });
  }

  read(knownVersion: number): DirectorySnapshot | null {
    return this.#core.read(knownVersion, this.#host.nowMs());
  }

  publish(namespace: string, models: ModelEntry[], instances: DiscoveryEntry[]): number {
    const version = this.#core.publish(namespace, models, this.#host.nowMs());
    const known = this.#core.read(-1, this.#host.nowMs())?.models ?? [];
    this.#files.follow(known.filter(({ maySleep }) => maySleep));
    this.#table.replace(ownerOf(namespace), instances);
    return version;
  }

  file(sha256: string, piece: number): Uint8Array | null {
    return this.#files.piece(sha256, piece);
  }

  list(prefix: string, knownVersion: number): DiscoveryList | null {
    this.#core.forgetSilent(this.#host.nowMs());
    const { version } = this.#table;
    return version === knownVersion ? null : { version, entries: this.#table.list(prefix) };
  }

  /**
   * The upgrade of a discovery socket; the function in front has checked the token. At `LEASE_PATH` the client puts and watches
   * by frames, elsewhere it watches what `?prefix=` says.
   */
  override fetch(request: Request): Response {
    if (this.#connections.size >= LIMITS.discoveryWatchers) {
      const error = new StatorError(
        'overloaded',
        `${LIMITS.discoveryWatchers} sockets of discovery are open`,
      );
      return Response.json(error.toOpenAi(), { status: error.httpStatus });
    }
    const { pathname, searchParams } = new URL(request.url);
    const offered = request.headers.get('sec-websocket-protocol')?.split(',') ?? [];
    const speaks = offered.some((name) => name.trim() === DISCOVERY_PROTOCOL);
    const { response, socket } = acceptSocket(this.ctx, speaks ? DISCOVERY_PROTOCOL : null);
    const mayPut = pathname === LEASE_PATH;
    const connection = new DiscoveryConnection({
      table: this.#table,
      socket,
      owner: `socket:${this.#sockets++}`,
      mayPut,
      boot: this.#boot,
      leaseMs: this.#leaseMs,
      nowMs: this.#host.nowMs(),
    });
    hearSocket(socket, {
      receive: (data) => connection.receive(data, this.#host.nowMs()),
      closed: () => {
        this.#connections.delete(connection);
        connection.closed();
      },
    });
    this.#connections.add(connection);
    if (!mayPut) connection.watch(searchParams.get('prefix') ?? '', 0);
    this.#sweep.start();
    return response;
  }

  #turn(nowMs: number): boolean {
    this.#core.forgetSilent(nowMs);
    for (const connection of this.#connections) connection.tick(nowMs);
    return this.#connections.size > 0;
  }
}

/** What a namespace's Router object publishes is its own. */
const ownerOf = (namespace: string): string => `namespace:${namespace}`;
