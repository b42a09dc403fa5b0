/** A sidecar's phases. */

import { expect, test } from 'vitest';
import { Lifecycle, type LifecyclePhase } from '../../gpu-sidecar/lifecycle.ts';

test('a life moves forward only, and each phase is told once', () => {
  const told: LifecyclePhase[] = [];
  const life = new Lifecycle((phase) => told.push(phase));
  expect(life.advance('serving')).toBe(true);
  expect(life.advance('registered')).toBe(false);
  expect(life.advance('serving')).toBe(false);
  life.advance('gone');
  expect(told).toEqual(['serving', 'gone']);
});

test('requests are welcome until it drains', () => {
  const life = new Lifecycle();
  expect(life.open).toBe(true);
  life.advance('serving');
  expect(life.open).toBe(true);
  life.advance('draining');
  expect(life.open).toBe(false);
});
