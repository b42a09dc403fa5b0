/** Grants: leases that are renewed, released or run out, and no more of them than there may be. */

import { expect, test } from 'vitest';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { Metrics } from '../../../durable/runtime/metrics.ts';
import { TransferFault } from '../../../gpu-sidecar/transfer/fault.ts';
import { GrantBook } from '../../../gpu-sidecar/transfer/grants.ts';
import { transferMetrics } from '../../../gpu-sidecar/transfer/transfer-metrics.ts';
import { ManualTime } from '../../harness/manual-time.ts';

const bookOf = (time: ManualTime) => new GrantBook(time, transferMetrics(new Metrics({ prefix: 'stator' })));

test('a lease runs out, later when it is renewed, never when it was released', () => {
  const time = new ManualTime();
  const book = bookOf(time);
  const [renewed, released, left] = [book.open(1_000), book.open(1_000), book.open(1_000)];
  time.advance(900);
  renewed.renew();
  released.end(null);
  time.advance(900);
  expect(left.signal.reason).toMatchObject({ fault: 'lease_ended' });
  expect(released.signal.reason).toBe(null);
  expect(renewed.signal.aborted).toBe(false);
  expect(book.size).toBe(1);
  time.advance(100);
  expect(renewed.signal.aborted).toBe(true);
  renewed.renew();
  expect(time.waiting).toBe(0);
});

test('no lease is longer than the longest, and no two capabilities are equal', () => {
  const book = bookOf(new ManualTime());
  expect(book.open(3_600_000).leaseMs).toBe(LIMITS.transferLeaseMs);
  expect(book.open(0).leaseMs).toBe(LIMITS.transferLeaseMs);
  const capabilities = Array.from({ length: 100 }, () =>
    Buffer.from(book.open(1).capability).toString('hex'),
  );
  expect(new Set(capabilities).size).toBe(100);
});

test('past the most readers one more is refused, until one has gone', () => {
  const book = bookOf(new ManualTime());
  const grants = Array.from({ length: LIMITS.transferGrants }, () => book.open(1_000));
  expect(() => book.open(1_000)).toThrow(TransferFault);
  grants[0]!.end(null);
  book.open(1_000);
  book.endAll();
  expect(book.size).toBe(0);
});
