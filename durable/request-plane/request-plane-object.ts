/**
 * A RequestPlane object, one per namespace: functions cannot keep a connection from one request to the next, so this object
 * has that to NATS. A function's call of a worker comes as `fetch` and goes on as a message; the answer's messages become the
 * Response. There is JavaScript for each of them here, which the HTTP plane does not have (docs/decisions/0026).
 *
 * A request larger than NATS takes goes by HTTP. Nothing is stored.
 */

import type { Msg, NatsConnection } from '@nats-io/nats-core';
import { connectNats, DurableObject, hostOf } from '#platform';
import type { Host } from '../platform/host.ts';
import { Sweep } from '../platform/sweep.ts';
import { type Settings, settingsFromEnv } from '../runtime/config.ts';
import { StatorError, toStatorError } from '../runtime/errors.ts';
import { LIMITS } from '../runtime/limits.ts';
import { Logger } from '../runtime/log.ts';
import { NatsLink } from '../runtime/nats/nats-link.ts';
import {
  type Control,
  controlSubject,
  encodeControls,
  generateSubject,
  REQUEST_HEADER,
  signedBytes,
} from '../runtime/nats/request-wire.ts';
import { Answer } from './answer.ts';
import { PLANE_HEADER, type RequestPlaneRpc } from './rpc.ts';

/** Of an answer that NATS itself gives: nobody listens there. */
const NO_RESPONDERS = 503;

interface Library {
  createInbox(): string;
  headers(): { set(name: string, value: string): void };
  natsOptions(settings: Settings, name: string): Parameters<typeof connectNats>[0];
}

export class RequestPlane extends DurableObject implements RequestPlaneRpc {
  readonly #host: Host;
  readonly #settings: Settings;
  readonly #log: Logger;
  readonly #answers = new Map<string, Answer>();
  #link: NatsLink | null = null;
  #library: Library | null = null;
  #key: CryptoKey | null = null;
  #inbox = '';
  #opened = Promise.withResolvers<void>();
  readonly #sweep: Sweep;
  #beatMs = 0;

  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env as never);
    this.#host = hostOf(ctx);
    this.#sweep = new Sweep(this.#host, LIMITS.planeSweepMs, (nowMs) => this.#turn(nowMs));
    this.#settings = settingsFromEnv(env as Record<string, unknown>);
    this.#log = new Logger({ component: 'request-plane', level: this.#settings.logLevel });
  }

  override async fetch(request: Request): Promise<Response> {
    try {
      return await this.#generate(request);
    } catch (thrown) {
      const error = toStatorError(thrown);
      const headers = { 'x-stator-code': error.code };
      return Response.json(error.toOpenAi(), { status: error.httpStatus, headers });
    }
  }

  workerLost(worker: string): void {
    const nowMs = this.#host.nowMs();
    for (const answer of this.#answers.values()) if (answer.worker === worker) answer.suspect(nowMs);
  }

  async #generate(request: Request): Promise<Response> {
    const worker = request.headers.get(PLANE_HEADER.worker) ?? '';
    const [body, connection] = await Promise.all([
      request.arrayBuffer().then((buffer) => new Uint8Array(buffer)),
      this.#connection(),
    ]);
    if (body.length + LIMITS.planeAckBytes > (connection.info?.max_payload ?? 0))
      return this.#byHttp(request, body);
    const id = crypto.randomUUID();
    const inbox = `${this.#inbox}.${id}`;
    const answer = new Answer({
      id,
      worker,
      control: (control) => this.#control(worker, [control]),
      over: () => this.#answers.delete(id),
      nowMs: this.#host.nowMs(),
    });
    request.signal.addEventListener('abort', () => answer.abandon());
    const mac = await this.#mac(signedBytes(id, inbox, body));
    const headers = this.#library!.headers();
    headers.set(REQUEST_HEADER.id, id);
    headers.set(REQUEST_HEADER.mac, mac);
    this.#answers.set(id, answer);
    this.#sweep.start();
    connection.publish(generateSubject(this.#settings.namespace, worker), body, {
      reply: inbox,
      headers: headers as never,
    });
    return answer.response;
  }

  /** Waits a little for a server that is away. */
  async #connection(): Promise<NatsConnection> {
    if (this.#link === null) await this.#open();
    if (this.#link!.connection === null) {
      const late = new Promise<void>((resolve) => this.#host.after(LIMITS.natsConnectMs, resolve));
      await Promise.race([this.#opened.promise, late]);
    }
    const connection = this.#link!.connection;
    if (connection === null) throw new StatorError('worker_unavailable', 'NATS, the request plane, is away.');
    return connection;
  }

  async #open(): Promise<void> {
    // Before anything is awaited, so that it is done once.
    const link = new NatsLink({
      connect: async () => {
        this.#library = await import('./nats-library.ts');
        return connectNats(
          this.#library.natsOptions(this.#settings, `stator-requests-${this.#settings.namespace}`),
        );
      },
      opened: (connection) => this.#listen(connection),
      back: () => this.#opened.resolve(),
      note: (what) => {
        if (what === 'disconnected') this.#opened = Promise.withResolvers();
      },
      after: (delayMs, task) => this.#host.after(delayMs, task),
      log: this.#log,
    });
    this.#link = link;
    link.start();
  }

  #listen(connection: NatsConnection): void {
    this.#inbox = this.#library!.createInbox();
    connection.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        if (!error) this.#receive(message);
      },
    });
    this.#opened.resolve();
  }

  #receive({ data, headers, subject }: Msg): void {
    const answer = this.#answers.get(subject.slice(subject.lastIndexOf('.') + 1));
    if (!answer) return;
    if (headers?.code === NO_RESPONDERS) {
      answer.fail(new StatorError('worker_unavailable', 'By NATS: no worker listens there.'));
    } else answer.receive(data, this.#host.nowMs());
  }

  async #mac(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
    const algorithm = { name: 'HMAC', hash: 'SHA-256' };
    const secret = new TextEncoder().encode(this.#settings.fleetToken);
    this.#key ??= await crypto.subtle.importKey('raw', secret, algorithm, false, ['sign']);
    const mac = new Uint8Array(await crypto.subtle.sign('HMAC', this.#key, bytes));
    return Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join('');
  }

  #control(worker: string, controls: readonly Control[]): void {
    this.#link?.connection?.publish(
      controlSubject(this.#settings.namespace, worker),
      encodeControls(controls),
    );
  }

  #byHttp(request: Request, body: Uint8Array<ArrayBuffer>): Promise<Response> {
    const address = request.headers.get(PLANE_HEADER.address) ?? '';
    const headers = {
      'content-type': 'application/proto',
      authorization: `Bearer ${this.#settings.fleetToken}`,
    };
    const { signal } = request;
    return fetch(`${address}/stator.v1.Worker/Generate`, { method: 'POST', headers, body, signal });
  }

  /** While answers come: who is silent is given up, and every worker hears now and then that its reader lives. */
  #turn(nowMs: number): boolean {
    for (const answer of [...this.#answers.values()]) answer.tick(nowMs);
    if (nowMs - this.#beatMs >= LIMITS.planeAliveMs) {
      this.#beatMs = nowMs;
      this.#beat();
    }
    return this.#answers.size > 0;
  }

  #beat(): void {
    const byWorker = Map.groupBy(this.#answers.values(), ({ worker }) => worker);
    for (const [worker, answers] of byWorker)
      this.#control(
        worker,
        answers.map(({ ack }) => ack),
      );
  }
}
