/**
 * One other worker as this one sees it: a kept gRPC connection, and the metadata of its present life. Calls carry the fleet
 * token and, with fleet TLS, show this worker's certificate.
 */

import { create } from '@bufbuild/protobuf';
import { Client, type ClientDuplexStream, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { LIMITS } from '../../durable/runtime/limits.ts';
import {
  type PullAnswer,
  PullAnswerSchema,
  type PullRequest,
  PullRequestSchema,
  TransferMetadataRequestSchema,
  type TransferMetadataResponse,
  TransferMetadataResponseSchema,
} from '../proto/gen/stator/v1/kv_pb.js';
import { decoder, encoder } from '../server/grpc-codec.ts';
import { channelCredentials } from '../tls/channel-credentials.ts';
import type { FleetTls } from '../tls/fleet-tls.ts';
import { TransferFault } from './fault.ts';

const SERVICE = '/stator.v1.KvTransfer/';
/** A peer whose machine is gone answers no ping; one that starts again is wanted at once. */
const CHANNEL = {
  'grpc.keepalive_time_ms': 2_000,
  'grpc.keepalive_timeout_ms': 3_000,
  'grpc.initial_reconnect_backoff_ms': 50,
  'grpc.min_reconnect_backoff_ms': 50,
  'grpc.max_reconnect_backoff_ms': 1_000,
};

export interface PeerAccess {
  fleetToken: string;
  tls: FleetTls | null;
}

export class Peer {
  readonly #client: Client;
  readonly #call = new Metadata();
  #known: Promise<TransferMetadataResponse> | null = null;
  /** Pulls under way. */
  users = 0;

  /** `address`: host:port of the other worker's gRPC listener. Nothing is sent yet. */
  constructor(address: string, { fleetToken, tls }: PeerAccess) {
    this.#client = new Client(address, channelCredentials(tls), {
      ...CHANNEL,
      'grpc.max_receive_message_length': 2 * LIMITS.transferMetadataBytes,
    });
    this.#call.set('authorization', `Bearer ${fleetToken}`);
  }

  /** Asked once per life of the peer: `forget` after a sign that it has another. Rejects with a TransferFault. */
  metadata(): Promise<TransferMetadataResponse> {
    this.#known ??= this.#ask().catch((thrown: unknown) => {
      this.#known = null;
      throw thrown;
    });
    return this.#known;
  }

  forget(): void {
    this.#known = null;
  }

  pull(): ClientDuplexStream<PullRequest, PullAnswer> {
    return this.#client.makeBidiStreamRequest(
      `${SERVICE}Pull`,
      encoder(PullRequestSchema),
      decoder(PullAnswerSchema),
      this.#call,
    );
  }

  close(): void {
    this.#client.close();
  }

  #ask(): Promise<TransferMetadataResponse> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        `${SERVICE}Metadata`,
        encoder(TransferMetadataRequestSchema),
        decoder(TransferMetadataResponseSchema),
        create(TransferMetadataRequestSchema),
        this.#call,
        { deadline: Date.now() + LIMITS.transferConnectMs },
        (error, response) => (response ? resolve(response) : reject(callFault(error))),
      );
    });
  }
}

/** What a call of a peer failed with. */
export function callFault(error: ServiceError | null): TransferFault {
  const code = error?.code;
  const there =
    code === status.UNIMPLEMENTED ||
    code === status.UNAUTHENTICATED ||
    code === status.PERMISSION_DENIED ||
    code === status.RESOURCE_EXHAUSTED;
  return new TransferFault(there ? 'refused' : 'unreachable', error?.details ?? error?.message, error);
}
