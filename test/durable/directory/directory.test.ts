/** Can a reader of the directory ever miss a change, also across restarts and silent namespaces? */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DirectoryCore } from '../../../durable/directory/directory.ts';
import type { ModelEntry } from '../../../durable/directory/rpc.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';

const modelEntry = (name: string, namespace = 'default'): ModelEntry => ({
  name,
  aliases: [],
  description: '',
  namespace,
  createdMs: 0,
  contextLengthTokens: 1024,
  blockSizeTokens: 16,
  migrationLimit: 3,
  modelInput: 'tokens',
  modelTypes: ['chat'],
  tokenizerSha256: null,
  chatTemplateSha256: null,
  bosToken: '',
  eosToken: '',
  eosTokenIds: [],
  addBosToken: false,
  specialTokens: [],
  deterministic: true,
  addresses: [],
  instances: [],
});

const START = 1_000_000;

test('what is published is read, once per version', () => {
  const core = new DirectoryCore(START);
  const version = core.publish('default', [modelEntry('tiny')], START);
  const snapshot = core.read(0, START);
  expect(snapshot).toMatchObject({ version, models: [{ name: 'tiny' }] });
  expect(core.read(version, START)).toBeNull();
});

test('a namespace replaces what it said, others stay', () => {
  const core = new DirectoryCore(START);
  core.publish('a', [modelEntry('one', 'a'), modelEntry('two', 'a')], START);
  core.publish('b', [modelEntry('three', 'b')], START);
  core.publish('a', [modelEntry('four', 'a')], START);
  expect(core.read(0, START)?.models.map(({ name }) => name)).toEqual(['four', 'three']);
  core.publish('b', [], START);
  expect(core.read(0, START)?.models.map(({ name }) => name)).toEqual(['four']);
});

test('saying the same again changes no version but keeps the namespace alive', () => {
  const core = new DirectoryCore(START);
  const version = core.publish('a', [modelEntry('one')], START);
  const later = START + LIMITS.namespaceLeaseMs;
  expect(core.publish('a', [modelEntry('one')], later)).toBe(version);
  expect(core.read(version, later + LIMITS.namespaceLeaseMs)).toBeNull();
});

test('a namespace that falls silent is forgotten', () => {
  const core = new DirectoryCore(START);
  const version = core.publish('a', [modelEntry('one')], START);
  const after = core.read(version, START + LIMITS.namespaceLeaseMs + 1);
  expect(after?.models).toEqual([]);
  expect(after?.version).toBeGreaterThan(version);
});

test('a restarted directory never answers "nothing new" to a version of its earlier life', () => {
  const before = new DirectoryCore(START);
  const version = before.publish('a', [modelEntry('one')], START + 5);
  const restarted = new DirectoryCore(START + 1_000);
  expect(restarted.read(version, START + 1_000)).toMatchObject({ models: [] });
});

test('versions only grow, by change alone', () => {
  const publication = fc.record({
    namespace: fc.constantFrom('a', 'b', 'c'),
    names: fc.array(fc.constantFrom('x', 'y'), { maxLength: 2 }),
    waitMs: fc.integer({ min: 0, max: LIMITS.namespaceLeaseMs }),
  });
  fc.assert(
    fc.property(fc.array(publication), (publications) => {
      const core = new DirectoryCore(START);
      let nowMs = START;
      let seen = core.read(-1, nowMs)!;
      for (const { namespace, names, waitMs } of publications) {
        nowMs += waitMs;
        const models = names.map((name) => modelEntry(name, namespace));
        const version = core.publish(namespace, models, nowMs);
        expect(version).toBeGreaterThanOrEqual(seen.version);
        const snapshot = core.read(-1, nowMs)!;
        if (snapshot.version === seen.version) expect(snapshot).toEqual(seen);
        else expect(snapshot.version).toBeGreaterThan(seen.version);
        seen = snapshot;
      }
    }),
  );
});
