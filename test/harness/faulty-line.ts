/**
 * A line between one real worker and the platform that fails where a test says: the worker dials it instead of the
 * platform, its Register is passed on with this line's address, so everything in both directions goes through here. A
 * call is cut behind a given byte of its body, whatever portions it came in; the fleet socket can be broken.
 */
import { once } from 'node:events';
import {
  Agent,
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { WebSocket, WebSocketServer } from 'ws';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { WorkerFrameSchema } from '../../gpu-sidecar/proto/gen/stator/v1/fleet_pb.js';
import {
  type GenerateRequest,
  GenerateRequestSchema,
} from '../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';

/** Bytes of the body that still pass; −1 = not even the head does; null = no fault. */
export type Cut = number | null;

const GENERATE = '/stator.v1.Worker/Generate';
const PROTOCOL = 'stator.fleet.v1';

export class FaultyLine implements AsyncDisposable {
  readonly #platformUrl: string;
  readonly #cutOf: (request: GenerateRequest) => Cut;
  readonly #http: Server;
  readonly #sockets = new WebSocketServer({ noServer: true });
  readonly #agent = new Agent({ keepAlive: true });
  /** Of the worker behind this line, as it registered. */
  #workerAddress = '';

  private constructor(platformUrl: string, cutOf: (request: GenerateRequest) => Cut) {
    this.#platformUrl = platformUrl;
    this.#cutOf = cutOf;
    // As a sidecar's: a connection that idles for seconds must not close under the next call.
    this.#http = createServer(
      { keepAliveTimeout: LIMITS.idleConnectionMs },
      (request, response) => void this.#call(request, response),
    );
    this.#http.on('upgrade', (request, socket, head) => {
      this.#sockets.handleUpgrade(request, socket, head, (worker) => this.#fleet(request, worker));
    });
  }

  /** `cutOf` is asked once for every Generate call. */
  static async open(platformUrl: string, cutOf: (request: GenerateRequest) => Cut): Promise<FaultyLine> {
    const line = new FaultyLine(platformUrl, cutOf);
    line.#http.listen(0, '127.0.0.1');
    await once(line.#http, 'listening');
    return line;
  }

  /** The worker's STATOR_PLATFORM_URL; and what the platform knows as the worker's address. */
  get url(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  /** The fleet socket breaks on both sides; the worker may dial again. */
  breakFleet(): void {
    for (const worker of this.#sockets.clients) worker.terminate();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.breakFleet();
    this.#agent.destroy();
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
  }

  #fleet(request: IncomingMessage, worker: WebSocket): void {
    const { authorization = '' } = request.headers;
    const url = this.#platformUrl.replace('http', 'ws') + request.url;
    const platform = new WebSocket(url, PROTOCOL, { headers: { authorization } });
    const waiting: Buffer[] = [];
    worker.on('message', (data: Buffer) => {
      const frame = this.#workerAddress === '' || data.length > 200 ? this.#redirected(data) : data;
      if (platform.readyState === WebSocket.OPEN) platform.send(frame);
      else waiting.push(frame);
    });
    platform.on('open', () => {
      for (const frame of waiting) platform.send(frame);
    });
    platform.on('message', (data: Buffer) => worker.send(data));
    for (const [one, other] of [
      [worker, platform],
      [platform, worker],
    ] as const) {
      one.on('error', () => other.terminate());
      one.on('close', (code) => (code === 1000 || code >= 4000 ? other.close(code) : other.terminate()));
    }
  }

  /** A Register with this line's address; any other frame as it is. */
  #redirected(data: Buffer): Buffer {
    const message = fromBinary(WorkerFrameSchema, data);
    if (message.frame.case !== 'register') return data;
    this.#workerAddress = message.frame.value.httpAddress;
    message.frame.value.httpAddress = this.url;
    return Buffer.from(toBinary(WorkerFrameSchema, message));
  }

  async #call(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const cut = request.url === GENERATE ? this.#cutOf(fromBinary(GenerateRequestSchema, body)) : null;
    const { method = 'POST', headers } = request;
    // What the worker tells the platform, or the platform asks of the worker.
    const to = request.url!.startsWith('/fleet/') ? this.#platformUrl : this.#workerAddress;
    const call = httpRequest(to + request.url, { method, headers, agent: this.#agent });
    response.on('close', () => call.destroy());
    call.on('error', () => response.socket?.destroy());
    call.on('response', (answer) => {
      if (cut === -1) response.socket?.destroy();
      else pass(answer, response, cut ?? Number.POSITIVE_INFINITY);
    });
    call.end(body);
  }
}

/** Passes head and body on; after `cut` bytes of it the connection ends: with a FIN, or behind an odd byte with a reset. */
function pass(answer: IncomingMessage, response: ServerResponse, cut: number): void {
  let left = cut;
  const end = () => (cut % 2 === 0 ? response.socket?.destroySoon() : response.socket?.resetAndDestroy());
  response.writeHead(answer.statusCode!, answer.rawHeaders);
  response.flushHeaders();
  if (left === 0) end();
  answer.on('data', (data: Buffer) => {
    if (left <= 0) return;
    const passed = data.subarray(0, left);
    left -= passed.length;
    if (left > 0) response.write(passed);
    else response.write(passed, end);
  });
  answer.on('end', () => left > 0 && response.end());
  answer.on('error', () => response.socket?.destroy());
}
