/**
 * The platform's prefill queue (`prefill_queue.proto`) over HTTP. Every call has an end: a long poll lasts what was asked for and
 * a little more, others `callMs`.
 */

import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { isErrorCode, StatorError } from '../../durable/runtime/errors.ts';
import type { PlatformUrl } from '../discovery/worker-discovery.ts';
import {
  CancelRequestSchema,
  CancelResponseSchema,
  EnqueueRequestSchema,
  type EnqueueResponse,
  EnqueueResponseSchema,
  LeaseRequestSchema,
  type LeaseResponse,
  LeaseResponseSchema,
  ReportRequestSchema,
  ReportResponseSchema,
  type ReportSchema,
  type Verdict,
  WatchRequestSchema,
  type WatchResponse,
  WatchResponseSchema,
} from '../proto/gen/stator/v1/prefill_queue_pb.js';
import type { Fetch } from '../tls/tls-fetch.ts';

/** Each throws StatorError: what the platform refused with, or `worker_unavailable` when it does not answer. */
export interface QueueClient {
  enqueue(job: MessageInitShape<typeof EnqueueRequestSchema>): Promise<EnqueueResponse>;
  lease(wish: MessageInitShape<typeof LeaseRequestSchema>): Promise<LeaseResponse>;
  report(reports: MessageInitShape<typeof ReportSchema>[]): Promise<Verdict[]>;
  cancel(producer: string, requestIds: string[]): Promise<void>;
  watch(since: MessageInitShape<typeof WatchRequestSchema>): Promise<WatchResponse>;
}

export interface HttpQueueOptions {
  platformUrl: PlatformUrl;
  namespace: string;
  fleetToken: string;
  callMs: number;
  /** Node's own, or one with certificates. */
  fetcher?: Fetch;
}

export class HttpQueueClient implements QueueClient {
  readonly #options: HttpQueueOptions;

  constructor(options: HttpQueueOptions) {
    this.#options = options;
  }

  enqueue(job: MessageInitShape<typeof EnqueueRequestSchema>): Promise<EnqueueResponse> {
    return this.#call('enqueue', [EnqueueRequestSchema, EnqueueResponseSchema], job);
  }

  lease(wish: MessageInitShape<typeof LeaseRequestSchema>): Promise<LeaseResponse> {
    return this.#call('lease', [LeaseRequestSchema, LeaseResponseSchema], wish, wish.waitMs);
  }

  async report(reports: MessageInitShape<typeof ReportSchema>[]): Promise<Verdict[]> {
    const { verdicts } = await this.#call('report', [ReportRequestSchema, ReportResponseSchema], { reports });
    return verdicts;
  }

  async cancel(producer: string, requestIds: string[]): Promise<void> {
    await this.#call('cancel', [CancelRequestSchema, CancelResponseSchema], { producer, requestIds });
  }

  watch(since: MessageInitShape<typeof WatchRequestSchema>): Promise<WatchResponse> {
    return this.#call('watch', [WatchRequestSchema, WatchResponseSchema], since, since.waitMs);
  }

  async #call<In extends DescMessage, Out extends DescMessage>(
    method: string,
    [input, output]: [In, Out],
    message: MessageInitShape<In>,
    waitMs = 0,
  ): Promise<MessageShape<Out>> {
    const { callMs, fetcher = fetch, fleetToken, namespace, platformUrl } = this.#options;
    try {
      const response = await fetcher(`${platformUrl()}/fleet/v1/prefill-queue/${namespace}/${method}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${fleetToken}`, 'content-type': 'application/proto' },
        body: new Uint8Array(toBinary(input, create(input, message))),
        signal: AbortSignal.timeout(waitMs + callMs),
      });
      const bytes = new Uint8Array(await response.arrayBuffer());
      if (!response.ok) throw refusal(response);
      return fromBinary(output, bytes);
    } catch (cause) {
      if (cause instanceof StatorError) throw cause;
      throw new StatorError('worker_unavailable', 'the prefill queue does not answer', { cause });
    }
  }
}

function refusal({ headers, status }: Response): StatorError {
  const code = headers.get('x-stator-code') ?? '';
  const message = `the prefill queue answered with HTTP status ${status}`;
  return new StatorError(isErrorCode(code) ? code : 'worker_unavailable', message);
}
