/** Do the planners' metrics say what their status says, and nothing where there is no planner? */

import { expect, test } from 'vitest';
import type { PlannerStatus } from '../../../durable/planner/rpc.ts';
import { plannerMetrics } from '../../../functions/planner/planner-metrics.ts';

const STATUS: PlannerStatus = {
  mode: 'sla',
  advisory: false,
  connector: 'process',
  targets: { ttftMs: 500, itlMs: 50 },
  bounds: { worker: { min: 0, max: 4 } },
  gpuBudget: null,
  fleet: { worker: { ready: 2, starting: 1, draining: 0 } },
  wants: { worker: 3 },
  demand: null,
  decision: 7,
  looks: 12,
  because: [],
  order: {
    order: { id: 7, counts: { worker: 3 } },
    issuedMs: 0,
    outcome: 'pending',
    why: '',
    executor: null,
  },
  problem: null,
};

const lines = (status: PlannerStatus) =>
  plannerMetrics('stator', new Map([['blue', status]]))
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));

test('workers by role and state, what is wanted, looks, the order under way', () => {
  expect(lines(STATUS)).toEqual([
    'stator_planner_workers{namespace="blue",role="worker",state="ready"} 2',
    'stator_planner_workers{namespace="blue",role="worker",state="starting"} 1',
    'stator_planner_workers{namespace="blue",role="worker",state="draining"} 0',
    'stator_planner_wanted_workers{namespace="blue",role="worker"} 3',
    'stator_planner_looks_total{namespace="blue"} 12',
    'stator_planner_problem{namespace="blue"} 0',
    'stator_planner_order_pending{namespace="blue"} 1',
  ]);
});

test('a planner that cannot plan says so, one that is off says nothing', () => {
  const broken = {
    ...STATUS,
    mode: 'off' as const,
    fleet: null,
    wants: null,
    order: null,
    problem: 'no profile',
  };
  expect(lines(broken)).toContain('stator_planner_problem{namespace="blue"} 1');
  expect(lines({ ...broken, problem: null })).toEqual([]);
});
