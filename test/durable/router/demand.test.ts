/** Do the passes that workers report reach whoever reads the demand: each once, bounded, of those that are there? */

import { expect, test } from 'vitest';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { Harness } from './core-harness.ts';
import { batchFrame } from './fleet-worker.ts';

const [A, B] = ['00000000000000a1', '00000000000000b2'];
const pass = (prefillTokens: number, decodeKvTokens = 64) => ({
  prefillTokens,
  decodeKvTokens,
  queuedTokens: 10,
  wallMs: 12.5,
});
const engines = (harness: Harness) => harness.core.demand().metrics.engines.worker!;

test('workers are asked for passes where a planner looks at them, and only there', () => {
  for (const keepsPasses of [true, false]) {
    const socket = new Harness({}, { keepsPasses }).worker(A);
    expect(socket.frames[0]).toMatchObject({ case: 'welcome', value: { wantsPasses: keepsPasses } });
  }
});

test('each pass is told once, with the memory that the engine says it uses', () => {
  const harness = new Harness({}, { keepsPasses: true });
  const socket = harness.worker(A);
  harness.worker(B);
  socket.send(batchFrame({ load: { running: 1, decodeKvTokens: 300, passes: [pass(200), pass(0)] } }));
  socket.send(batchFrame({ load: { running: 1, decodeKvTokens: 301, passes: [pass(0, 65)] } }));
  expect(engines(harness)).toEqual([
    { id: `${A}/0`, decodeKvTokens: 301, maxKvTokens: 400, passes: [pass(200), pass(0), pass(0, 65)] },
    { id: `${B}/0`, decodeKvTokens: 0, maxKvTokens: 400, passes: [] },
  ]);
  expect(engines(harness).map(({ passes }) => passes)).toEqual([[], []]);
});

test('of an engine that says nothing of its memory, what is in flight there counts', () => {
  const harness = new Harness({}, { keepsPasses: true });
  const socket = harness.worker(A);
  harness.decide({ blocks: [1, 2, 3] });
  const counted = engines(harness)[0]!.decodeKvTokens;
  expect(counted).toBeGreaterThan(0);
  // A frame of a worker that knows neither field.
  socket.send(batchFrame({ load: { running: 1, kvUsedBlocks: 3 } }));
  expect(engines(harness)[0]).toMatchObject({ decodeKvTokens: counted, passes: [] });
  socket.send(batchFrame({ load: { running: 1, decodeKvTokens: 0 } }));
  expect(engines(harness)[0]!.decodeKvTokens).toBe(0);
});

test('a worker that leaves takes its passes along, the others keep theirs', () => {
  const harness = new Harness({}, { keepsPasses: true });
  const [leaving, staying] = [harness.worker(A), harness.worker(B)];
  leaving.send(batchFrame({ load: { passes: [pass(1)] } }));
  staying.send(batchFrame({ load: { passes: [pass(2)] } }));
  leaving.hangUp();
  expect(engines(harness)).toMatchObject([{ id: `${B}/0`, passes: [pass(2)] }]);
  harness.worker(A, { epoch: 2n });
  expect(engines(harness).flatMap(({ passes }) => passes)).toEqual([]);
});

test('between two readings a bounded number is kept, of each sort, whatever a worker sends', () => {
  const harness = new Harness({}, { keepsPasses: true });
  const socket = harness.worker(A);
  for (let report = 0; report < 500; report++) {
    const passes = Array.from({ length: 40 }, (_, at) => pass(at % 8 === 0 ? report + 1 : 0));
    socket.send(batchFrame({ load: { passes } }));
  }
  const { passes } = engines(harness)[0]!;
  const prefills = passes.filter(({ prefillTokens }) => prefillTokens > 0);
  expect(passes.length).toBeLessThanOrEqual(2 * LIMITS.plannerKeptPasses);
  expect(prefills.length).toBeGreaterThanOrEqual(LIMITS.plannerKeptPasses / 2);
  expect(prefills.at(-1)!.prefillTokens).toBeGreaterThan(450);
});
