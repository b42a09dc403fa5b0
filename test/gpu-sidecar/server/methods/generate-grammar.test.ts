/** Generate under a grammar: does it wait for the check without a place, refuse by name, and forget a caller who left? */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeEach, expect, test } from 'vitest';
import { StatorError } from '../../../../durable/runtime/errors.ts';
import type { Constraint, GrammarCompiler } from '../../../../gpu-sidecar/engines/constraint/constraint.ts';
import { GrammarKind } from '../../../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';
import { generate } from '../../../../gpu-sidecar/server/methods/generate.ts';
import { RecordingSink } from '../recording-sink.ts';
import { requestOf, workerOf } from '../worker-of.ts';

const constraint: Constraint = {
  begin: () => ({ complete: false, allowed: () => new Uint32Array(9), push() {}, free() {} }),
};
let verdict: PromiseWithResolvers<string | null>;
beforeEach(() => {
  verdict = Promise.withResolvers();
});

function call(compile: GrammarCompiler['compile'] = () => constraint) {
  const worker = workerOf();
  const grammars: GrammarCompiler = { check: () => verdict.promise, compile };
  Object.assign(worker.engine, { grammars });
  const sink = new RecordingSink();
  const grammar = { kind: GrammarKind.REGEX, text: 'a+', param: 'guided_regex' };
  const observer = generate(worker, requestOf({ grammar }), sink);
  return { worker, sink, observer, engine: worker.engine };
}

test('a request takes its place when its grammar was found harmless, and brings it along', async () => {
  const { worker, engine } = call();
  expect([worker.admission.open, engine.requests.length]).toEqual([0, 0]);
  verdict.resolve(null);
  await nextTurn();
  expect(worker.admission.open).toBe(1);
  expect(engine.last.request.constraint).toBe(constraint);
});

test('a bad grammar is refused by the name that the client gave it', async () => {
  const checked = call();
  verdict.resolve('NoExtensionBias\n<non-verbose/>');
  await nextTurn();
  expect(checked.sink.refused).toMatchObject({
    code: 'invalid_request',
    param: 'guided_regex',
    message: expect.stringContaining('no answer can obey it'),
  });
  verdict = Promise.withResolvers();
  verdict.resolve(null);
  const compiled = call(() => {
    throw new Error('it is nested too deeply');
  });
  await nextTurn();
  expect(compiled.sink.refused).toMatchObject({ param: 'guided_regex' });
  expect([checked, compiled].map(({ engine }) => engine.requests.length)).toEqual([0, 0]);
});

test('a full queue of checks is told as what it is', async () => {
  const { sink } = call();
  verdict.reject(new StatorError('overloaded', 'too many', { retryAfterS: 1 }));
  await nextTurn();
  expect(sink.refused).toMatchObject({ code: 'overloaded' });
});

test.each([null, 'nonsense'])('nothing comes of the verdict %j for a caller who left', async (reason) => {
  const { worker, sink, observer, engine } = call();
  observer.closed();
  verdict.resolve(reason);
  await nextTurn();
  expect([worker.admission.open, engine.requests.length, sink.refused]).toEqual([0, 0, null]);
});
