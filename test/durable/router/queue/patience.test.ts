/** How long who waits lets others pass: by its own length, but for the very long. */

import { expect, test } from 'vitest';
import { Patience } from '../../../../durable/router/queue/patience.ts';

test('is twice what the prompt takes', () => {
  const patience = new Patience();
  expect([patience.of(100), patience.of(150)]).toEqual([200, 300]);
});

test('of one that takes more than five times the mean is that of the mean', () => {
  const patience = new Patience();
  for (let i = 0; i < 99; i++) patience.of(100);
  expect(patience.of(400)).toBe(800);
  const veryLong = patience.of(2_000);
  expect(veryLong).toBeGreaterThan(200);
  expect(veryLong).toBeLessThan(300);
});

test('the mean follows what comes', () => {
  const patience = new Patience();
  for (let i = 0; i < 200; i++) patience.of(100);
  for (let i = 0; i < 300; i++) patience.of(1_000);
  expect(patience.of(2_000)).toBe(4_000);
});
