/// <reference types="@cloudflare/vitest-pool-workers/types" />
/** A worker's end of a real fleet socket in workerd, and stubs of the two objects. */

import { env } from 'cloudflare:workers';
import { DIRECTORY_NAME } from '../../../durable/directory/rpc.ts';
import type { DirectoryStub, Env, RouterStub } from '../../../functions/env.ts';
import type { RouterFrame } from '../../../gpu-sidecar/proto/gen/stator/v1/fleet_pb.js';
import { parseRouterFrame } from '../../durable/router/fleet-worker.ts';

const bindings = env as unknown as Env;

export const routerStub = (namespace: string): RouterStub =>
  bindings.ROUTER.get(bindings.ROUTER.idFromName(namespace));

export const directoryStub = (): DirectoryStub =>
  bindings.DIRECTORY.get(bindings.DIRECTORY.idFromName(DIRECTORY_NAME));

export const upgradeRequest = (namespace: string, protocol = 'stator.fleet.v1'): Request =>
  new Request(`http://router/fleet/v1/${namespace}`, {
    headers: { upgrade: 'websocket', 'sec-websocket-protocol': protocol },
  });

type Kind = NonNullable<RouterFrame['frame']['case']>;

export class FleetClient {
  readonly frames: RouterFrame['frame'][] = [];
  closed: { code: number } | null = null;
  readonly #socket: WebSocket;
  #wake: () => void = () => {};

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.binaryType = 'arraybuffer';
    socket.addEventListener('message', ({ data }) => {
      this.frames.push(parseRouterFrame(new Uint8Array(data as unknown as ArrayBuffer)));
      this.#wake();
    });
    socket.addEventListener('close', ({ code }) => {
      this.closed = { code };
      this.#wake();
    });
    socket.accept();
  }

  static async open(namespace: string): Promise<FleetClient> {
    const response = await routerStub(namespace).fetch(upgradeRequest(namespace));
    if (!response.webSocket) throw new Error(`no socket: ${response.status} ${await response.text()}`);
    return new FleetClient(response.webSocket);
  }

  send(frame: Uint8Array | string): void {
    this.#socket.send(frame);
  }

  close(): void {
    this.#socket.close(1000, 'done');
  }

  /** The next frame of a kind that has come or comes, which is then forgotten. */
  async take(kind: Kind): Promise<RouterFrame['frame']> {
    for (;;) {
      const at = this.frames.findIndex((frame) => frame.case === kind);
      if (at >= 0) return this.frames.splice(at, 1)[0]!;
      if (this.closed) throw new Error(`closed with ${this.closed.code} before ${kind}`);
      await this.#next();
    }
  }

  async untilClosed(): Promise<number> {
    while (!this.closed) await this.#next();
    return this.closed.code;
  }

  #next(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

/** Asks until the answer is right; the test's own timeout ends it otherwise. */
export async function until<T>(ask: () => Promise<T>, right: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (right(answer)) return answer;
    await scheduler.wait(5);
  }
}
