/** What the platform says of itself, what operators do to it, and the socket of its workers. */
import * as z from 'zod';
import { clearedSchema } from '../operations/clear-kv-blocks.ts';
import { healthySchema, liveSchema, notReadySchema } from '../operations/health.ts';
import { deadLettersDoneSchema, deadLettersSchema, prefillQueueSchema } from '../operations/prefill-queue.ts';
import { statusSchema } from '../operations/status.ts';
import { type ApiOperation, named, opaque } from './operation.ts';

const tag = 'Platform';
const html = { 200: { description: 'A page for people', content: { 'text/html': opaque } } };

export const PLATFORM_OPERATIONS: readonly ApiOperation[] = [
  { method: 'get', path: '/', id: 'page', tag, summary: 'What runs here, as a page', answers: html },
  { method: 'get', path: '/docs', id: 'docs', tag, summary: 'This reference, as a page', answers: html },
  {
    method: 'get',
    path: '/openapi.json',
    id: 'openApi',
    tag,
    summary: 'This reference, as OpenAPI 3.1',
    answers: {
      200: {
        description: 'An OpenAPI document',
        content: { 'application/json': z.looseObject({ openapi: z.literal('3.1.0') }) },
      },
    },
  },
  {
    method: 'get',
    path: '/health',
    id: 'health',
    tag,
    summary: 'Is there a model that can answer?',
    access: 'open',
    answers: {
      200: { description: 'Yes', content: { 'application/json': named('Healthy', healthySchema) } },
      503: { description: 'No', content: { 'application/json': named('NotReady', notReadySchema) } },
    },
  },
  {
    method: 'get',
    path: '/live',
    id: 'live',
    tag,
    summary: 'Does this process answer?',
    access: 'open',
    answers: { 200: { description: 'Yes', content: { 'application/json': named('Live', liveSchema) } } },
  },
  {
    method: 'get',
    path: '/metrics',
    id: 'metrics',
    tag,
    summary: 'Metrics as Prometheus text',
    answers: { 200: { description: 'Prometheus text format 0.0.4', content: { 'text/plain': opaque } } },
  },
  {
    method: 'get',
    path: '/stator/v1/status',
    id: 'status',
    tag,
    summary: 'Workers, load and the size of the index',
    query: { namespace: z.string().optional() },
    answers: {
      200: {
        description: 'The Router object',
        content: { 'application/json': named('Status', statusSchema) },
      },
    },
  },
  {
    method: 'post',
    path: '/stator/v1/clear_kv_blocks',
    id: 'clearKvBlocks',
    tag,
    summary: 'Every worker drops the cached blocks that no running request holds',
    answers: {
      200: { description: 'Told', content: { 'application/json': named('Cleared', clearedSchema) } },
    },
  },
  {
    method: 'get',
    path: '/stator/v1/prefill_queue',
    id: 'prefillQueue',
    tag,
    summary: 'What waits in the prefill queue, and its dead letters',
    query: { namespace: z.string().optional() },
    answers: {
      200: {
        description: 'The PrefillQueue object',
        content: { 'application/json': named('PrefillQueue', prefillQueueSchema) },
      },
    },
  },
  {
    method: 'post',
    path: '/stator/v1/prefill_queue/dead_letters',
    id: 'handleDeadLetters',
    tag,
    summary: 'Dead letters of the prefill queue go back into it, or are dropped',
    query: { namespace: z.string().optional() },
    request: { 'application/json': named('DeadLetters', deadLettersSchema) },
    example: { action: 'requeue' },
    answers: {
      200: {
        description: 'How many there were',
        content: { 'application/json': named('DeadLettersDone', deadLettersDoneSchema) },
      },
    },
  },
  {
    method: 'post',
    path: '/fleet/v1/prefill-queue/:namespace/:method',
    id: 'fleetPrefillQueue',
    tag,
    summary: 'Workers hand prompts to each other',
    description: 'Methods enqueue, lease, report, cancel and watch. `prefill_queue.proto` is the contract.',
    access: 'fleet-token',
    request: { 'application/proto': opaque },
    answers: { 200: { description: 'The answer', content: { 'application/proto': opaque } } },
  },
  {
    method: 'get',
    path: '/fleet/v1/:namespace',
    id: 'fleetSocket',
    tag,
    summary: 'A worker dials in',
    description: 'WebSocket, subprotocol `stator.fleet.v1`. `fleet.proto` is the contract.',
    access: 'fleet-token',
    answers: { 101: { description: 'The socket' } },
  },
];
