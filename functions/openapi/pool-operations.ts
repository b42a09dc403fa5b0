/** The global router: its pools and the document that makes them. */
import * as z from 'zod';
import { poolsDocument } from '../../durable/global-router/pools-document.ts';
import { poolInfoSchema } from '../operations/pool-info.ts';
import { type ApiOperation, named, opaque } from './operation.ts';

const tag = 'Router';
const strategy = {
  ttft_min_ms: 0,
  ttft_max_ms: 1000,
  ttft_resolution: 1,
  itl_min_ms: 0,
  itl_max_ms: 100,
  itl_resolution: 2,
  agg_pool_mapping: [[0, 1]],
};

/** As it was sent: with defaults not filled in. */
const document = z.looseObject({});

export const POOL_OPERATIONS: readonly ApiOperation[] = [
  {
    method: 'get',
    path: '/get_pool_info',
    id: 'getPoolInfo',
    tag,
    summary: 'The pools of the global router: who lives there, what they got, how often they failed',
    answers: {
      200: { description: 'Pools', content: { 'application/json': named('PoolInfo', poolInfoSchema) } },
    },
  },
  {
    method: 'post',
    path: '/stator.v1.Router/GetPoolInfo',
    id: 'grpcGetPoolInfo',
    tag,
    summary: 'gRPC: stator.v1.Router/GetPoolInfo',
    description: 'The bare message, or gRPC-Web. `router.proto` is the contract.',
    access: 'api-key-or-fleet-token',
    request: { 'application/proto': opaque, 'application/grpc-web+proto': opaque },
    answers: {
      200: {
        description: 'GetPoolInfoResponse',
        content: { 'application/proto': opaque, 'application/grpc-web+proto': opaque },
      },
    },
  },
  {
    method: 'get',
    path: '/global_router',
    id: 'getGlobalRouter',
    tag,
    summary: 'The document of pools in effect',
    answers: { 200: { description: 'As it was given', content: { 'application/json': document } } },
  },
  {
    method: 'put',
    path: '/global_router',
    id: 'putGlobalRouter',
    tag,
    summary: 'Makes several namespaces serve one model name, while requests run',
    request: { 'application/json': named('GlobalRouter', poolsDocument) },
    example: {
      mode: 'agg',
      num_agg_pools: 2,
      agg_pool_dynamo_namespaces: ['fast', 'cheap'],
      enable_priority_retry: true,
      agg_pool_selection_strategy: strategy,
    },
    answers: { 200: { description: 'As it was given', content: { 'application/json': document } } },
  },
  {
    method: 'delete',
    path: '/global_router',
    id: 'deleteGlobalRouter',
    tag,
    summary: 'Ends it: each model is served by one namespace again',
    answers: {
      200: { description: 'Done', content: { 'application/json': z.object({ deleted: z.literal(true) }) } },
    },
  },
];
