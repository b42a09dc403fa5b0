/** When is an endpoint asked whether it lives, and when does it stop counting as alive? */
import { expect, test } from 'vitest';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { CanaryWatch } from '../../../gpu-sidecar/component/canary-watch.ts';

const { canaryFailures, canaryIdleMs, canaryRetryMs } = LIMITS;

function watchOf(...endpoints: string[]) {
  const turned: string[] = [];
  const watch = new CanaryWatch(endpoints, 0, (endpoint, health) => turned.push(`${endpoint} ${health}`));
  return { watch, turned };
}

test('an endpoint that answers others is not asked, an idle one once', () => {
  const { watch } = watchOf('busy', 'idle');
  watch.answered('busy', canaryIdleMs / 2);
  expect(watch.due(canaryIdleMs - 1)).toEqual([]);
  expect(watch.due(canaryIdleMs)).toEqual(['idle']);
  expect(watch.due(canaryIdleMs * 10)).toEqual(['busy']);
});

test('one that does not answer is sick after some canaries in a row, asked again soon, and back with its first answer', () => {
  const { watch, turned } = watchOf('hello');
  let nowMs = canaryIdleMs;
  for (let failure = 0; failure < canaryFailures; failure++) {
    expect(turned).toEqual([]);
    expect(watch.due(nowMs)).toEqual(['hello']);
    watch.failed('hello');
    nowMs += canaryRetryMs;
  }
  expect(turned).toEqual(['hello sick']);
  expect(watch.due(nowMs)).toEqual(['hello']);
  watch.failed('hello');
  expect(turned).toEqual(['hello sick']);
  watch.answered('hello', nowMs);
  expect(turned).toEqual(['hello sick', 'hello live']);
  expect(watch.due(nowMs + canaryRetryMs)).toEqual([]);
});

test('one failure alone changes nothing, and neither does one that nobody asked for', () => {
  const { watch, turned } = watchOf('hello');
  for (let round = 1; round <= 3; round++) {
    expect(watch.due(round * 2 * canaryIdleMs)).toEqual(['hello']);
    watch.failed('hello');
    watch.failed('hello');
    watch.answered('hello', round * 2 * canaryIdleMs);
  }
  watch.failed('elsewhere');
  watch.answered('elsewhere', 0);
  expect(turned).toEqual([]);
});
