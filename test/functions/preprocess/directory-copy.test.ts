/** When the copy of the directory is read again, and by whom. */

import { expect, test } from 'vitest';
import type { DirectorySnapshot, ModelEntry } from '../../../durable/directory/rpc.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { DirectoryCopy } from '../../../functions/preprocess/directory-copy.ts';

const entry = (name: string, aliases: string[] = []) => ({ name, aliases }) as unknown as ModelEntry;
const snapshot = (version: number, ...models: ModelEntry[]): DirectorySnapshot => ({ version, models });

/** A directory that counts how often it was asked. */
function directory(initial: DirectorySnapshot) {
  const state = { current: initial as DirectorySnapshot | Error, reads: 0 };
  const read = async (known: number) => {
    state.reads++;
    if (state.current instanceof Error) throw state.current;
    return state.current.version === known ? null : state.current;
  };
  return { state, read };
}

test('a fresh copy answers at once, by name and by alias, without asking', async () => {
  const { state, read } = directory(snapshot(1, entry('tiny', ['small'])));
  const copy = new DirectoryCopy();
  await copy.find('tiny', read, 1_000);
  expect(copy.find('tiny', read, 1_999)).toMatchObject({ name: 'tiny' });
  expect(copy.find('small', read, 1_999)).toMatchObject({ name: 'tiny' });
  expect(state.reads).toBe(1);
});

test('an old copy is read again, by one request at a time', async () => {
  const { state, read } = directory(snapshot(1, entry('tiny')));
  const copy = new DirectoryCopy();
  await copy.find('tiny', read, 0);
  const later = LIMITS.directoryTtlMs;
  const refreshing = copy.find('tiny', read, later);
  expect(refreshing).toBeInstanceOf(Promise);
  expect(copy.find('tiny', read, later)).toMatchObject({ name: 'tiny' });
  await refreshing;
  expect(state.reads).toBe(2);
});

test('a newer version named by a decision makes the copy old', async () => {
  const { state, read } = directory(snapshot(5, entry('tiny')));
  const copy = new DirectoryCopy();
  await copy.find('tiny', read, 0);
  copy.noteVersion(5);
  expect(copy.find('tiny', read, 1)).not.toBeInstanceOf(Promise);
  state.current = snapshot(6, entry('tiny'), entry('other'));
  copy.noteVersion(6);
  await copy.find('tiny', read, 1);
  expect(copy.find('other', read, 1)).toMatchObject({ name: 'other' });
});

test('an unknown name is looked for afresh before it is refused, with near names', async () => {
  const { state, read } = directory(snapshot(1, entry('tiny')));
  const copy = new DirectoryCopy();
  await copy.find('tiny', read, 0);
  state.current = snapshot(2, entry('tiny'), entry('brand-new'));
  expect(await copy.find('brand-new', read, 1)).toMatchObject({ name: 'brand-new' });
  await expect(copy.find('tony', read, 2)).rejects.toMatchObject({
    code: 'model_not_found',
    param: 'model',
    message: "The model 'tony' does not exist. Did you mean 'tiny'?",
  });
});

test('when the directory does not answer the old copy goes on; without one it is an error', async () => {
  const { state, read } = directory(snapshot(1, entry('tiny')));
  const copy = new DirectoryCopy();
  await copy.find('tiny', read, 0);
  state.current = new Error('gone');
  expect(await copy.find('tiny', read, 60_000)).toMatchObject({ name: 'tiny' });
  await expect(new DirectoryCopy().find('tiny', read, 0)).rejects.toMatchObject({
    code: 'worker_unavailable',
  });
  expect((await copy.models(read, 120_000)).length).toBe(1);
});
