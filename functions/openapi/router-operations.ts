/** The router's own endpoints, as JSON and as gRPC over HTTP/1.1, and what changes how it decides. */
import * as z from 'zod';
import { policyDocument } from '../../durable/router/queue/policy-document.ts';
import { explanationSchema } from '../dispatch/explanation.ts';
import { nvextAnswerSchema } from '../openai/answer-schema.ts';
import { completionChunkSchema, completionSchema } from '../openai/completions-answer-schema.ts';
import { errorSchema } from '../openai/error-schema.ts';
import { busyThresholdChangeSchema, busyThresholdsSchema } from '../operations/busy-threshold.ts';
import { disaggChangeSchema, disaggSchema } from '../operations/disagg.ts';
import { bestWorkerSchema, generateSchema } from '../router/token-request.ts';
import { type Answer, type ApiOperation, named, opaque } from './operation.ts';
import { ROUTING_HEADERS } from './request-headers.ts';

const tag = 'Router';
const namespace = z.string().optional();

const generated: Answer = {
  description: 'The continuation, as a stream unless told otherwise',
  content: {
    'text/event-stream': z.union([completionChunkSchema, errorSchema]),
    'application/json': z.union([completionSchema, errorSchema]),
  },
};

const bestWorker = named(
  'BestWorker',
  explanationSchema.extend({ worker_id: z.string(), nvext: nvextAnswerSchema.optional() }),
);
const queuePolicy = named('QueuePolicy', z.strictObject(policyDocument.shape));
const busyThresholds = named('BusyThresholds', busyThresholdsSchema);
const disagg = named('Disaggregation', disaggSchema);

export const ROUTER_OPERATIONS: readonly ApiOperation[] = [
  {
    method: 'post',
    path: '/router/best_worker_id',
    id: 'bestWorkerId',
    tag,
    summary: 'Which worker would get these tokens, and why',
    headers: ROUTING_HEADERS,
    request: { 'application/json': named('BestWorkerRequest', bestWorkerSchema) },
    example: { model: 'stator-tiny', token_ids: [1, 2, 3] },
    answers: {
      200: { description: 'The decision; nothing is reserved', content: { 'application/json': bestWorker } },
    },
  },
  {
    method: 'post',
    path: '/router/generate',
    id: 'routerGenerate',
    tag,
    summary: 'The same, and run: for callers that tokenise themselves',
    headers: ROUTING_HEADERS,
    request: { 'application/json': named('RouterGenerateRequest', generateSchema) },
    example: { model: 'stator-tiny', token_ids: [1, 2, 3], stop_conditions: { max_tokens: 8 } },
    answers: { 200: generated },
  },
  {
    method: 'post',
    path: '/stator.v1.Router/BestWorkerId',
    id: 'grpcBestWorkerId',
    tag,
    summary: 'gRPC: stator.v1.Router/BestWorkerId',
    description: 'The bare message, or gRPC-Web. `router.proto` is the contract.',
    access: 'api-key-or-fleet-token',
    request: { 'application/proto': opaque, 'application/grpc-web+proto': opaque },
    answers: {
      200: {
        description: 'BestWorkerIdResponse',
        content: { 'application/proto': opaque, 'application/grpc-web+proto': opaque },
      },
    },
  },
  {
    method: 'post',
    path: '/stator.v1.Router/Generate',
    id: 'grpcGenerate',
    tag,
    summary: 'gRPC: stator.v1.Router/Generate',
    description: 'The bare message; the stream is the body itself, without frames.',
    access: 'api-key-or-fleet-token',
    request: { 'application/proto': opaque },
    answers: { 200: generated },
  },
  {
    method: 'get',
    path: '/router/queue_policy',
    id: 'getQueuePolicy',
    tag,
    summary: 'The policy classes of the queue',
    query: { namespace },
    answers: { 200: { description: 'The policy in effect', content: { 'application/json': queuePolicy } } },
  },
  {
    method: 'put',
    path: '/router/queue_policy',
    id: 'putQueuePolicy',
    tag,
    summary: 'Changes them while requests wait',
    query: { namespace },
    request: { 'application/json': named('QueuePolicyRequest', policyDocument) },
    example: { router_queue_threshold: 2 },
    answers: { 200: { description: 'The policy in effect', content: { 'application/json': queuePolicy } } },
  },
  {
    method: 'get',
    path: '/busy_threshold',
    id: 'listBusyThresholds',
    tag,
    summary: 'Above which load workers get no requests, of every model',
    answers: {
      200: {
        description: 'Thresholds; null: off',
        content: { 'application/json': z.object({ thresholds: z.array(busyThresholds) }) },
      },
    },
  },
  {
    method: 'post',
    path: '/busy_threshold',
    id: 'setBusyThreshold',
    tag,
    summary: 'Changes the thresholds of a model',
    request: { 'application/json': named('BusyThresholdChange', busyThresholdChangeSchema) },
    example: { model: 'stator-tiny', active_prefill_tokens_threshold_frac: 8 },
    answers: {
      200: { description: 'Thresholds; null: off', content: { 'application/json': busyThresholds } },
    },
  },
  {
    method: 'get',
    path: '/disagg',
    id: 'listDisagg',
    tag,
    summary: 'Which prompts go to prefill workers, of every model',
    answers: {
      200: {
        description: 'Conditions; null: off',
        content: { 'application/json': z.object({ models: z.array(disagg) }) },
      },
    },
  },
  {
    method: 'post',
    path: '/disagg',
    id: 'setDisagg',
    tag,
    summary: 'Changes the conditions of a model while it runs',
    request: { 'application/json': named('DisaggregationChange', disaggChangeSchema) },
    example: { model: 'stator-tiny', policy: 'always' },
    answers: {
      200: { description: 'Conditions; null: off', content: { 'application/json': disagg } },
    },
  },
];
