/** Is the text what Prometheus reads, and is the number of children bounded? */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { Metrics } from '../../../durable/runtime/metrics.ts';

test('the text is Prometheus exposition format, families in order of declaration', () => {
  const metrics = new Metrics({ prefix: 'stator' });
  metrics.counter('requests_total', 'Requests.', ['model']).labels('tiny').add(3);
  metrics.gauge('inflight', 'In flight.').labels().set(2);
  const seconds = metrics.histogram('wait_seconds', 'Waits.', [0.1, 1]).labels();
  for (const value of [0.05, 0.1, 0.5, 7]) seconds.observe(value);
  expect(metrics.text()).toBe(
    [
      '# HELP stator_requests_total Requests.',
      '# TYPE stator_requests_total counter',
      'stator_requests_total{model="tiny"} 3',
      '# HELP stator_inflight In flight.',
      '# TYPE stator_inflight gauge',
      'stator_inflight 2',
      '# HELP stator_wait_seconds Waits.',
      '# TYPE stator_wait_seconds histogram',
      'stator_wait_seconds_bucket{le="0.1"} 2',
      'stator_wait_seconds_bucket{le="1"} 3',
      'stator_wait_seconds_bucket{le="+Inf"} 4',
      'stator_wait_seconds_sum 7.65',
      'stator_wait_seconds_count 4',
      '',
    ].join('\n'),
  );
});

test('label values are escaped, constant labels come first', () => {
  const metrics = new Metrics({ prefix: 'x', labels: { namespace: 'default' } });
  metrics.counter('c', 'C.', ['name']).labels('a"b\\c\nd').add();
  expect(metrics.text()).toContain('x_c{namespace="default",name="a\\"b\\\\c\\nd"} 1');
});

test('the same labels are the same child, others are another', () => {
  const family = new Metrics({ prefix: 'x' }).counter('c', 'C.', ['a', 'b']);
  expect(family.labels('1', '2')).toBe(family.labels('1', '2'));
  expect(family.labels('1', '2')).not.toBe(family.labels('12', ''));
});

test('past the limit of children the rest is counted together', () => {
  const metrics = new Metrics({ prefix: 'x' });
  const family = metrics.counter('c', 'C.', ['who']);
  for (let i = 0; i < LIMITS.metricChildren + 10; i++) family.labels(`name-${i}`).add();
  expect(metrics.text()).toContain('x_c{who="other"} 10');
  expect([...family.children()]).toHaveLength(LIMITS.metricChildren + 1);
});

test('a collector runs before every text and may start from nothing', () => {
  const metrics = new Metrics({ prefix: 'x' });
  const workers = metrics.gauge('workers', 'W.', ['id']);
  let ids = ['a', 'b'];
  metrics.onCollect(() => {
    workers.clear();
    for (const id of ids) workers.labels(id).set(1);
  });
  expect(metrics.text()).toContain('x_workers{id="b"} 1');
  ids = ['a'];
  expect(metrics.text()).not.toContain('id="b"');
});

test('a name cannot be declared twice', () => {
  const metrics = new Metrics({ prefix: 'x' });
  metrics.counter('c', 'C.');
  expect(() => metrics.gauge('c', 'C.')).toThrow('x_c');
});

test('a histogram counts every observation once, in the first bucket that holds it', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: -10, max: 200, noNaN: true })), (values) => {
      const bounds = [0, 1, 10, 100];
      const histogram = new Metrics({ prefix: 'x' }).histogram('h', 'H.', bounds).labels();
      for (const value of values) histogram.observe(value);
      const expected = [...bounds, Number.POSITIVE_INFINITY].map(
        (bound, i) => values.filter((v) => v <= bound && (i === 0 || v > bounds[i - 1]!)).length,
      );
      expect([...histogram.counts]).toEqual(expected);
    }),
  );
});
