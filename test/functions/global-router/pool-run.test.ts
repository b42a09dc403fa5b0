/** A request's way through the pools: what moves it on, what ends it, what is counted. */

import { expect, test } from 'vitest';
import { type ErrorCode, StatorError } from '../../../durable/runtime/errors.ts';
import { type Candidate, PoolRun } from '../../../functions/global-router/pool-run.ts';
import type { PreparedRequest } from '../../../functions/prepared-request.ts';

const error = (code: ErrorCode, message: string = code) => new StatorError(code, message);
const prepared = {} as PreparedRequest;

function world(...found: (ErrorCode | 'ready')[]) {
  const counted: string[] = [];
  const candidates = found.map(
    (each, at): Candidate => ({
      name: `pool-${at}`,
      why: at === 0 ? 'selected' : 'retried',
      prepare: () => (each === 'ready' ? { kind: 'namespace', prepared } : error(each, `${each} at ${at}`)),
    }),
  );
  const run = new PoolRun(candidates, {
    given: (pool, why) => counted.push(`${pool} ${why}`),
    failed: (pool, code) => counted.push(`${pool} ${code}`),
  });
  return { run, counted };
}

test('it goes from pool to pool as long as they cannot serve, over those that cannot have it at all', () => {
  const { run, counted } = world('ready', 'no_workers', 'ready');
  expect(run.first()).toMatchObject({ kind: 'namespace' });
  expect(run.next(error('overloaded'))).toMatchObject({ kind: 'namespace' });
  expect(run.current).toBe('pool-2');
  expect(run.next(error('migration_exhausted', 'the last word'))).toMatchObject({ message: 'the last word' });
  expect(counted).toEqual([
    'pool-0 selected',
    'pool-0 overloaded',
    'pool-1 retried',
    'pool-1 no_workers',
    'pool-2 retried',
    'pool-2 migration_exhausted',
  ]);
});

test('what is wrong with the request, or took too long, is wrong in every pool', () => {
  for (const code of [
    'invalid_request',
    'engine_error',
    'deadline_exceeded',
    'internal',
    'cancelled',
  ] as const) {
    const { run } = world('ready', 'ready');
    run.first();
    expect(run.next(error(code))).toMatchObject({ code });
  }
});

test('who may not have it by its fields is named beside the reason why it was asked', () => {
  const { run } = world('ready', 'unsupported_parameter');
  run.first();
  expect(run.next(error('overloaded', 'all are busy'))).toMatchObject({
    code: 'overloaded',
    message: 'all are busy unsupported_parameter at 1',
  });
});

test('where the first pool is nobody, the next one is asked; where all are, the last one says so', () => {
  expect(world('no_workers', 'ready').run.first()).toMatchObject({ kind: 'namespace' });
  expect(() => world('no_workers', 'no_workers').run.first()).toThrow('no_workers at 1');
});
