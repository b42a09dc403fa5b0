/** The planner: what it wants and why, and its orders for whoever executes them. */
import * as z from 'zod';
import { globalPlannerSchema } from '../planner/global-planner.ts';
import {
  completedSchema,
  completionSchema,
  decisionsSchema,
  orderAnswerSchema,
  plannerStatusSchema,
} from '../planner/planner-schema.ts';
import { type ApiOperation, named, opaque } from './operation.ts';

const tag = 'Planner';

export const PLANNER_OPERATIONS: readonly ApiOperation[] = [
  {
    method: 'get',
    path: '/planner/v1',
    id: 'getGlobalPlanner',
    tag,
    summary: 'The GPU budget of all namespaces, and what each has been granted',
    answers: {
      200: {
        description: 'The GlobalPlanner object',
        content: { 'application/json': named('GlobalPlanner', globalPlannerSchema) },
      },
    },
  },
  {
    method: 'get',
    path: '/planner/v1/:namespace',
    id: 'getPlanner',
    tag,
    summary: 'What the planner wants, and why',
    answers: {
      200: {
        description: 'The Planner object',
        content: { 'application/json': named('Planner', plannerStatusSchema) },
      },
    },
  },
  {
    method: 'get',
    path: '/planner/v1/:namespace/decisions',
    id: 'listDecisions',
    tag,
    summary: 'What it decided, why, and what became of it',
    description:
      'The newest ones, or the first after `after`, or the last before `before`; with `replay` all that is needed to decide again.',
    query: {
      after: z.string().optional(),
      before: z.string().optional(),
      limit: z.string().optional(),
      replay: z.string().optional(),
    },
    answers: {
      200: {
        description: 'A page of decisions',
        content: { 'application/json': named('Decisions', decisionsSchema) },
      },
    },
  },
  {
    method: 'get',
    path: '/planner/v1/:namespace/orders',
    id: 'waitForOrder',
    tag,
    summary: 'The newest order, as soon as there is one that the caller does not have',
    description:
      'Who asks executes: for 15 seconds after the last question others are refused (409), unless they have the same name.',
    query: { after: z.string().optional(), wait_ms: z.string().optional(), executor: z.string().optional() },
    answers: {
      200: {
        description: 'The order, or none within the time',
        content: { 'application/json': named('OrderAnswer', orderAnswerSchema) },
      },
    },
  },
  {
    method: 'post',
    path: '/planner/v1/:namespace/orders/:id',
    id: 'completeOrder',
    tag,
    summary: 'An order has been executed, or cannot be',
    request: { 'application/json': named('OrderCompletion', completionSchema) },
    example: { outcome: 'done' },
    answers: {
      200: {
        description: 'What it counts as; superseded: a newer one is there',
        content: { 'application/json': named('Completed', completedSchema) },
      },
    },
  },
  {
    method: 'post',
    path: '/stator.v1.Planner/:method',
    id: 'grpcPlanner',
    tag,
    summary: 'gRPC: stator.v1.Planner',
    description:
      'Methods Wait, Complete and Decisions; the bare message, or gRPC-Web. `planner.proto` is the contract.',
    request: { 'application/proto': opaque, 'application/grpc-web+proto': opaque },
    answers: {
      200: {
        description: 'The answer',
        content: { 'application/proto': opaque, 'application/grpc-web+proto': opaque },
      },
    },
  },
];
