/** A Router core on a manual clock with naive indexes, and fleet sockets to it without a wire. */

import { FleetConnection } from '../../../durable/router/fleet-connection.ts';
import { type Policy, policyOf } from '../../../durable/router/policy.ts';
import { RouterCore, type RouterOptions } from '../../../durable/router/router.ts';
import type { RouteAnswer, RouteDecision, RouteRequest } from '../../../durable/router/rpc.ts';
import { ManualClock } from '../../../durable/runtime/clock.ts';
import { resolveSettings } from '../../../durable/runtime/config.ts';
import { Logger } from '../../../durable/runtime/log.ts';
import type { RouterFrame } from '../../../gpu-sidecar/proto/gen/stator/v1/fleet_pb.js';
import { dumpFrame, parseRouterFrame, registerFrame } from './fleet-worker.ts';
import { hashes, naiveIndexes } from './naive-indexes.ts';

export const BLOCK = 4;

/** The default policy, with Dynamo's cost and without chance. */
export const testPolicy = (overrides: Partial<Policy> = {}): Policy => ({
  ...policyOf(resolveSettings([]), () => 0.5),
  rule: 'dynamo',
  ...overrides,
});

export class Harness {
  readonly clock = new ManualClock(1_000_000);
  changes = 0;
  readonly core: RouterCore;

  constructor(
    policy: Partial<Policy> = {},
    more: Partial<
      Pick<RouterOptions, 'snapshots' | 'queuePolicy' | 'indexes' | 'sleep' | 'keepsPasses'>
    > = {},
  ) {
    this.core = new RouterCore({
      policy: testPolicy(policy),
      clock: this.clock,
      indexes: naiveIndexes,
      ...more,
      log: new Logger({ component: 'test', write: () => {} }),
      leaseMs: 10_000,
      metricsPrefix: 'stator',
      changed: () => this.changes++,
    });
  }

  connect(): TestSocket {
    return new TestSocket(this);
  }

  /** A registered worker whose (empty or given) index the router knows. */
  worker(instanceId: string, overrides: Parameters<typeof registerFrame>[0] = {}, paths: number[][] = []) {
    const socket = this.connect();
    socket.send(registerFrame({ instanceId, ...overrides }));
    socket.send(paths.length === 0 ? dumpFrame([]) : dumpFrame(paths, 0));
    return socket;
  }

  route(request: Partial<RouteRequest> & { blocks?: number[] } = {}): RouteAnswer {
    const { blocks = [], ...rest } = request;
    return this.core.route({
      requestId: 'req_1',
      model: 'tiny',
      blockHashes: hashes(...blocks),
      promptTokens: blocks.length * BLOCK + 1,
      ...rest,
    });
  }

  decide(request: Partial<RouteRequest> & { blocks?: number[] } = {}): RouteDecision {
    const answer = this.route(request);
    if (answer.kind !== 'decision') throw new Error(JSON.stringify(answer));
    return answer;
  }

  /** The status of one worker. */
  state(instanceId: string) {
    const found = this.core.status().workers.find((worker) => worker.instanceId === instanceId);
    if (!found) throw new Error(`no worker ${instanceId}`);
    return found;
  }
}

export class TestSocket {
  readonly frames: RouterFrame['frame'][] = [];
  closed: { code: number; reason: string } | null = null;
  readonly #harness: Harness;
  readonly #connection: FleetConnection;

  constructor(harness: Harness) {
    this.#harness = harness;
    const socket = {
      send: (frame: Uint8Array) => this.frames.push(parseRouterFrame(frame)),
      close: (code: number, reason: string) => {
        this.closed ??= { code, reason };
      },
    };
    this.#connection = new FleetConnection(harness.core, socket, harness.clock.nowMs());
  }

  get kinds(): (string | undefined)[] {
    return this.frames.map((frame) => frame.case);
  }

  /** Code of the Rejected frame, if one came. */
  get rejection(): string | undefined {
    const frame = this.frames.find(({ case: kind }) => kind === 'rejected');
    return frame?.case === 'rejected' ? frame.value.code : undefined;
  }

  send(data: unknown): void {
    const exact = data instanceof Uint8Array ? data.slice().buffer : data;
    this.#connection.receive(exact, this.#harness.clock.nowMs());
  }

  tick(): void {
    this.#connection.tick(this.#harness.clock.nowMs());
  }

  hangUp(code = 1000): void {
    this.#connection.closed(code, this.#harness.clock.nowMs());
  }
}
