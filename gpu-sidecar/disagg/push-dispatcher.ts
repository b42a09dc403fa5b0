/**
 * Push: the decode worker calls `Prefill` of the worker that the router chose, over native gRPC. One channel a peer, the least
 * recently used closed when there are many; keep-alive pings find a peer whose machine is gone.
 */

import { create } from '@bufbuild/protobuf';
import { Client, type ClientReadableStream, Metadata } from '@grpc/grpc-js';
import { isErrorCode, StatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import {
  PrefillPhase,
  type PrefillProgress,
  PrefillProgressSchema,
  type PrefillRequest,
  PrefillRequestSchema,
} from '../proto/gen/stator/v1/worker_pb.js';
import { decoder, encoder } from '../server/grpc-codec.ts';
import { channelCredentials } from '../tls/channel-credentials.ts';
import type { FleetTls } from '../tls/fleet-tls.ts';
import type { PrefillDispatcher, PrefillHost, PrefillJob } from './prefill-dispatcher.ts';

const PATH = '/stator.v1.Worker/Prefill';

export interface PushOptions {
  fleetToken: string;
  tls: FleetTls | null;
  /** Of this worker. */
  instanceId: string;
}

export class PushDispatcher implements PrefillDispatcher {
  readonly name = 'push';
  readonly #options: PushOptions;
  /** By address, the least recently used first. */
  readonly #clients = new Map<string, Client>();

  constructor(options: PushOptions) {
    this.#options = options;
  }

  dispatch(
    job: PrefillJob,
    { signal, accepted }: { signal: AbortSignal; accepted(host: PrefillHost): void },
  ): Promise<{ cachedTokens: number }> {
    const { grpcAddress: address, instanceId } = job.peer;
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(cancelled());
      const stream = this.#call(address, this.#requestOf(job));
      const abort = () => {
        stream.cancel();
        reject(cancelled());
      };
      signal.addEventListener('abort', abort, { once: true });
      const over = () => signal.removeEventListener('abort', abort);
      stream.on('data', (progress: PrefillProgress) => {
        if (progress.phase === PrefillPhase.ACCEPTED) accepted({ instanceId, address });
        else if (progress.phase === PrefillPhase.COMPUTED) {
          over();
          resolve({ cachedTokens: progress.cachedTokens });
        }
      });
      // Also after a cancel: a stream without a listener for its error would end the process.
      stream.on('error', (error) => {
        over();
        reject(prefillError(error));
      });
      stream.on('end', () => {
        over();
        reject(new StatorError('worker_unavailable', 'the prefill worker ended without an answer'));
      });
    });
  }

  close(): void {
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }

  #call(address: string, request: PrefillRequest): ClientReadableStream<PrefillProgress> {
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${this.#options.fleetToken}`);
    const [write, read] = [encoder(PrefillRequestSchema), decoder(PrefillProgressSchema)];
    return this.#client(address).makeServerStreamRequest(PATH, write, read, request, metadata);
  }

  #requestOf(job: PrefillJob): PrefillRequest {
    const { tokenIds, peer } = job;
    return create(PrefillRequestSchema, {
      requestId: job.requestId,
      tokenIds: new Uint8Array(tokenIds.buffer, tokenIds.byteOffset, tokenIds.byteLength),
      blockHashes: job.blockHashes,
      hashSeed: job.hashSeed,
      reservation: peer.reservation,
      routerBoot: job.routerBoot,
      priority: job.priority,
      decodeInstanceId: this.#options.instanceId,
    });
  }

  #client(address: string): Client {
    const known = this.#clients.get(address);
    if (known) this.#clients.delete(address);
    const client = known ?? new Client(address, channelCredentials(this.#options.tls), CHANNEL);
    this.#clients.set(address, client);
    for (const [oldest, unused] of this.#clients) {
      if (this.#clients.size <= LIMITS.prefillPeers) break;
      this.#clients.delete(oldest);
      // Calls that run on it go on.
      unused.close();
    }
    return client;
  }
}

const CHANNEL = {
  'grpc.max_send_message_length': LIMITS.bodyBytes,
  'grpc.keepalive_time_ms': LIMITS.prefillKeepaliveMs,
  'grpc.keepalive_timeout_ms': LIMITS.prefillKeepaliveMs,
  // A peer that comes back is tried again at once.
  'grpc.initial_reconnect_backoff_ms': 50,
  'grpc.max_reconnect_backoff_ms': 1_000,
};

const cancelled = () => new StatorError('cancelled', 'the prefill was given up');

function prefillError(error: Error & { code?: number; metadata?: Metadata }): StatorError {
  const [code] = error.metadata?.get('x-stator-code') ?? [];
  if (typeof code === 'string' && isErrorCode(code)) return new StatorError(code, error.message);
  // A cancel of our own was told before: any other is the peer's end.
  return new StatorError('worker_unavailable', `the prefill worker: ${error.message}`, { cause: error });
}
