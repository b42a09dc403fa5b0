/**
 * The messages of the prefill queue (`prefill_queue.proto`) as calls of its object, and back. Everything that comes from outside
 * is checked here; `work` passes unread.
 */
import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import type {
  Enqueued,
  JobState as JobStateName,
  LeasedJob,
  LeaseWish,
  NewPrefillJob,
  Report,
  Verdict as VerdictName,
  Watched,
} from '../../durable/prefill-queue/rpc.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import {
  CancelRequestSchema,
  EnqueueRequestSchema,
  EnqueueResponseSchema,
  JobState,
  LeaseRequestSchema,
  LeaseResponseSchema,
  ReportKind,
  type Report as ReportMessage,
  ReportRequestSchema,
  ReportResponseSchema,
  Verdict,
  WatchRequestSchema,
  WatchResponseSchema,
} from '../../gpu-sidecar/proto/gen/stator/v1/prefill_queue_pb.js';

const INSTANCE = /^[0-9a-f]{16}$/;
const REQUEST = /^[\x21-\x7e]{1,128}$/;
const ADDRESS = /^[\x21-\x7e]{1,256}$/;
const LEASE = /^[0-9a-f]{16}-\d{1,15}$/;

const STATES: Readonly<Record<JobStateName, JobState>> = {
  queued: JobState.QUEUED,
  taken: JobState.TAKEN,
  ready: JobState.READY,
  cancelled: JobState.CANCELLED,
  expired: JobState.EXPIRED,
  dead: JobState.DEAD,
};

const VERDICTS: Readonly<Record<VerdictName, Verdict>> = {
  held: Verdict.HELD,
  done: Verdict.DONE,
  cancelled: Verdict.CANCELLED,
  superseded: Verdict.SUPERSEDED,
};

/** Each throws `invalid_frame` for what is no such message, and `invalid_request` naming the field that is wrong. */
export function enqueueCall(bytes: Uint8Array): NewPrefillJob {
  const { requestId, producer, model, priority, timeoutMs, work } = decoded(EnqueueRequestSchema, bytes);
  wants(REQUEST.test(requestId), 'request_id');
  wants(INSTANCE.test(producer), 'producer');
  wants(isModelName(model), 'model');
  wants(timeoutMs > 0, 'timeout_ms');
  wants(work.byteLength > 0, 'work');
  return { requestId, producer, model, priority, timeoutMs, work };
}

export function leaseCall(bytes: Uint8Array): LeaseWish {
  const { worker, grpcAddress, model, most, waitMs, holding } = decoded(LeaseRequestSchema, bytes);
  wants(INSTANCE.test(worker), 'worker');
  wants(ADDRESS.test(grpcAddress), 'grpc_address');
  wants(isModelName(model), 'model');
  wants(most > 0, 'most');
  wants(areFew(holding) && holding.every((lease) => LEASE.test(lease)), 'holding');
  return { worker, grpcAddress, model, most: Math.min(most, LIMITS.prefillLeasedJobs), waitMs, holding };
}

export function reportCall(bytes: Uint8Array): Report[] {
  const { reports } = decoded(ReportRequestSchema, bytes);
  wants(areFew(reports), 'reports');
  return reports.map(reportOf);
}

export function cancelCall(bytes: Uint8Array): { producer: string; requestIds: string[] } {
  const { producer, requestIds } = decoded(CancelRequestSchema, bytes);
  wants(INSTANCE.test(producer), 'producer');
  wants(areFew(requestIds), 'request_ids');
  return { producer, requestIds };
}

export function watchCall(bytes: Uint8Array): {
  producer: string;
  since: { boot: string; after: number; waitMs: number };
} {
  const { producer, boot, after, waitMs } = decoded(WatchRequestSchema, bytes);
  wants(INSTANCE.test(producer), 'producer');
  return { producer, since: { boot, after: Number(after), waitMs } };
}

export const enqueueAnswer = ({ boot, state }: Enqueued): Uint8Array =>
  toBinary(EnqueueResponseSchema, create(EnqueueResponseSchema, { boot, state: STATES[state] }));

export const leaseAnswer = (answer: { jobs: LeasedJob[]; leaseMs: number }): Uint8Array =>
  toBinary(LeaseResponseSchema, create(LeaseResponseSchema, answer));

export const reportAnswer = (verdicts: readonly VerdictName[]): Uint8Array =>
  toBinary(
    ReportResponseSchema,
    create(ReportResponseSchema, { verdicts: verdicts.map((verdict) => VERDICTS[verdict]) }),
  );

export const watchAnswer = ({ boot, seq, changes }: Watched): Uint8Array =>
  toBinary(
    WatchResponseSchema,
    create(WatchResponseSchema, {
      boot,
      seq: BigInt(seq),
      changes: changes.map((change) => ({ ...change, state: STATES[change.state] })),
    }),
  );

function reportOf({ lease, kind, reason, final, cachedTokens }: ReportMessage): Report {
  wants(LEASE.test(lease), 'reports.lease');
  switch (kind) {
    case ReportKind.RENEW:
      return { lease, kind: 'renew' };
    case ReportKind.BEGIN:
      return { lease, kind: 'begin' };
    case ReportKind.COMPLETE:
      return { lease, kind: 'complete', cachedTokens };
    case ReportKind.RETURN:
      return { lease, kind: 'return' };
    case ReportKind.FAIL:
      return { lease, kind: 'fail', reason: reason.slice(0, LIMITS.prefillReasonLength), final };
    default:
      throw wrong('reports.kind');
  }
}

const isModelName = (model: string): boolean => model !== '' && model.length <= LIMITS.modelNameLength;
const areFew = (items: readonly unknown[]): boolean => items.length <= LIMITS.prefillCallItems;
const wrong = (param: string) =>
  new StatorError('invalid_request', `Invalid value for '${param}'.`, { param });

function wants(isRight: boolean, param: string): void {
  if (!isRight) throw wrong(param);
}

function decoded<Desc extends DescMessage>(schema: Desc, bytes: Uint8Array): MessageShape<Desc> {
  try {
    return fromBinary(schema, bytes);
  } catch (cause) {
    throw new StatorError('invalid_frame', `The body is no ${schema.typeName}.`, { cause });
  }
}
