/** Can a reader of the directory ever miss a change, also across restarts and silent namespaces? */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DirectoryCore, type SleepersDisk } from '../../../durable/directory/directory.ts';
import type { ModelEntry } from '../../../durable/directory/rpc.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { modelEntry } from './model-entry.ts';

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

/** A disk that counts what is written. */
function sleepersDisk(): SleepersDisk & { writes: number } {
  const rows = new Map<string, string>();
  return {
    writes: 0,
    load: () => new Map([...rows].map(([namespace, text]) => [namespace, JSON.parse(text)])),
    save(namespace, models) {
      this.writes++;
      if (models.length === 0) rows.delete(namespace);
      else rows.set(namespace, JSON.stringify(models));
    },
  };
}

const tired = (name: string, instances: string[]): ModelEntry => ({
  ...modelEntry(name, 'a'),
  maySleep: true,
  instances,
  addresses: instances.map((id) => `http://${id}`),
});

test('models that may sleep are there as sleeping after a restart, until their namespace speaks', () => {
  const disk = sleepersDisk();
  const before = new DirectoryCore(START, { disk });
  before.publish('a', [tired('one', ['w1'])], START);
  before.publish('b', [modelEntry('awake', 'b')], START);
  const core = new DirectoryCore(START + 1_000, { disk });
  expect(core.read(0, START + 1_000)?.models).toMatchObject([
    { name: 'one', sleeping: true, addresses: [], instances: [] },
  ]);
  core.publish('a', [tired('one', ['w2'])], START + 2_000);
  expect(core.read(0, START + 2_000)?.models).toMatchObject([{ name: 'one', instances: ['w2'] }]);
  expect(core.read(0, START + 2_000)?.models[0]).not.toHaveProperty('sleeping');
});

test('workers that come and go write nothing, models that come or change do', () => {
  const disk = sleepersDisk();
  const core = new DirectoryCore(START, { disk });
  for (const instances of [['w1'], ['w1', 'w2'], [], ['w3']])
    core.publish('a', [tired('one', instances)], START);
  expect(disk.writes).toBe(1);
  core.publish('a', [{ ...tired('one', ['w3']), contextLengthTokens: 2_048 }], START);
  expect(disk.writes).toBe(2);
  core.publish('a', [], START);
  expect(disk.writes).toBe(3);
  expect(new DirectoryCore(START + 1, { disk }).read(0, START + 1)?.models).toEqual([]);
});

test('a namespace that sleeps is silent and stays; one whose router died wakes from sleep, too', () => {
  const core = new DirectoryCore(START, { disk: sleepersDisk() });
  core.publish('a', [{ ...tired('one', []), sleeping: true }], START);
  const late = START + 10 * LIMITS.namespaceLeaseMs;
  expect(core.read(0, late)?.models).toMatchObject([{ name: 'one', sleeping: true }]);
  core.publish('a', [tired('one', ['w1'])], late);
  expect(core.read(0, late + LIMITS.namespaceLeaseMs + 1)?.models).toMatchObject([
    { name: 'one', sleeping: true, instances: [] },
  ]);
});
