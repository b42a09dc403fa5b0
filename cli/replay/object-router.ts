/**
 * The whole Router object on the virtual clock (durable/polyfill): registered over its sockets, asked over its stub, fed
 * with frames, sweeping and publishing as it does in workerd. What it answers, it answers in later microtasks, so whoever
 * drives the simulation lets them settle.
 */

import { Directory } from '../../durable/directory/directory-object.ts';
import { ObjectNamespace, type ObjectStub } from '../../durable/polyfill/object-namespace.ts';
import type { PairedSocket } from '../../durable/polyfill/socket-pair.ts';
import type { VirtualHost } from '../../durable/polyfill/virtual-host.ts';
import { CLOSE } from '../../durable/router/fleet-connection.ts';
import { Router } from '../../durable/router/router-object.ts';
import type { RouteAnswer, RouteRequest } from '../../durable/router/rpc.ts';
import { type Settings, settingsToEnv } from '../../durable/runtime/config.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { emptyDumpFrame, registerFrame, type SimWorkerCard } from './fleet-hello.ts';
import { batchFrame } from './fleet-line.ts';
import type { Decided, SimLink, SimRouter } from './sim-router.ts';

const UPGRADE = { upgrade: 'websocket', 'sec-websocket-protocol': 'stator.fleet.v1' };

export class ObjectRouter implements SimRouter {
  readonly #host: VirtualHost;
  readonly #namespace: string;
  readonly #routers: ObjectNamespace<Router>;
  readonly #stub: ObjectStub<Router>;
  readonly #joined: Promise<void>[] = [];
  #disposed = false;

  /** `namespace`: another name for each router of a simulation. */
  constructor(settings: Settings, host: VirtualHost, namespace: string) {
    const report = (error: unknown) => {
      throw error;
    };
    const directories = new ObjectNamespace(Directory, { env: {}, host, report });
    const env = { ...settingsToEnv({ ...settings, logLevel: 'error' }), DIRECTORY: directories };
    this.#host = host;
    this.#namespace = namespace;
    this.#routers = new ObjectNamespace(Router, { env, host, report });
    this.#stub = this.#routers.getByName(namespace);
  }

  /** All workers are there. */
  async ready(): Promise<void> {
    await Promise.all(this.#joined);
  }

  join(worker: SimWorkerCard): SimLink {
    let socket: PairedSocket | null = null;
    const connect = async () => {
      const url = `http://router/fleet/v1/${this.#namespace}`;
      const response = await this.#stub.fetch(new Request(url, { headers: UPGRADE }));
      socket = (response as Response & { webSocket: PairedSocket }).webSocket;
      socket.send(registerFrame(worker));
      if (worker.publishesKvEvents) socket.send(emptyDumpFrame());
      this.#beat(socket);
    };
    const joined = connect();
    // Another router's failure may end the simulation before anybody asks for this one.
    joined.catch(() => {});
    this.#joined.push(joined);
    return { send: (frame) => socket!.send(frame), leave: () => socket!.close(CLOSE.normal, 'left') };
  }

  route(request: RouteRequest, _nowMs: number, decided: Decided): void {
    void this.#ask(this.#stub.route(request) as Promise<RouteAnswer>, decided);
  }

  dispose(): void {
    this.#disposed = true;
    this.#routers.crash(this.#routers.idFromName(this.#namespace));
  }

  async #ask(asked: Promise<RouteAnswer>, decided: Decided): Promise<void> {
    let answer = await asked;
    while (answer.kind === 'ticket') answer = await this.#stub.wait(answer.ticket);
    decided(answer, this.#host.nowMs());
  }

  /** Keeps the lease of a worker that has nothing to say. */
  #beat(socket: PairedSocket): void {
    this.#host.after(LIMITS.heartbeatMs, () => {
      if (this.#disposed) return;
      socket.send(batchFrame());
      this.#beat(socket);
    });
  }
}
