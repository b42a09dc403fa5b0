/** Endpoints beyond models: who is there, and calls of them. */
import * as z from 'zod';
import { instancesSchema } from '../operations/discovery.ts';
import { type ApiOperation, named, opaque } from './operation.ts';

const tag = 'Components';

export const COMPONENT_OPERATIONS: readonly ApiOperation[] = [
  {
    method: 'post',
    path: '/components/v1/:namespace/:component/:endpoint',
    id: 'callEndpoint',
    tag,
    summary: 'Call any endpoint that a worker has registered',
    description:
      "Body and answer are the endpoint's own, JSON as a rule. `Accept: text/event-stream` (the default) or " +
      '`application/x-ndjson` chooses the form of a stream.',
    headers: {
      'x-stator-routing-mode': 'Which instance: `round_robin`, `random` or `direct`.',
      'x-stator-instance': 'That one, in hex, of mode `direct`.',
      'x-stator-timeout-ms': 'How long it may take to answer.',
    },
    request: { 'application/json': z.unknown() },
    answers: {
      200: {
        description: 'What the endpoint answered',
        content: {
          'application/json': z.unknown(),
          'text/event-stream': opaque,
          'application/x-ndjson': opaque,
          'application/octet-stream': opaque,
        },
      },
    },
  },
  {
    method: 'get',
    path: '/discovery/v1/instances',
    id: 'listInstances',
    tag,
    summary: 'The instances of all endpoints',
    query: { prefix: z.string().optional() },
    answers: {
      200: { description: 'The list', content: { 'application/json': named('Instances', instancesSchema) } },
    },
  },
  {
    method: 'get',
    path: '/discovery/v1/watch',
    id: 'watchInstances',
    tag,
    summary: 'The instances of all endpoints, and every change',
    description: 'WebSocket. Text frames of JSON: `{"changes":[…]}`, `{"synced":0}`, `{"beat":true}`.',
    query: { prefix: z.string().optional() },
    answers: { 101: { description: 'The socket' } },
  },
  {
    method: 'get',
    path: '/fleet/v1/discovery/lease',
    id: 'leaseDiscovery',
    tag,
    summary: 'A worker says what it serves',
    description: 'WebSocket, subprotocol `stator.discovery.v1`.',
    access: 'fleet-token',
    answers: { 101: { description: 'The socket' } },
  },
];
