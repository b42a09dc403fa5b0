/**
 * Requests by NATS: this worker's end. The request is what the HTTP face takes, the answer what it gives; whoever asks must
 * know the fleet token (HMAC). A platform that falls silent has its requests ended, as a broken connection would.
 */

import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Msg, NatsConnection } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import { StatorError, toStatorError } from '../../durable/runtime/errors.ts';
import { NatsLink } from '../../durable/runtime/nats/nats-link.ts';
import { natsOptions } from '../../durable/runtime/nats/nats-options.ts';
import {
  controlSubject,
  decodeControls,
  generateSubject,
  REQUEST_HEADER,
  signedBytes,
} from '../../durable/runtime/nats/request-wire.ts';
import { GenerateRequestSchema } from '../proto/gen/stator/v1/worker_pb.js';
import type { SinkObserver } from '../server/byte-sink.ts';
import { decodeMessage } from '../server/decode-message.ts';
import { generate } from '../server/methods/generate.ts';
import { NatsSink } from './nats-sink.ts';
import type { RequestServer, RequestServerOptions } from './request-server.ts';

interface Running {
  sink: NatsSink;
  call: SinkObserver;
}

export const openNatsServer = (options: RequestServerOptions): RequestServer => new NatsServer(options);

class NatsServer implements RequestServer {
  readonly #options: RequestServerOptions;
  readonly #link: NatsLink;
  /** By the request's id, which the platform made. */
  readonly #running = new Map<string, Running>();
  #cancelTick: () => void = () => {};

  constructor(options: RequestServerOptions) {
    this.#options = options;
    const { settings, worker, log } = options;
    const given = natsOptions(settings, `stator-worker-${worker.instanceId}`);
    this.#link = new NatsLink({
      connect: () => connect(given),
      opened: (connection) => this.#listen(connection),
      after: (delayMs, task) => void worker.timers.after(delayMs, task),
      log,
    });
    this.#link.start();
    this.#tick();
  }

  async close(): Promise<void> {
    this.#cancelTick();
    for (const { call } of this.#running.values()) call.closed();
    this.#running.clear();
    await this.#link.connection?.flush().catch(() => {});
    await this.#link.close();
  }

  #listen(connection: NatsConnection): void {
    const { settings, worker } = this.#options;
    connection.subscribe(generateSubject(settings.namespace, worker.instanceId), {
      callback: (error, message) => {
        if (!error) this.#request(connection, message);
      },
    });
    connection.subscribe(controlSubject(settings.namespace, worker.instanceId), {
      callback: (error, message) => {
        if (!error) this.#control(message.data);
      },
    });
  }

  #request(connection: NatsConnection, message: Msg): void {
    const { worker } = this.#options;
    const id = message.headers?.get(REQUEST_HEADER.id) ?? '';
    const { reply } = message;
    if (reply === undefined || id === '' || this.#running.has(id)) return;
    const sink = new NatsSink({
      instanceId: worker.instanceId,
      send: (bytes) => {
        if (!connection.isClosed()) connection.publish(reply, bytes);
      },
      // Not within the call that says it.
      over: () => queueMicrotask(() => this.#end(id)),
      nowMs: () => worker.clock.nowMs(),
    });
    try {
      if (!this.#knowsToken(message, id, reply)) {
        throw new StatorError('invalid_api_key', 'the request was not made with the fleet token');
      }
      const request = decodeMessage(GenerateRequestSchema, Buffer.from(message.data));
      const running: Running = { sink, call: NOBODY };
      this.#running.set(id, running);
      running.call = generate(worker, request, sink);
    } catch (thrown) {
      sink.refuse(toStatorError(thrown));
    }
  }

  #knowsToken({ data, headers }: Msg, id: string, reply: string): boolean {
    const { fleetToken } = this.#options.settings;
    const own = createHmac('sha256', fleetToken)
      .update(signedBytes(id, reply, data))
      .digest();
    const given = Buffer.from(headers?.get(REQUEST_HEADER.mac) ?? '', 'hex');
    return fleetToken !== '' && given.length === own.length && timingSafeEqual(given, own);
  }

  #control(message: Uint8Array): void {
    for (const control of decodeControls(message)) {
      const running = this.#running.get(control.id);
      if (!running) continue;
      running.sink.heardMs = this.#options.worker.clock.nowMs();
      if (control.kind === 'ack') running.sink.taken(control.bytes);
      else if (control.kind === 'ping') running.sink.alive();
      else this.#end(control.id);
    }
  }

  /** Its reader has everything, or is gone. */
  #end(id: string): void {
    const running = this.#running.get(id);
    if (!this.#running.delete(id)) return;
    running!.call.closed();
  }

  #tick(): void {
    const { limits, clock, timers } = this.#options.worker;
    const nowMs = clock.nowMs();
    for (const [id, { sink }] of this.#running) {
      if (nowMs - sink.heardMs > limits.planeOrphanMs) this.#end(id);
      else if (nowMs - sink.sentMs >= limits.planeAliveMs) sink.alive();
    }
    this.#cancelTick = timers.after(limits.planeAliveMs, () => this.#tick());
  }
}

const NOBODY: SinkObserver = { closed() {} };
