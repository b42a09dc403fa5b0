/** A router's end of the fleet socket that says what the test tells it, on a free port. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { type WebSocket, WebSocketServer } from 'ws';
import {
  type RouterFrame,
  RouterFrameSchema,
  type WorkerFrame,
  WorkerFrameSchema,
} from '../../gpu-sidecar/proto/gen/stator/v1/fleet_pb.js';

export class ScriptedRouter implements AsyncDisposable {
  readonly port: number;
  readonly frames: WorkerFrame['frame'][] = [];
  readonly dials: { path: string; authorization: string; protocol: string }[] = [];
  /** Close codes of sockets that ended. */
  readonly closes: number[] = [];
  /** HTTP status instead of the upgrade; 0 = accept. */
  refuseUpgrade = 0;
  /** Answers Register; null = says nothing. */
  onRegister: RouterFrame['frame'] | null;
  acknowledge = true;
  readonly #http: Server;
  readonly #sockets = new WebSocketServer({ noServer: true });

  private constructor(http: Server, boot: number) {
    this.#http = http;
    this.port = (http.address() as AddressInfo).port;
    this.onRegister = {
      case: 'welcome',
      value: {
        $typeName: 'stator.v1.Welcome',
        routerBoot: boot,
        leaseMs: 10_000,
        heartbeatMs: 2_000,
        wantsPasses: false,
      },
    };
    http.on('upgrade', (request, socket, head) => {
      const { authorization = '', 'sec-websocket-protocol': protocol = '' } = request.headers;
      this.dials.push({ path: request.url!, authorization, protocol });
      if (this.refuseUpgrade !== 0) {
        socket.end(`HTTP/1.1 ${this.refuseUpgrade} No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`);
      } else this.#sockets.handleUpgrade(request, socket, head, (ws) => this.#serve(ws));
    });
  }

  static async open({ boot = 7, port = 0 } = {}): Promise<ScriptedRouter> {
    const http = createServer().listen(port, '127.0.0.1');
    await once(http, 'listening');
    return new ScriptedRouter(http, boot);
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}/fleet/v1/default`;
  }

  get connected(): number {
    return this.#sockets.clients.size;
  }

  of<Case extends WorkerFrame['frame']['case']>(name: Case) {
    return this.frames.filter((frame) => frame.case === name) as Extract<
      WorkerFrame['frame'],
      { case: Case }
    >[];
  }

  get heartbeats(): number {
    return this.frames.filter(isHeartbeat).length;
  }

  send(frame: RouterFrame['frame']): void {
    const bytes = toBinary(RouterFrameSchema, create(RouterFrameSchema, { frame }));
    for (const socket of this.#sockets.clients) socket.send(bytes);
  }

  sendRaw(bytes: Uint8Array): void {
    for (const socket of this.#sockets.clients) socket.send(bytes);
  }

  /** The lines break; the router lives. */
  breakLines(): void {
    for (const socket of this.#sockets.clients) socket.terminate();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.breakLines();
    await new Promise((resolve) => this.#http.close(resolve));
  }

  #serve(socket: WebSocket): void {
    socket.on('close', (code) => this.closes.push(code));
    socket.on('message', (data: Buffer) => {
      const { frame } = fromBinary(WorkerFrameSchema, data);
      this.frames.push(frame);
      if (frame.case === 'register' && this.onRegister !== null) this.send(this.onRegister);
      if (isHeartbeat(frame) && this.acknowledge)
        this.send({ case: 'ack', value: { $typeName: 'stator.v1.Ack' } });
    });
  }
}

/** A batch with nothing in it. */
const isHeartbeat = (frame: WorkerFrame['frame']): boolean =>
  frame.case === 'batch' &&
  frame.value.kvEvents.length === 0 &&
  frame.value.progress.length === 0 &&
  frame.value.load === undefined;
