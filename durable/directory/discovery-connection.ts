/**
 * One socket of discovery (`durable/runtime/discovery-frames.ts`): frames in, the table changed or watched, frames out.
 *
 * What was put lives as long as the socket does and beats. A socket that broke takes it along at once: a process that can
 * be reached dials again within a second and says everything anew, and one that cannot had better not be called.
 */

import {
  type DiscoveryAnswer,
  type DiscoveryRequest,
  discoveryRequest,
  type TableChange,
} from '../runtime/discovery-frames.ts';
import { StatorError, toStatorError } from '../runtime/errors.ts';
import { LIMITS } from '../runtime/limits.ts';
import type { DiscoveryTable } from './discovery-table.ts';

/** The connection's end of the wire. */
export interface DiscoverySocket {
  send(text: string): void;
  close(code: number, reason: string): void;
}

export interface DiscoveryConnectionOptions {
  table: DiscoveryTable;
  socket: DiscoverySocket;
  /** Unique among the owners of the table. */
  owner: string;
  /** It has the fleet token. */
  mayPut: boolean;
  boot: number;
  leaseMs: number;
  nowMs: number;
}

/** Close codes; 4002 is what the fleet socket says, too. */
const LEASE_ENDED = 4002;
const REJECTED = 4000;

/** Of a table or a burst, in one frame. */
const CHANGES_PER_FRAME = 512;

export class DiscoveryConnection {
  readonly #options: DiscoveryConnectionOptions;
  readonly #watches = new Map<number, () => void>();
  #heardMs: number;
  #closed = false;

  constructor(options: DiscoveryConnectionOptions) {
    this.#options = options;
    this.#heardMs = options.nowMs;
    const { boot, leaseMs } = options;
    const heartbeatMs = Math.max(1, Math.min(LIMITS.heartbeatMs, Math.floor(leaseMs / 4)));
    this.#send({ welcome: { boot, leaseMs, heartbeatMs } });
  }

  /** One message of the socket, as the platform gave it. */
  receive(data: unknown, nowMs: number): void {
    if (this.#closed) return;
    this.#heardMs = nowMs;
    try {
      this.#handle(parseRequest(data));
    } catch (thrown) {
      const { message } = toStatorError(thrown);
      this.#end(REJECTED, message.slice(0, 100));
    }
  }

  /** The socket is gone. */
  closed(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const end of this.#watches.values()) end();
    this.#watches.clear();
    this.#options.table.replace(this.#options.owner, []);
  }

  /** Called now and then: says that the platform lives, and ends the lease of who is silent. Watchers need not speak. */
  tick(nowMs: number): void {
    if (this.#closed) return;
    const { leaseMs, mayPut } = this.#options;
    if (mayPut && nowMs - this.#heardMs > leaseMs) this.#end(LEASE_ENDED, 'lease-ended');
    else this.#send({ beat: true });
  }

  #handle(request: DiscoveryRequest): void {
    if ('beat' in request) this.#send({ beat: true });
    else if ('watch' in request) this.watch(request.watch, request.id);
    else if ('unwatch' in request) {
      this.#watches.get(request.unwatch)?.();
      this.#watches.delete(request.unwatch);
    } else this.#change(request);
  }

  #change(request: Extract<DiscoveryRequest, { put: unknown } | { delete: unknown }>): void {
    const { mayPut, owner, table } = this.#options;
    try {
      if (!mayPut)
        throw new StatorError('permission_denied', 'only workers, with the fleet token, put anything');
      if ('put' in request) table.put(owner, checked(request.put));
      else table.delete(owner, request.delete);
      this.#send({ done: request.id });
    } catch (thrown) {
      const { code, message } = toStatorError(thrown);
      this.#send({ failed: request.id, code, message });
    }
  }

  /** The list there is, then every change. */
  watch(prefix: string, id: number): void {
    if (this.#watches.has(id) || this.#watches.size >= LIMITS.discoveryWatchers) {
      throw new StatorError('invalid_frame', `watch ${id} is one too many`);
    }
    const { table } = this.#options;
    const entries = table.list(prefix);
    for (let at = 0; at < entries.length; at += CHANGES_PER_FRAME) {
      const changes = entries
        .slice(at, at + CHANGES_PER_FRAME)
        .map((entry) => ({ kind: 'added' as const, ...entry }));
      this.#send({ changes, id });
    }
    this.#send({ synced: id });
    const tell = (change: TableChange) => {
      if (change.key.startsWith(prefix)) this.#send({ changes: [change], id });
    };
    this.#watches.set(id, table.watch(tell));
  }

  #end(code: number, reason: string): void {
    this.closed();
    this.#options.socket.close(code, reason);
  }

  /** A socket that breaks while we speak is found by its close event. */
  #send(answer: DiscoveryAnswer): void {
    if (this.#closed) return;
    try {
      this.#options.socket.send(JSON.stringify(answer));
    } catch {
      this.closed();
    }
  }
}

function parseRequest(data: unknown): DiscoveryRequest {
  if (typeof data !== 'string') throw new StatorError('invalid_frame', 'frames of discovery are text');
  if (data.length > LIMITS.fleetFrameBytes)
    throw new StatorError('invalid_frame', 'a frame that is too long');
  let json: unknown;
  try {
    json = JSON.parse(data);
  } catch (cause) {
    throw new StatorError('invalid_frame', 'a frame that is no JSON', { cause });
  }
  const parsed = discoveryRequest.safeParse(json);
  if (!parsed.success) throw new StatorError('invalid_frame', 'a frame of an unknown kind');
  return parsed.data;
}

function checked(entry: { key: string; value: string }): { key: string; value: string } {
  if (entry.key.length > LIMITS.discoveryKeyLength || entry.value.length > LIMITS.discoveryValueLength) {
    throw new StatorError('invalid_request', `${entry.key.slice(0, 80)} is too long for discovery`);
  }
  return entry;
}
