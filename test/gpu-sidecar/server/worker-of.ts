/** A worker around a scripted engine and hand-driven time, and requests for it. */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { Metrics } from '../../../durable/runtime/metrics.ts';
import type { RequestProgress } from '../../../gpu-sidecar/fleet/progress.ts';
import { WorkerEvents } from '../../../gpu-sidecar/fleet/worker-events.ts';
import { Lifecycle } from '../../../gpu-sidecar/lifecycle.ts';
import {
  Dialect,
  type GenerateRequest,
  GenerateRequestSchema,
} from '../../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';
import type { ResponseRecord } from '../../../gpu-sidecar/response/encoder.ts';
import { Admission } from '../../../gpu-sidecar/server/admission.ts';
import type { Worker } from '../../../gpu-sidecar/server/worker.ts';
import { type WorkerLimits, workerLimits } from '../../../gpu-sidecar/server/worker-limits.ts';
import { workerMetrics } from '../../../gpu-sidecar/server/worker-metrics.ts';
import type { Timers } from '../../../gpu-sidecar/timers.ts';
import { ManualTime } from '../../harness/manual-time.ts';
import { ScriptedEngine } from '../../harness/scripted-engine.ts';

export interface TestWorker extends Worker {
  readonly engine: ScriptedEngine;
  readonly time: ManualTime;
  /** Snapshots of every progress report. */
  readonly reports: RequestProgress[];
  readonly drains: number[];
  /** What the platform was told to store, and what keeps it from saying that it has. */
  readonly stored: (ResponseRecord & { responseId: string })[];
  storing: Promise<void>;
}

export interface TestWorkerOptions {
  limits?: Partial<WorkerLimits>;
  timers?: Timers;
  remotePrefill?: Worker['remotePrefill'];
}

export function workerOf({ limits, timers, remotePrefill = null }: TestWorkerOptions = {}): TestWorker {
  const time = new ManualTime();
  const reports: RequestProgress[] = [];
  const drains: number[] = [];
  const stored: TestWorker['stored'] = [];
  const allLimits = { ...workerLimits, ...limits };
  const worker: TestWorker = {
    instanceId: '00000000000000aa',
    engine: new ScriptedEngine(),
    lifecycle: new Lifecycle(),
    admission: new Admission(allLimits.concurrentRequests),
    progress: { report: (progress) => void reports.push({ ...progress }) },
    events: new WorkerEvents({ ring: 8, dumpBlocksPerFrame: 2, changed: () => {} }),
    clock: time,
    timers: timers ?? time,
    limits: allLimits,
    metrics: workerMetrics(new Metrics({ prefix: 'stator' })),
    startedMs: time.nowMs(),
    drain: (deadlineMs) => void drains.push(deadlineMs),
    time,
    reports,
    drains,
    stored,
    storing: Promise.resolve(),
    remotePrefill,
    records: {
      keep(responseId, record) {
        stored.push({ responseId, ...record });
        return worker.storing;
      },
    },
  };
  return worker;
}

export const packed = (ids: readonly number[]): Uint8Array => new Uint8Array(Uint32Array.from(ids).buffer);

type Init = MessageInitShape<typeof GenerateRequestSchema>;

/** A streamed chat request with a prompt of three tokens; `change` replaces fields. */
export function requestOf(change: Init = {}): GenerateRequest {
  const base: Init = {
    requestId: 'req_1',
    model: 'tiny',
    tokenIds: packed([1, 2, 3]),
    reservation: 9,
    routerBoot: 4,
    stop: { maxTokens: 10 },
    output: { dialect: Dialect.OPENAI_CHAT, stream: true, responseId: 'chatcmpl-1', created: 5n },
  };
  return create(GenerateRequestSchema, { ...base, ...change } as Init);
}

export const documentOutput = {
  dialect: Dialect.OPENAI_CHAT,
  stream: false,
  responseId: 'chatcmpl-1',
  created: 5n,
};
